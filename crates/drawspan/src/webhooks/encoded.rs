//! Bytes that came from outside, in JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A value for an event.
#[derive(Debug)]
pub(super) enum Encoded<'a> {
    /// Nothing was sent.
    Null,
    /// JSON, as it came.
    Json(&'a RawValue),
    /// Something else, in Base64.
    Base64(String),
}

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Json(json) => json.serialize(serializer),
            Self::Base64(text) => serializer.serialize_str(text),
        }
    }
}

/// The bytes as JSON if they are JSON, else in Base64 with the name of that encoding.
pub(super) fn encoded(bytes: &[u8]) -> (Encoded<'_>, Option<&'static str>) {
    match serde_json::from_slice::<&RawValue>(bytes) {
        Ok(json) => (Encoded::Json(json), None),
        Err(_) => (Encoded::Base64(STANDARD.encode(bytes)), Some("base64")),
    }
}
