//! The ways in which devices get their identity, of which a configuration chooses one.

use std::collections::HashMap;
use std::fmt;

use drawspan_hub::{
    CertifiedDevice, DeviceId, HostName, HubConnectionString, KeyPair, Keys, ListedDevice,
    SymmetricKey,
};

use super::devices_file;
use super::layers::Values;
use super::mistakes::Mistakes;
use super::settings::{Setting, Spec};
use super::value::Value;
use crate::limits::MAX_ID_SCOPE_CHARS;
use crate::plural::count;

/// How devices get their identity. Shows no key.
#[derive(Debug, Clone)]
pub enum Profile {
    /// DPS says where a device belongs; keys of devices are derived from those of an enrollment group.
    Dps {
        /// Host of DPS.
        endpoint: HostName,
        /// Its instance.
        id_scope: String,
        /// Keys of the group.
        keys: KeyPair,
    },
    /// All devices are on one hub and connect by one of its policies.
    Hub {
        /// The hub.
        host: HostName,
        /// Name of the policy.
        policy: String,
        /// Keys of the policy.
        keys: KeyPair,
    },
    /// Each device is listed with its hub and keys.
    Devices(HashMap<DeviceId, ListedDevice>),
    /// Each device is listed with its hub and certificate, and has a connection of its own.
    Certificates(HashMap<DeviceId, CertifiedDevice>),
}

/// A change to another profile, which only a restart can apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherProfile;

impl Profile {
    /// One hub by a policy's connection string.
    #[must_use]
    pub fn of_hub(connection: &HubConnectionString) -> Self {
        Self::Hub {
            host: connection.host.clone(),
            policy: connection.policy.clone(),
            keys: KeyPair::single(connection.key.clone()),
        }
    }

    /// Its keys, by which a client gets in.
    #[must_use]
    pub fn keys(&self) -> Keys {
        match self {
            Self::Dps { keys, .. } => Keys::Group(keys.clone()),
            Self::Hub { policy, keys, .. } => Keys::Policy {
                name: policy.clone(),
                keys: keys.clone(),
            },
            Self::Devices(devices) => Keys::Explicit(devices.clone()),
            Self::Certificates(devices) => Keys::Certificates(devices.clone()),
        }
    }

    /// The keys of `new`, if they can take the place of these without a restart.
    ///
    /// # Errors
    /// When they belong to another DPS instance, hub or policy, or to another way of connecting.
    pub fn reload(&self, new: &Self) -> Result<Keys, OtherProfile> {
        let same = match (self, new) {
            (
                Self::Dps {
                    endpoint, id_scope, ..
                },
                Self::Dps {
                    endpoint: new_endpoint,
                    id_scope: new_scope,
                    ..
                },
            ) => endpoint == new_endpoint && id_scope == new_scope,
            (
                Self::Hub { host, policy, .. },
                Self::Hub {
                    host: new_host,
                    policy: new_policy,
                    ..
                },
            ) => host == new_host && policy == new_policy,
            (Self::Devices(_), Self::Devices(_))
            | (Self::Certificates(_), Self::Certificates(_)) => true,
            _ => false,
        };
        same.then(|| new.keys()).ok_or(OtherProfile)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dps {
                endpoint, id_scope, ..
            } => write!(f, "devices by DPS at {endpoint}, id scope {id_scope}"),
            Self::Hub { host, .. } => write!(f, "devices on {host}"),
            Self::Devices(devices) => {
                f.write_str(&count(devices.len(), "listed device", "listed devices"))
            }
            Self::Certificates(devices) => {
                let devices = count(devices.len(), "listed device", "listed devices");
                write!(f, "{devices} with certificates, a connection each")
            }
        }
    }
}

/// The profile that was chosen.
pub(super) fn check(values: &Values, mistakes: &mut Mistakes) -> Option<Profile> {
    let get = |setting| values.get(setting);
    let dps = Dps {
        id_scope: get(Setting::IdScope),
        group_key: get(Setting::GroupKey),
        group_key_secondary: get(Setting::GroupKeySecondary),
        endpoint: get(Setting::DpsEndpoint),
    };
    let hub = (
        get(Setting::HubConnectionString),
        get(Setting::HubConnectionStringSecondary),
    );
    let devices = get(Setting::DevicesFile);
    let given = [
        dps.given().map(|value| ("DPS", value)),
        hub.0.or(hub.1).map(|value| ("one hub", value)),
        devices.map(|value| ("listed devices", value)),
    ];
    let given: Vec<_> = given.into_iter().flatten().collect();
    match given[..] {
        [] => mistakes.add_missing(
            "--id-scope, --hub-connection-string or --devices-file",
            "missing; say how devices connect: by DPS (id_scope and group_key), by a hub's policy (hub_connection_string), or \
             each with its own key (devices_file)",
        ),
        [_] => {}
        [(_, first), ..] => {
            let all: Vec<_> = given
                .iter()
                .map(|(name, value)| format!("{name} ({})", value.source))
                .collect();
            mistakes.add(
                &first.source,
                format!("devices connect in one way only, and several are given: {}", all.join(", ")),
            );
        }
    }
    // Each is checked in any case, so that all mistakes are reported.
    let profiles = [
        dps.given().is_some().then(|| dps.check(mistakes)).flatten(),
        check_hub(hub.0, hub.1, mistakes),
        devices.and_then(|file| {
            let path = values.path(file);
            devices_file::read(&path, &file.source, mistakes)
        }),
    ];
    profiles.into_iter().flatten().next()
}

struct Dps<'a> {
    id_scope: Option<&'a Value>,
    group_key: Option<&'a Value>,
    group_key_secondary: Option<&'a Value>,
    endpoint: Option<&'a Value>,
}

impl<'a> Dps<'a> {
    /// Something that says that DPS is meant.
    fn given(&self) -> Option<&'a Value> {
        let all = [
            self.id_scope,
            self.group_key,
            self.group_key_secondary,
            self.endpoint,
        ];
        all.into_iter().flatten().next()
    }

    fn check(&self, mistakes: &mut Mistakes) -> Option<Profile> {
        let id_scope = match self.id_scope {
            Some(value) => mistakes.keep(&value.source, id_scope(value.text())),
            None => {
                mistakes.add_missing("--id-scope", "missing; DPS needs it, with --group-key");
                None
            }
        };
        if self.group_key.is_none() {
            mistakes.add_missing("--group-key", "missing; DPS needs it, with --id-scope");
        }
        let primary = key(self.group_key, mistakes);
        let secondary = key(self.group_key_secondary, mistakes);
        let endpoint = match self.endpoint {
            Some(value) => mistakes.keep(&value.source, endpoint(value.text())),
            None => {
                Spec::of(Setting::DpsEndpoint).and_then(|spec| HostName::parse(spec.default).ok())
            }
        };
        Some(Profile::Dps {
            endpoint: endpoint?,
            id_scope: id_scope?,
            keys: KeyPair {
                primary: primary?,
                secondary,
            },
        })
    }
}

fn key(value: Option<&Value>, mistakes: &mut Mistakes) -> Option<SymmetricKey> {
    let value = value?;
    mistakes.keep(value.place(0), SymmetricKey::from_base64(value.text()))
}

fn id_scope(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match text {
        "" => Err("empty".to_owned()),
        text if text.len() > MAX_ID_SCOPE_CHARS => {
            Err(format!("over {MAX_ID_SCOPE_CHARS} characters"))
        }
        text if !text.bytes().all(legal) => {
            Err("not an id scope, like 0ne00A1B2C3: letters, digits, - _ .".to_owned())
        }
        text => Ok(text.to_owned()),
    }
}

/// A host name, or `https://` and a host name.
fn endpoint(text: &str) -> Result<HostName, String> {
    let bare = text.strip_prefix("https://").unwrap_or(text);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    if bare.contains("://") {
        return Err("must begin with https://, or be a host name".to_owned());
    }
    let bare = bare.strip_suffix(":443").unwrap_or(bare);
    if bare.contains(':') {
        return Err(
            "DPS is spoken to on port 443; to reach it elsewhere use connect = [\"HOST:443=ADDR:PORT\"]"
                .to_owned(),
        );
    }
    HostName::parse(bare).map_err(|error| error.to_string())
}

fn check_hub(
    primary: Option<&Value>,
    secondary: Option<&Value>,
    mistakes: &mut Mistakes,
) -> Option<Profile> {
    let mut parse = |value: Option<&Value>| {
        let value = value?;
        mistakes.keep(value.place(0), HubConnectionString::parse(value.text()))
    };
    let (first, second) = (parse(primary), parse(secondary));
    if let (None, Some(value)) = (primary, secondary) {
        mistakes.add_missing(
            &value.source,
            "the first connection string is missing (hub_connection_string)",
        );
    }
    let first = first?;
    if let (Some(second), Some(value)) = (&second, secondary)
        && (&second.host, &second.policy) != (&first.host, &first.policy)
    {
        mistakes.add(
            &value.source,
            "names another hub or policy than hub_connection_string; only the key may differ",
        );
    }
    Some(Profile::Hub {
        host: first.host,
        policy: first.policy,
        keys: KeyPair {
            primary: first.key,
            secondary: second.map(|second| second.key),
        },
    })
}
