//! Bytes from outside, encoded in JSON.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drawspan_hub::text;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A value for an event.
#[derive(Debug)]
pub(crate) enum Encoded<'a> {
    /// Nothing was sent.
    Null,
    /// JSON, as it came.
    Json(&'a RawValue),
    /// JSON that came in UTF-16 or UTF-32.
    Decoded(Box<RawValue>),
    /// Something else, in Base64.
    Base64(String),
}

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Json(json) => json.serialize(serializer),
            Self::Decoded(json) => json.serialize(serializer),
            Self::Base64(text) => serializer.serialize_str(text),
        }
    }
}

/// The bytes as JSON if they are JSON, without their byte order mark; else all of them in Base64, with the name of that
/// encoding.
pub(crate) fn encoded(bytes: &[u8]) -> (Encoded<'_>, Option<&'static str>) {
    match json(bytes) {
        Some(json) => (json, None),
        None => (Encoded::Base64(STANDARD.encode(bytes)), Some("base64")),
    }
}

fn json(bytes: &[u8]) -> Option<Encoded<'_>> {
    match text::decode(bytes).ok()? {
        Cow::Borrowed(text) => serde_json::from_str(text).ok().map(Encoded::Json),
        Cow::Owned(text) => RawValue::from_string(text).ok().map(Encoded::Decoded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_loses_its_byte_order_mark_and_the_rest_stays_whole() {
        let check = |bytes: &[u8], expected: &str, encoding: Option<&str>| {
            let (shown, named) = encoded(bytes);
            let shown = serde_json::to_string(&shown).unwrap();
            assert_eq!((shown.as_str(), named), (expected, encoding), "{bytes:x?}");
        };
        check(b"{\"a\":1.50}", "{\"a\":1.50}", None);
        check(b"\xef\xbb\xbf{\"a\":1.50}", "{\"a\":1.50}", None);
        check(b"\xff\xfe\"\0\xe4\0\"\0 \0", "\"\u{e4}\"", None);
        check(b"\xfe\xff\x001", "1", None);
        check(b"\xef\xbb\xbf", "\"77u/\"", Some("base64"));
        check(b"\xef\xbb\xbfhi", "\"77u/aGk=\"", Some("base64"));
        check(b"\xff\xfe1", "\"//4x\"", Some("base64"));
        check(b"", "\"\"", Some("base64"));
    }
}
