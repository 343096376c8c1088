//! Ids of events: the same for the same thing, also after a restart, where a receiver may see it again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use drawspan_client::MethodRequestId;
use drawspan_hub::C2dMessage;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// Bytes of a hash that stand for the whole.
const HASH_BYTES: usize = 16;

/// Of a direct method: the hub has an id for it.
pub(super) fn method(request: &MethodRequestId) -> String {
    format!("method_{request}")
}

/// Of a cloud-to-device message, by the hub's number for it.
pub(super) fn c2d(hub: &str, device: &str, message: &C2dMessage) -> String {
    let number = match (message.sequence_number, &message.lock_token) {
        (Some(number), _) => number.to_string(),
        // No hub is known to leave the number out; deliveries differ then.
        (None, Some(token)) => hex(token),
        (None, None) => hex(&random::<HASH_BYTES>()),
    };
    format!("c2d_{}", hash(&[hub, device, &number]))
}

/// Of desired properties, by their version.
pub(super) fn desired(hub: &str, device: &str, version: Option<i64>, full: bool) -> String {
    let version = version.map_or_else(|| hex(&random::<HASH_BYTES>()), |it| it.to_string());
    let part = if full { "full" } else { "change" };
    format!("desired_{}", hash(&[hub, device, &version, part]))
}

/// Of a change of a connection: there is no other like it.
pub(super) fn status() -> String {
    format!("status_{}", hex(&random::<HASH_BYTES>()))
}

/// A name that nobody can guess.
pub(super) fn secret() -> String {
    hex(&random::<HASH_BYTES>())
}

/// `$version` of desired properties.
pub(super) fn version_of(properties: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Version {
        #[serde(rename = "$version")]
        version: i64,
    }
    let read: Version = serde_json::from_slice(properties).ok()?;
    Some(read.version)
}

/// Whether a section has no member but those of the hub, which begin with `$`.
pub(super) fn is_empty(properties: &[u8]) -> bool {
    let members: Result<HashMap<Cow<'_, str>, &RawValue>, _> = serde_json::from_slice(properties);
    members.is_ok_and(|members| members.keys().all(|name| name.starts_with('$')))
}

fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // No part has a line break.
        hash.update(part.as_bytes());
        hash.update(b"\n");
    }
    hex(hash.finalize().get(..HASH_BYTES).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Random bytes of the system. Without any there is nothing to be done: names repeat then, and secrets are none.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the system has no random bytes");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: u64) -> C2dMessage {
        C2dMessage {
            sequence_number: Some(number),
            ..C2dMessage::default()
        }
    }

    #[test]
    fn the_same_thing_has_the_same_name() {
        let name = c2d("hub", "d", &numbered(7));
        assert_eq!(name, c2d("hub", "d", &numbered(7)));
        assert_eq!(name.len(), "c2d_".len() + 2 * HASH_BYTES);
        for other in [
            c2d("hub", "d", &numbered(8)),
            c2d("hub", "d7", &numbered(7)),
            c2d("other", "d", &numbered(7)),
        ] {
            assert_ne!(name, other);
        }
        let change = desired("hub", "d", Some(3), false);
        assert_eq!(change, desired("hub", "d", Some(3), false));
        assert_ne!(change, desired("hub", "d", Some(3), true));
        assert_ne!(status(), status());
        assert_ne!(secret(), secret());
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(
            version_of(br#"{"a":{"$version":1},"$version":17}"#),
            Some(17)
        );
        assert_eq!(version_of(b"{}"), None);
    }

    #[test]
    fn what_the_hub_adds_is_no_property() {
        assert!(is_empty(br#"{"$version":1,"$metadata":{"a":{}}}"#));
        assert!(!is_empty(br#"{"a":null,"$version":1}"#));
        assert!(!is_empty(br#"{"$version":1"#));
    }
}
