//! The device-to-cloud message.
//!
//! The type does not depend on AMQP: the client crate encodes it. Its place on the wire is that of the official clients and the
//! original bridge.

use std::borrow::Cow;

use bytes::Bytes;
use thiserror::Error;

use crate::limits::D2C_MESSAGE_MAX_BYTES;
use crate::time::UtcTime;

/// Name of the message annotation that carries the component.
pub const COMPONENT_ANNOTATION: &str = "dt-subject";
/// Name of the application property that carries the creation time.
pub const CREATION_TIME_PROPERTY: &str = "iothub-creation-time-utc";

const JSON: &str = "application/json";
const UTF_8: &str = "utf-8";

/// A device-to-cloud message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// The body, passed on byte for byte, as one data section.
    pub body: Bytes,
    /// Property `content-type`.
    pub content_type: Option<Cow<'static, str>>,
    /// Property `content-encoding`.
    pub content_encoding: Option<Cow<'static, str>>,
    /// The component that speaks: annotation [`COMPONENT_ANNOTATION`].
    pub component: Option<String>,
    /// When it was made: application property [`CREATION_TIME_PROPERTY`].
    pub creation_time_utc: Option<UtcTime>,
    /// The user's properties: application properties, text only.
    pub properties: Vec<(String, String)>,
    /// Property `message-id`.
    pub message_id: Option<String>,
    /// Property `correlation-id`.
    pub correlation_id: Option<String>,
}

/// A message larger than the hub takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the message has {size_bytes} bytes (body, system and application properties), at most {limit_bytes} are allowed"
)]
pub struct MessageTooLarge {
    /// Size found.
    pub size_bytes: usize,
    /// Size allowed.
    pub limit_bytes: usize,
}

impl Telemetry {
    /// A JSON body, declared as the original bridge does: `application/json`, `utf-8`.
    #[must_use]
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            content_type: Some(Cow::Borrowed(JSON)),
            content_encoding: Some(Cow::Borrowed(UTF_8)),
            ..Self::default()
        }
    }

    /// The application properties as they go out: the user's, then the creation time. A user's property of that name
    /// gives way to the real one, because a key may stand in a map only once.
    pub fn application_properties(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let created = self
            .creation_time_utc
            .map(|time| (CREATION_TIME_PROPERTY, Cow::Owned(time.to_string())));
        let has_time = created.is_some();
        self.properties
            .iter()
            .filter(move |(name, _)| !(has_time && name == CREATION_TIME_PROPERTY))
            .map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str())))
            .chain(created)
    }

    /// The size that the hub counts: body, values of system properties, names and values of the user's.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let text = |value: &Option<String>| value.as_ref().map_or(0, String::len);
        let word = |value: &Option<Cow<'static, str>>| value.as_ref().map_or(0, |v| v.len());
        let created = self.creation_time_utc.map_or(0, |_| CREATION_TIME_BYTES);
        let user: usize = self
            .properties
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        self.body.len()
            + word(&self.content_type)
            + word(&self.content_encoding)
            + text(&self.component)
            + text(&self.message_id)
            + text(&self.correlation_id)
            + created
            + user
    }

    /// Whether the hub takes a message of this size.
    pub fn check_size(&self) -> Result<(), MessageTooLarge> {
        let size_bytes = self.size_bytes();
        let limit_bytes = D2C_MESSAGE_MAX_BYTES;
        if size_bytes > limit_bytes {
            return Err(MessageTooLarge {
                size_bytes,
                limit_bytes,
            });
        }
        Ok(())
    }
}

/// Length of every [`UtcTime`] as text.
const CREATION_TIME_BYTES: usize = "2026-11-22T10:20:30.1234567Z".len();

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Telemetry {
        Telemetry {
            component: Some("pump".into()),
            creation_time_utc: Some(UtcTime::from_unix_ms(0)),
            properties: vec![("room".into(), "12".into())],
            message_id: Some("m-1".into()),
            correlation_id: Some("c".into()),
            ..Telemetry::json("{}")
        }
    }

    #[test]
    fn json_is_declared_as_the_original_did() {
        let message = Telemetry::json(r#"{"t":1}"#);
        assert_eq!(message.content_type.as_deref(), Some("application/json"));
        assert_eq!(message.content_encoding.as_deref(), Some("utf-8"));
        assert_eq!(&message.body[..], br#"{"t":1}"#);
    }

    #[test]
    fn creation_time_is_the_last_application_property() {
        let message = full();
        let properties: Vec<_> = message.application_properties().collect();
        assert_eq!(
            properties,
            [
                ("room", Cow::Borrowed("12")),
                (
                    "iothub-creation-time-utc",
                    Cow::Borrowed("1970-01-01T00:00:00.0000000Z")
                ),
            ]
        );
    }

    #[test]
    fn a_property_never_goes_out_twice() {
        let mut message = full();
        message.properties = vec![(CREATION_TIME_PROPERTY.into(), "mine".into())];
        assert_eq!(message.application_properties().count(), 1);

        message.creation_time_utc = None;
        let properties: Vec<_> = message.application_properties().collect();
        assert_eq!(
            properties,
            [(CREATION_TIME_PROPERTY, Cow::Borrowed("mine"))]
        );
    }

    #[test]
    fn size_counts_all_parts_and_the_limit_is_exact() {
        // {} + application/json + utf-8 + pump + time + room + 12 + m-1 + c
        assert_eq!(full().size_bytes(), 2 + 16 + 5 + 4 + 28 + 4 + 2 + 3 + 1);

        let mut message = Telemetry {
            body: Bytes::from(vec![b' '; D2C_MESSAGE_MAX_BYTES]),
            ..Telemetry::default()
        };
        assert_eq!(message.check_size(), Ok(()));
        message.properties.push(("a".into(), String::new()));
        assert_eq!(
            message.check_size(),
            Err(MessageTooLarge {
                size_bytes: 262_145,
                limit_bytes: 262_144
            })
        );
    }
}
