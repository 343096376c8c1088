//! Names, keys and addresses of a scenario, and what its scripts learn about them.

use std::ffi::OsString;
use std::path::Path;

use super::outage;
use crate::error::{Error, Result};

/// Host name of the hub.
pub(crate) const HUB: &str = "hub.localtest";
/// Host name of a second hub, which only some scripts have the emulator serve.
pub(crate) const OTHER_HUB: &str = "other.localtest";
/// Host name of the provisioning service.
pub(crate) const DPS: &str = "dps.localtest";
/// Secondary key of its enrollment group, for tests only.
pub(crate) const GROUP_SECONDARY_KEY: &str = "c2Vjb25kIGtleSBvZiBhIGdyb3VwLCAzMiBieXRlcyE=";
/// Key of the hub's policy, for tests only.
pub(crate) const POLICY_KEY: &str = "Y29uZm9ybWFuY2UgcG9saWN5IGtleSwgMzIgYnl0ZXM=";
/// Id scope of the provisioning service.
pub(crate) const ID_SCOPE: &str = "0ne00C0DE00";
/// Key of the one device that has an enrollment of its own, for tests only: `single`, which becomes the device `single-device`.
pub(crate) const INDIVIDUAL_KEY: &str = "a2V5IG9mIGEgc2luZ2xlIGVucm9sbG1lbnQ=";
/// Key of its enrollment group, for tests only.
pub(crate) const GROUP_KEY: &str = "Y29uZm9ybWFuY2UgZW5yb2xsbWVudCBncm91cCBrZXk=";
/// API key of the bridge, for tests only.
pub(crate) const API_KEY: &str = "conformance-api-key";
/// Where the bridge listens.
pub(crate) const BRIDGE: &str = "127.0.0.1:8080";
/// Where the mirror of a peer scenario listens.
pub(crate) const MIRROR: &str = "127.0.0.1:5672";

/// What the ids of a load's devices begin with; numbers from 1 follow.
pub(crate) const DEVICE_PREFIX: &str = "load-";

/// What an emulator said when it started, as a user reads it.
#[derive(Debug, PartialEq)]
pub(crate) struct ConnectionStrings {
    /// For service clients and the bridge.
    pub(crate) hub: String,
    /// For Event Hubs clients.
    pub(crate) event_hub: String,
}

impl ConnectionStrings {
    /// Takes the first of each kind from the emulator's output.
    pub(crate) fn parse(output: &str) -> Result<Self> {
        let find = |start: &str, part: &str| {
            let word = output
                .split_whitespace()
                .map(|word| word.trim_matches(['"', '\'']))
                .find(|word| word.starts_with(start) && word.contains(part));
            word.map(str::to_owned).ok_or_else(|| {
                Error::Unexpected(format!("the emulator printed no word like {start}…{part}…"))
            })
        };
        Ok(Self {
            hub: find("HostName=", "SharedAccessKeyName=iothubowner")?,
            event_hub: find("Endpoint=sb://", "EntityPath=")?,
        })
    }

    /// The entity that Event Hubs clients read.
    fn event_hub_name(&self) -> &str {
        self.event_hub
            .split(';')
            .find_map(|part| part.strip_prefix("EntityPath="))
            .unwrap_or_default()
    }
}

/// Environment variables of the scripts; see `conformance/README.md`.
pub(crate) fn variables(
    strings: Option<&ConnectionStrings>,
    folder: &Path,
) -> Vec<(&'static str, OsString)> {
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("LEDGER", folder.join("ledger.json").into()),
        ("LOAD_LEDGER", folder.join(outage::LEDGER).into()),
        ("FOLDER", folder.into()),
    ];
    if let Some(strings) = strings {
        let ca = authority(folder);
        variables.extend([
            ("HUB", HUB.into()),
            ("OTHER_HUB", OTHER_HUB.into()),
            ("DPS", DPS.into()),
            ("ID_SCOPE", ID_SCOPE.into()),
            ("INDIVIDUAL_KEY", INDIVIDUAL_KEY.into()),
            ("GROUP_KEY", GROUP_KEY.into()),
            ("GROUP_SECONDARY_KEY", GROUP_SECONDARY_KEY.into()),
            ("HUB_CONNECTION_STRING", (&strings.hub).into()),
            ("EVENT_HUB_CONNECTION_STRING", (&strings.event_hub).into()),
            ("EVENT_HUB_NAME", strings.event_hub_name().into()),
            ("CA", ca.clone().into()),
            ("NODE_EXTRA_CA_CERTS", ca.into()),
            ("BRIDGE_URL", format!("http://{BRIDGE}").into()),
            ("BRIDGE_API_KEY", API_KEY.into()),
        ]);
    }
    variables
}

/// The emulator's state folder in a scenario's folder.
pub(crate) fn state(folder: &Path) -> std::path::PathBuf {
    folder.join("state")
}

/// The emulator's certificate authority.
pub(crate) fn authority(folder: &Path) -> std::path::PathBuf {
    state(folder).join("ca.pem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_come_from_the_emulators_output() {
        let hub = "HostName=hub.localtest;SharedAccessKeyName=iothubowner;SharedAccessKey=a2V5";
        let event_hub = "Endpoint=sb://hub.localtest/;SharedAccessKeyName=iothubowner;SharedAccessKey=a2V5;EntityPath=hub";
        let output = format!("hub      {hub}\nevents   \"{event_hub}\"\nready\n");
        let strings = ConnectionStrings::parse(&output).unwrap();
        assert_eq!(
            strings,
            ConnectionStrings {
                hub: hub.into(),
                event_hub: event_hub.into()
            }
        );
        assert_eq!(strings.event_hub_name(), "hub");
    }

    #[test]
    fn silence_about_connection_strings_is_an_error() {
        let error = ConnectionStrings::parse("ready\n").unwrap_err();
        assert!(error.to_string().contains("HostName="), "{error}");
    }
}
