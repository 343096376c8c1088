mod access;
mod modules;
mod registry;
mod registry_model;

use drawspan_hub::{DeviceId, SymmetricKey};

use super::device::{DeviceSpec, Fresh};
use super::token_life::{Presentation, SasGrace};

/// Something that is presented at this time of day.
pub(crate) fn presented(unix_s: u64) -> Presentation {
    Presentation {
        machine_unix_ms: unix_s * 1_000,
        elapsed: std::time::Duration::ZERO,
        grace: SasGrace::default(),
    }
}

pub(crate) fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(&[byte; 32]).unwrap()
}

pub(crate) fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

pub(crate) fn spec(text: &str) -> DeviceSpec {
    DeviceSpec::new(id(text))
}

/// Names and keys that tell their number.
pub(crate) fn fresh(number: u8) -> Fresh {
    Fresh {
        generation_id: format!("generation-{number}").into(),
        etag: format!("etag-{number}"),
        primary: key(number),
        secondary: key(number + 100),
    }
}
