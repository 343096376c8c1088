//! Connection strings: `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…` of a hub policy,
//! `HostName=…;DeviceId=…;SharedAccessKey=…` of a device, and
//! `Endpoint=sb://…/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=…` of a hub's event endpoint.

use std::fmt;

use thiserror::Error;

use crate::ids::{DeviceId, HostName, InvalidId};
use crate::key::{InvalidKey, SymmetricKey};
use crate::limits::CONNECTION_STRING_MAX_CHARS;

const HOST: &str = "HostName";
const POLICY: &str = "SharedAccessKeyName";
const KEY: &str = "SharedAccessKey";
const DEVICE: &str = "DeviceId";
const X509: &str = "x509";
const CERTIFICATE_FILE: &str = "CertificateFile";
const KEY_FILE: &str = "KeyFile";
const ENDPOINT: &str = "Endpoint";
const ENTITY: &str = "EntityPath";
/// Scheme of an event endpoint.
const SCHEME: &str = "sb://";

/// Access to a hub by one of its policies. `Display` and `Debug` show no key.
#[derive(Debug, Clone)]
pub struct HubConnectionString {
    /// The hub.
    pub host: HostName,
    /// The policy's name, never empty.
    pub policy: String,
    /// The policy's key.
    pub key: SymmetricKey,
}

/// Access to a hub as one device. `Display` and `Debug` show no key.
#[derive(Debug, Clone)]
pub struct DeviceConnectionString {
    /// The hub.
    pub host: HostName,
    /// The device.
    pub device_id: DeviceId,
    /// The device's key.
    pub key: SymmetricKey,
}

/// Access to a hub as one device by a certificate:
/// `HostName=…;DeviceId=…;x509=true;CertificateFile=…;KeyFile=…`. SDKs take the first three parts of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedConnectionString {
    /// The hub.
    pub host: HostName,
    /// The device.
    pub device_id: DeviceId,
    /// Path of the certificate's PEM file.
    pub certificate_file: String,
    /// Path of the key's PEM file.
    pub key_file: String,
}

/// Access to a hub's Event Hubs-compatible endpoint. `Debug` shows no key.
#[derive(Debug, Clone)]
pub struct EventHubConnectionString {
    /// The endpoint, which is not the hub.
    pub host: HostName,
    /// The policy's name, never empty.
    pub policy: String,
    /// The policy's key.
    pub key: SymmetricKey,
    /// The Event Hubs-compatible name.
    pub entity: String,
}

/// Why a text is not a connection string. Holds nothing of the text but what names its mistake, never a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidConnectionString {
    /// Longer than any connection string.
    #[error(
        "the connection string has {length} characters, at most {CONNECTION_STRING_MAX_CHARS} are allowed"
    )]
    TooLong {
        /// Length found.
        length: usize,
    },
    /// An unknown part, or one without `=`. The part may be a stray key, so it is not shown.
    #[error("part {number} of the connection string is not one of {expected}")]
    Part {
        /// The part's number, from 1.
        number: usize,
        /// The names that may stand there.
        expected: &'static str,
    },
    /// A part is missing, or empty.
    #[error("the connection string has no {name}")]
    Missing {
        /// The missing name.
        name: &'static str,
    },
    /// A part is there twice.
    #[error("the connection string has {name} twice")]
    Twice {
        /// The repeated name.
        name: &'static str,
    },
    /// `Endpoint` is not an address.
    #[error("Endpoint must be sb://HOST/")]
    Endpoint,
    /// `x509` is something else than `true`.
    #[error("x509 must be true, or not be there")]
    X509,
    /// The host or the device id is invalid.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// The key is invalid.
    #[error("SharedAccessKey: {0}")]
    Key(#[from] InvalidKey),
}

impl HubConnectionString {
    /// Reads a policy's connection string. Names compare without case, as in the SDKs.
    pub fn parse(text: &str) -> Result<Self, InvalidConnectionString> {
        const EXPECTED: &str = "HostName=, SharedAccessKeyName=, SharedAccessKey=";
        let [host, policy, key] = split(text, [HOST, POLICY, KEY], EXPECTED)?;
        Ok(Self {
            host: HostName::parse(host)?,
            policy: policy.to_owned(),
            key: SymmetricKey::from_base64(key)?,
        })
    }

    /// The whole string with the key: a secret, not for logs.
    #[must_use]
    pub fn to_secret_string(&self) -> String {
        let Self { host, policy, key } = self;
        format!("{HOST}={host};{POLICY}={policy};{KEY}={}", key.to_base64())
    }
}

impl CertifiedConnectionString {
    /// Whether a text is meant as one: it says `x509`.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        let names = text.split(';').filter_map(|part| part.split_once('='));
        let mut names = names.map(|(name, _)| name.trim());
        names.any(|name| name.eq_ignore_ascii_case(X509))
    }

    /// Parses a device's connection string. Names compare without case.
    ///
    /// # Errors
    /// As for one with a key; also when `x509` is not `true`.
    pub fn parse(text: &str) -> Result<Self, InvalidConnectionString> {
        const EXPECTED: &str = "HostName=, DeviceId=, x509=true, CertificateFile=, KeyFile=";
        let names = [HOST, DEVICE, X509, CERTIFICATE_FILE, KEY_FILE];
        let [host, device_id, x509, certificate_file, key_file] = split(text, names, EXPECTED)?;
        if !x509.eq_ignore_ascii_case("true") {
            return Err(InvalidConnectionString::X509);
        }
        Ok(Self {
            host: HostName::parse(host)?,
            device_id: DeviceId::parse(device_id)?,
            certificate_file: certificate_file.to_owned(),
            key_file: key_file.to_owned(),
        })
    }
}

impl DeviceConnectionString {
    /// Parses a device's connection string. Names compare without case, as in the SDKs. A device id with `;` cannot be written this
    /// way.
    pub fn parse(text: &str) -> Result<Self, InvalidConnectionString> {
        const EXPECTED: &str = "HostName=, DeviceId=, SharedAccessKey=";
        let [host, device_id, key] = split(text, [HOST, DEVICE, KEY], EXPECTED)?;
        Ok(Self {
            host: HostName::parse(host)?,
            device_id: DeviceId::parse(device_id)?,
            key: SymmetricKey::from_base64(key)?,
        })
    }

    /// The whole string with the key: a secret, not for logs.
    #[must_use]
    pub fn to_secret_string(&self) -> String {
        let Self {
            host,
            device_id,
            key,
        } = self;
        format!(
            "{HOST}={host};{DEVICE}={device_id};{KEY}={}",
            key.to_base64()
        )
    }
}

impl EventHubConnectionString {
    /// Whether a text looks like one, rather than like a hub's connection string.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        let starts = |part: &str| {
            let name = part.split('=').next().unwrap_or_default().trim();
            name.eq_ignore_ascii_case(ENDPOINT)
        };
        text.split(';').any(starts)
    }

    /// Reads the connection string of an event endpoint, as the portal shows it. Names compare without case.
    ///
    /// # Errors
    /// [`InvalidConnectionString`].
    pub fn parse(text: &str) -> Result<Self, InvalidConnectionString> {
        const EXPECTED: &str = "Endpoint=, SharedAccessKeyName=, SharedAccessKey=, EntityPath=";
        let [endpoint, policy, key, entity] =
            split(text, [ENDPOINT, POLICY, KEY, ENTITY], EXPECTED)?;
        let host = endpoint
            .strip_prefix(SCHEME)
            .ok_or(InvalidConnectionString::Endpoint)?;
        Ok(Self {
            host: HostName::parse(host.strip_suffix('/').unwrap_or(host))?,
            policy: policy.to_owned(),
            key: SymmetricKey::from_base64(key)?,
            entity: entity.to_owned(),
        })
    }
}

impl fmt::Display for HubConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HOST}={};{POLICY}={};{KEY}=***", self.host, self.policy)
    }
}

impl fmt::Display for DeviceConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{HOST}={};{DEVICE}={};{KEY}=***",
            self.host, self.device_id
        )
    }
}

/// The values of exactly the given names, in their order.
fn split<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
    expected: &'static str,
) -> Result<[&'a str; N], InvalidConnectionString> {
    if text.len() > CONNECTION_STRING_MAX_CHARS {
        return Err(InvalidConnectionString::TooLong { length: text.len() });
    }
    let mut values = [""; N];
    for (index, part) in text.trim().split(';').enumerate() {
        if part.is_empty() {
            continue;
        }
        let unknown = InvalidConnectionString::Part {
            number: index + 1,
            expected,
        };
        let Some((name, value)) = part.split_once('=') else {
            return Err(unknown);
        };
        let name = name.trim();
        let slot = names
            .into_iter()
            .zip(values.iter_mut())
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        match slot {
            None => return Err(unknown),
            Some((name, slot)) if !slot.is_empty() => {
                return Err(InvalidConnectionString::Twice { name });
            }
            Some((_, slot)) => *slot = value.trim(),
        }
    }
    match names.into_iter().zip(values).find(|(_, v)| v.is_empty()) {
        Some((name, _)) => Err(InvalidConnectionString::Missing { name }),
        None => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";

    #[test]
    fn reads_a_policy() {
        let text = format!(
            "HostName=Contoso.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey={SECRET}"
        );
        let parsed = HubConnectionString::parse(&text).unwrap();

        assert_eq!(parsed.host.as_str(), "contoso.azure-devices.net");
        assert_eq!(parsed.policy, "iothubowner");
        assert_eq!(parsed.key.to_base64(), SECRET);
        assert_eq!(parsed.to_secret_string(), text.replace('C', "c"));
        assert!(!format!("{parsed} {parsed:?}").contains(SECRET));
    }

    #[test]
    fn reads_a_device_in_any_order_and_case() {
        let text = format!("sharedaccesskey={SECRET}; deviceid=A=b,%; HOSTNAME=h.net;");
        let parsed = DeviceConnectionString::parse(&text).unwrap();

        assert_eq!(parsed.device_id.as_str(), "A=b,%");
        assert_eq!(
            parsed.to_secret_string(),
            format!("HostName=h.net;DeviceId=A=b,%;SharedAccessKey={SECRET}")
        );
        assert!(!format!("{parsed} {parsed:?}").contains(SECRET));
    }

    #[test]
    fn reads_an_event_endpoint() {
        let text = format!(
            "Endpoint=sb://ihsuprod.servicebus.windows.net/;SharedAccessKeyName=service;SharedAccessKey={SECRET};EntityPath=iothub-ehub-contoso-1-2"
        );
        assert!(EventHubConnectionString::is_meant(&text));
        assert!(!EventHubConnectionString::is_meant("HostName=h;x"));
        let parsed = EventHubConnectionString::parse(&text).unwrap();
        assert_eq!(parsed.host.as_str(), "ihsuprod.servicebus.windows.net");
        assert_eq!(parsed.entity, "iothub-ehub-contoso-1-2");
        assert!(!format!("{parsed:?}").contains(SECRET));
        let check = |text: &str, expected: &str| {
            let error = EventHubConnectionString::parse(text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        let without = text
            .replace("EntityPath", "Entitypath")
            .replace("sb:", "https:");
        check(&without, "Endpoint must be sb://HOST/");
        let (without, _) = text.split_once(";EntityPath").unwrap();
        check(without, "the connection string has no EntityPath");
    }

    #[test]
    fn names_the_mistake_without_the_key() {
        let check = |text: &str, expected: &str| {
            let error = HubConnectionString::parse(text).unwrap_err().to_string();
            assert_eq!(error, expected, "{text}");
            assert!(!error.contains("MDEy"));
        };
        let missing = "the connection string has no ";
        check("", &format!("{missing}HostName"));
        check(
            "HostName=h;SharedAccessKeyName=p",
            &format!("{missing}SharedAccessKey"),
        );
        check("HostName=;SharedAccessKey=x", &format!("{missing}HostName"));
        check(
            "HostName=h;hostname=h",
            "the connection string has HostName twice",
        );
        let expected = "is not one of HostName=, SharedAccessKeyName=, SharedAccessKey=";
        check(
            &format!("HostName=h;{SECRET}"),
            &format!("part 2 of the connection string {expected}"),
        );
        check(
            "HostName=h;GatewayHostName=g",
            &format!("part 2 of the connection string {expected}"),
        );
        check(
            "HostName=h_h;SharedAccessKeyName=p;SharedAccessKey=MDEy",
            "invalid host name: character '_' at position 2 is not allowed",
        );
        check(
            "HostName=h;SharedAccessKeyName=p;SharedAccessKey=MDEy",
            "SharedAccessKey: the key has 3 bytes, 16 to 64 are allowed",
        );
        check(
            &"x".repeat(5000),
            "the connection string has 5000 characters, at most 4096 are allowed",
        );
    }
}
