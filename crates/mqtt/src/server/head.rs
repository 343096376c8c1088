//! The head of a connection's first packet, by which the version of MQTT is known before anything of it is trusted.

use super::ServerError;
use crate::limits::{CONNECT_BYTES_MAX, HEAD_BYTES_MAX};

const CONNECT: u8 = 0x10;
/// MQTT 3.1.1.
const LEVEL_3_1_1: u8 = 4;
const LEVEL_5: u8 = 5;

/// What came so far, while it does not tell the version.
#[derive(Debug, Default)]
pub(super) struct Head(Vec<u8>);

impl Head {
    /// Everything that came, once it is known to begin a CONNECT of MQTT 3.1.1; `None` while there is too little.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, ServerError> {
        self.0.extend_from_slice(bytes);
        match level(&self.0)? {
            None if self.0.len() >= HEAD_BYTES_MAX => Err(ServerError::NotMqtt),
            None => Ok(None),
            Some(LEVEL_3_1_1) => Ok(Some(std::mem::take(&mut self.0))),
            Some(other) => Err(ServerError::UnsupportedVersion(other)),
        }
    }
}

/// The protocol level that a CONNECT names; `None` if it is not there yet.
fn level(bytes: &[u8]) -> Result<Option<u8>, ServerError> {
    let Some((first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    if *first != CONNECT {
        return Err(ServerError::NotMqtt);
    }
    let mut length = 0;
    let mut body = None;
    for (at, byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            body = rest.get(at + 1..);
            break;
        }
    }
    let Some(body) = body else {
        return if rest.len() < 4 {
            Ok(None)
        } else {
            Err(ServerError::NotMqtt)
        };
    };
    if length > CONNECT_BYTES_MAX {
        return Err(ServerError::PacketTooLarge);
    }
    // The name that versions before 3.1.1 had is longer.
    for name in [&b"\0\x04MQTT"[..], b"\0\x06MQIsdp"] {
        if let Some(rest) = body.strip_prefix(name) {
            return Ok(rest.first().copied());
        }
        if name.starts_with(body) {
            return Ok(None);
        }
    }
    Err(ServerError::NotMqtt)
}

/// CONNACK, in the form of the client's version, that refuses that version.
pub(super) fn refusal_of(level: u8, mqtt_5_reason: u8) -> Vec<u8> {
    match level {
        // No properties.
        LEVEL_5 => vec![0x20, 3, 0, mqtt_5_reason, 0],
        // Return code 1.
        _ => vec![0x20, 2, 0, 1],
    }
}
