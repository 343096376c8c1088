//! Tokens that clients put on their connections.

use std::time::{SystemTime, UNIX_EPOCH};

use drawspan_emulator::Running;
use drawspan_hub::{HostName, SymmetricKey, sas};

use super::client::{device, hub};
use crate::support::{HUB, key};

pub(super) fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A token of the hub's owner.
pub(super) fn owner() -> String {
    policy("iothubowner")
}

pub(super) fn policy(name: &str) -> String {
    sas::sign(HUB, &key(1), unix_s() + 3600, Some(name))
}

/// A token of a device, signed with its own key.
pub(super) fn device_token(running: &Running, id: &str) -> String {
    device_token_until(running, id, unix_s() + 3600)
}

pub(super) fn device_token_until(running: &Running, id: &str, expiry_unix_s: u64) -> String {
    let key = hub(running)
        .device_connection_string(&device(id))
        .unwrap()
        .key;
    device_token_by(&key, id, expiry_unix_s)
}

pub(super) fn device_token_by(key: &SymmetricKey, id: &str, expiry_unix_s: u64) -> String {
    let host = HostName::parse(HUB).unwrap();
    sas::sign(
        &sas::device_resource(&host, &device(id), None),
        key,
        expiry_unix_s,
        None,
    )
}
