//! Access to a hub: its name, credentials and network address.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use drawspan_client::Credentials;
use drawspan_client::service::{EventConfig, EventEndpoint, ServiceConfig};
use drawspan_hub::{EventHubConnectionString, HostName, HubConnectionString};
use drawspan_net::Connector;
use drawspan_settings::{Mistakes, read_text, service_connector};
use serde::Deserialize;

use crate::limits::MAX_ACCESS_FILE_BYTES;

/// The same variable as that of `load`.
const VARIABLE: &str = "DRAWSPAN_SERVICE_CONNECTION_STRING";
/// The same variables as those of `serve`.
const CA_VARIABLE: &str = "DRAWSPAN_CA";
const CONNECT_VARIABLE: &str = "DRAWSPAN_CONNECT";

/// Flags of every command.
#[derive(Args)]
#[command(next_help_heading = "Access to the hub")]
pub(super) struct AccessArgs {
    /// Connection string of a hub policy with ServiceConnect, such as service or iothubowner; watch also accepts that of the
    /// Event Hubs-compatible endpoint [env: DRAWSPAN_SERVICE_CONNECTION_STRING]
    #[arg(long, value_name = "CS", global = true)]
    connection_string: Option<String>,
    /// PEM file of the authorities to trust instead of the system's, such as the emulator's ca.pem [env: DRAWSPAN_CA]
    #[arg(long, value_name = "FILE", global = true)]
    ca: Option<PathBuf>,
    /// Address to connect to for a name, repeatable; hubs use ports 5671 and 443 [env: DRAWSPAN_CONNECT, with commas]
    #[arg(long, value_name = "NAME[:PORT]=ADDR:PORT", global = true)]
    connect: Vec<String>,
    /// TOML file with connection_string, ca and connect, such as drawspan dev writes; environment variables are then ignored
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

/// The kind of a connection string.
pub(super) enum Access {
    /// A hub.
    Hub(ServiceConfig),
    /// The event endpoint of one.
    Events(EventConfig),
}

impl Access {
    /// The host that is spoken to, and how.
    pub(super) const fn way(&self) -> (&HostName, &Connector) {
        match self {
            Self::Hub(config) => (&config.host, &config.connector),
            Self::Events(config) => (&config.endpoint.host, &config.connector),
        }
    }
}

/// The file, or what stands in for it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    connection_string: Option<String>,
    ca: Option<PathBuf>,
    #[serde(default)]
    connect: Vec<String>,
}

impl AccessArgs {
    /// A flag takes precedence over the file, and environment variables are read only without a file, so that a pasted line with a
    /// file always uses that file.
    pub(super) fn check(
        &self,
        variable: impl Fn(&str) -> Option<String>,
        mistakes: &mut Mistakes,
    ) -> Option<Access> {
        let file = match &self.config {
            Some(_) => self.read(mistakes)?,
            None => File {
                connection_string: variable(VARIABLE),
                ca: variable(CA_VARIABLE).map(PathBuf::from),
                connect: variable(CONNECT_VARIABLE)
                    .map(|text| text.split(',').map(|rule| rule.trim().to_owned()).collect())
                    .unwrap_or_default(),
            },
        };
        let ca = self.ca.clone().or(file.ca);
        let connect = match self.connect.is_empty() {
            true => &file.connect,
            false => &self.connect,
        };
        let connector = service_connector(mistakes, ca.as_deref(), connect);
        let text = self.connection_string.clone().or(file.connection_string);
        let Some(text) = text else {
            mistakes.add(
                "--connection-string",
                format_args!(
                    "missing; the hub's policy `service` has one (portal, shared access policies; or as emulator and dev print it). \
                     It may stand in {VARIABLE} as well"
                ),
            );
            return None;
        };
        match EventHubConnectionString::is_meant(&text) {
            true => {
                let parsed = EventHubConnectionString::parse(&text);
                let parsed = mistakes.keep("--connection-string", parsed);
                Some(Access::Events(events(parsed?, connector?)))
            }
            false => {
                let parsed = HubConnectionString::parse(&text);
                let parsed = mistakes.keep("--connection-string", parsed);
                Some(Access::Hub(ServiceConfig::new(parsed?, connector?)))
            }
        }
    }

    fn read(&self, mistakes: &mut Mistakes) -> Option<File> {
        let path = self.config.as_deref()?;
        let text = mistakes.keep("--config", read_text(path, MAX_ACCESS_FILE_BYTES))?;
        let read = toml::from_str::<File>(&text).map_err(|error| {
            // Not the line itself: it may hold the key.
            let line = error.span().map_or(0, |span| {
                let before = text.as_bytes().iter().take(span.start);
                before.filter(|byte| **byte == b'\n').count() + 1
            });
            format!("{}:{line}: {}", path.display(), error.message())
        });
        let mut file = mistakes.keep("--config", read)?;
        let folder = path.parent();
        file.ca = file
            .ca
            .map(|ca| folder.map_or_else(|| ca.clone(), |folder| folder.join(&ca)));
        Some(file)
    }
}

fn events(parsed: EventHubConnectionString, connector: Connector) -> EventConfig {
    EventConfig {
        endpoint: EventEndpoint {
            host: parsed.host,
            entity: parsed.entity,
        },
        credentials: Arc::new(Credentials::of_policy(parsed.policy, parsed.key)),
        connector,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";

    fn args() -> AccessArgs {
        AccessArgs {
            connection_string: None,
            ca: None,
            connect: Vec::new(),
            config: None,
        }
    }

    fn hub(name: &str) -> String {
        format!("HostName={name};SharedAccessKeyName=service;SharedAccessKey={KEY}")
    }

    fn host(access: Option<Access>) -> Option<String> {
        match access? {
            Access::Hub(config) => Some(config.host.as_str().to_owned()),
            Access::Events(config) => Some(format!("events of {}", config.endpoint.entity)),
        }
    }

    #[test]
    fn a_flag_counts_before_the_file_and_the_file_before_variables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.toml");
        std::fs::write(
            &path,
            format!("connection_string = '{}'\n", hub("file.test")),
        )
        .unwrap();
        let variable = |name: &str| (name == VARIABLE).then(|| hub("variable.test"));
        let check = |args: AccessArgs, expected: &str| {
            let mut mistakes = Mistakes::default();
            let found = host(args.check(variable, &mut mistakes));
            assert_eq!(found.as_deref(), Some(expected), "{mistakes}");
        };
        check(args(), "variable.test");
        let config = Some(path);
        check(
            AccessArgs {
                config: config.clone(),
                ..args()
            },
            "file.test",
        );
        let connection_string = Some(hub("flag.test"));
        check(
            AccessArgs {
                config,
                connection_string,
                ..args()
            },
            "flag.test",
        );
        let endpoint = format!(
            "Endpoint=sb://e.test/;SharedAccessKeyName=s;SharedAccessKey={KEY};EntityPath=h"
        );
        let connection_string = Some(endpoint);
        check(
            AccessArgs {
                connection_string,
                ..args()
            },
            "events of h",
        );
    }

    #[test]
    fn mistakes_say_what_to_do_and_show_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.toml");
        std::fs::write(&path, format!("ca = 'ca.pem'\nkey = '{KEY}'\n")).unwrap();
        let check = |args: AccessArgs, expected: &str| {
            let mut mistakes = Mistakes::default();
            assert!(args.check(|_| None, &mut mistakes).is_none());
            let text = mistakes.to_string();
            assert!(text.contains(expected) && !text.contains("MDEy"), "{text}");
        };
        check(
            args(),
            "--connection-string: missing; the hub's policy `service`",
        );
        check(
            AccessArgs {
                config: Some(path),
                ..args()
            },
            "hub.toml:2: unknown field `key`",
        );
        let connection_string = Some("HostName=h".to_owned());
        check(
            AccessArgs {
                connection_string,
                ..args()
            },
            "has no SharedAccessKeyName",
        );
    }
}
