//! Ids of events. An event that a receiver may see again has the same id, even after a restart.

use std::fmt::{self, Write as _};

use drawspan_hub::C2dMessage;
use sha2::{Digest as _, Sha256};

/// Bytes of a hash that stand for the whole.
const HASH_BYTES: usize = 16;

/// Unguessable ids that do not repeat: SHA-256 of a secret seed and a counter.
#[derive(Clone)]
pub struct Secrets {
    seed: [u8; 32],
    next: u64,
}

impl Secrets {
    /// From random bytes of the system.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, next: 0 }
    }

    /// The next one.
    pub(crate) fn draw(&mut self) -> String {
        self.next += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.next.to_be_bytes());
        hex(hash.finalize().get(..HASH_BYTES).unwrap_or_default())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// Of a direct method: the hub has an id for it.
pub(crate) fn method(request: &impl fmt::Display) -> String {
    format!("method_{request}")
}

/// Of a cloud-to-device message, by the hub's number for it.
pub(crate) fn c2d(hub: &str, device: &str, message: &C2dMessage, secrets: &mut Secrets) -> String {
    let number = match (message.sequence_number, &message.lock_token) {
        (Some(number), _) => number.to_string(),
        // No hub is known to leave the number out; deliveries differ then.
        (None, Some(token)) => hex(token),
        (None, None) => secrets.draw(),
    };
    format!("c2d_{}", hash(&[hub, device, &number]))
}

/// Of desired properties, by their version.
pub(crate) fn desired(
    hub: &str,
    device: &str,
    version: Option<i64>,
    full: bool,
    secrets: &mut Secrets,
) -> String {
    let version = version.map_or_else(|| secrets.draw(), |it| it.to_string());
    let part = if full { "full" } else { "change" };
    format!("desired_{}", hash(&[hub, device, &version, part]))
}

/// Of a change of a connection: there is no other like it.
pub(crate) fn status(secrets: &mut Secrets) -> String {
    format!("status_{}", secrets.draw())
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
        let mut secrets = Secrets::new([7; 32]);
        let mut c2d =
            |hub, device, message: &C2dMessage| super::c2d(hub, device, message, &mut secrets);
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
        let mut desired = |full| super::desired("hub", "d", Some(3), full, &mut secrets);
        let change = desired(false);
        assert_eq!(change, desired(false));
        assert_ne!(change, desired(true));
        assert_ne!(status(&mut secrets), status(&mut secrets));
    }
}
