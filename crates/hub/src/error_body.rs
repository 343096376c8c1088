//! The hub's refusals: JSON in AMQP error descriptions, JSON or `ErrorCode:Name;text` in HTTP bodies.
//!
//! [`HubError`] writes them (for the emulator), [`ErrorDescription`] reads them in any form (for the client).

use serde_json::{Map, Value, json};

use crate::error_code::ErrorCode;
use crate::limits::FAILURE_MESSAGE_MAX_CHARS;
use crate::time::UtcTime;

/// Bodies beyond this are not looked into.
const BODY_MAX_BYTES: usize = 16 * 1024;
/// How often JSON is looked for inside a JSON text: the hub nests once, Edge hubs twice.
const NESTING_MAX: u8 = 3;
const TRACKING_ID_MAX_CHARS: usize = 128;

/// A refusal to be written.
#[derive(Debug, Clone, Copy)]
pub struct HubError<'a> {
    /// The code.
    pub code: ErrorCode,
    /// Id by which the provider finds the refusal in its logs.
    pub tracking_id: &'a str,
    /// The description.
    pub message: &'a str,
    /// When.
    pub timestamp_utc: UtcTime,
}

impl HubError<'_> {
    /// The description of an AMQP error; also a body of DPS.
    #[must_use]
    pub fn to_description(&self) -> String {
        json!({
            "errorCode": self.code.number(),
            "trackingId": self.tracking_id,
            "message": self.message,
            "timestampUtc": self.timestamp_utc.to_string(),
        })
        .to_string()
    }

    /// The body of a refused HTTP request. Goes together with [`Self::header`]: clients compare the two.
    #[must_use]
    pub fn to_http_body(&self) -> String {
        let name = self.header();
        json!({
            "Message": format!("ErrorCode:{name};{}", self.message),
            "ExceptionMessage": format!("Tracking ID:{}", self.tracking_id),
        })
        .to_string()
    }

    /// The body of a refused method call: the description as JSON in JSON, with `info` (Azure/iotedge #98,
    /// azure-iot-sdk-csharp #3442). Goes together with [`Self::header`].
    #[must_use]
    pub fn to_method_body(&self, info: Value) -> String {
        let message = json!({
            "errorCode": self.code.number(),
            "trackingId": self.tracking_id,
            "message": self.message,
            "info": info,
            "timestampUtc": self.timestamp_utc.to_string(),
        });
        json!({ "Message": message.to_string(), "ExceptionMessage": "" }).to_string()
    }

    /// The value of header `iothub-errorcode`.
    #[must_use]
    pub fn header(&self) -> String {
        match self.code.name() {
            Some(name) => name.to_owned(),
            None => self.code.to_string(),
        }
    }
}

/// The readable part of a refusal. Secrets are removed and its length is limited, so that it can be logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorDescription {
    /// The code, if one was found as a number or by name.
    pub code: Option<ErrorCode>,
    /// Id by which the provider finds the refusal in its logs.
    pub tracking_id: Option<String>,
    /// The hub's description, as one line of at most [`FAILURE_MESSAGE_MAX_CHARS`] characters.
    pub message: String,
}

impl ErrorDescription {
    /// Reads a description or a body. Never fails: what is not understood becomes the message.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        found.read(text, NESTING_MAX);
        found
    }

    fn read(&mut self, text: &str, nesting: u8) {
        if nesting > 0 && text.len() <= BODY_MAX_BYTES {
            match serde_json::from_str(text) {
                Ok(Value::Object(object)) => return self.read_object(&object, nesting - 1),
                Ok(Value::String(inner)) => return self.read(&inner, nesting - 1),
                _ => {}
            }
        }
        self.read_plain(text);
    }

    fn read_object(&mut self, object: &Map<String, Value>, nesting: u8) {
        if let Some(text) = text_field(object, "exceptionmessage") {
            self.find_tracking_id(text);
        }
        if let Some(text) = text_field(object, "message") {
            self.read(text, nesting);
        }
        if let Some(code) = field(object, "errorcode").and_then(read_code) {
            self.code = Some(code);
        }
        if let Some(id) = text_field(object, "trackingid") {
            self.tracking_id = Some(clean(id, TRACKING_ID_MAX_CHARS));
        }
    }

    /// `ErrorCode:Name;text`, or just text.
    fn read_plain(&mut self, text: &str) {
        self.find_tracking_id(text);
        let named = text.trim().strip_prefix("ErrorCode:");
        let (name, message) = match named.map(|rest| rest.split_once(';').unwrap_or((rest, ""))) {
            Some((name, message)) => (Some(name.trim()), message),
            None => (None, text),
        };
        let code = name.and_then(|name| {
            let number = || name.parse().ok().and_then(ErrorCode::new);
            ErrorCode::from_name(name).or_else(number)
        });
        self.code = code;
        let message = if message.trim().is_empty() {
            name.unwrap_or_default()
        } else {
            message
        };
        self.message = clean(message, FAILURE_MESSAGE_MAX_CHARS);
    }

    /// `… Tracking ID:0123abcd-G:6-TimeStamp:02/21/2020 02:22:10 …`: the id is its first word.
    fn find_tracking_id(&mut self, text: &str) {
        if self.tracking_id.is_some() {
            return;
        }
        let id = text
            .split_once("Tracking ID:")
            .and_then(|(_, rest)| rest.split_whitespace().next());
        self.tracking_id = id.map(|id| clean(id, TRACKING_ID_MAX_CHARS));
    }
}

/// Makes one line of `text`, at most `limit` characters, without control characters and without anything that looks
/// like a token or key: a hub may quote what it was sent.
#[must_use]
pub fn clean(text: &str, limit: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let mut line = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        if line.len() > limit * 4 {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(if holds_secret(word) { "***" } else { word });
    }
    match line.char_indices().nth(limit) {
        Some((cut, _)) => line[..cut].to_owned(),
        None => line,
    }
}

fn holds_secret(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["sig=", "sharedaccesskey=", "sharedaccesskey\":", "sig%3d"]
        .iter()
        .any(|mark| word.contains(mark))
}

fn field<'a>(object: &'a Map<String, Value>, lower: &str) -> Option<&'a Value> {
    let same = |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case(lower);
    object.iter().find(same).map(|(_, value)| value)
}

fn text_field<'a>(object: &'a Map<String, Value>, lower: &str) -> Option<&'a str> {
    field(object, lower).and_then(Value::as_str)
}

fn read_code(value: &Value) -> Option<ErrorCode> {
    let number = match value {
        Value::String(text) => text.parse().ok()?,
        other => u32::try_from(other.as_u64()?).ok()?,
    };
    ErrorCode::new(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> HubError<'static> {
        HubError {
            code: ErrorCode::DEVICE_NOT_FOUND,
            tracking_id: "3f2a-G:6-TimeStamp:11/22/2026",
            message: "Device \"x\" is not registered",
            timestamp_utc: UtcTime::from_unix_ms(1_795_342_830_123),
        }
    }

    fn check(text: &str, code: Option<u32>, tracking_id: Option<&str>, message: &str) {
        let found = ErrorDescription::parse(text);
        let numbers = found.code.map(ErrorCode::number);
        assert_eq!(
            (
                numbers,
                found.tracking_id.as_deref(),
                found.message.as_str()
            ),
            (code, tracking_id, message),
            "{text}"
        );
    }

    #[test]
    fn writes_the_hubs_words() {
        assert_eq!(
            error().to_description(),
            r#"{"errorCode":404001,"message":"Device \"x\" is not registered","timestampUtc":"2026-11-22T10:20:30.1230000Z","trackingId":"3f2a-G:6-TimeStamp:11/22/2026"}"#
        );
        assert_eq!(
            error().to_http_body(),
            r#"{"ExceptionMessage":"Tracking ID:3f2a-G:6-TimeStamp:11/22/2026","Message":"ErrorCode:DeviceNotFound;Device \"x\" is not registered"}"#
        );
        assert_eq!(error().header(), "DeviceNotFound");
    }

    #[test]
    fn reads_what_it_writes() {
        let id = Some("3f2a-G:6-TimeStamp:11/22/2026");
        let message = "Device \"x\" is not registered";
        check(&error().to_description(), Some(404_001), id, message);
        check(&error().to_http_body(), Some(404_001), id, message);
        let nested = serde_json::to_string(&error().to_description()).unwrap();
        check(&nested, Some(404_001), id, message);
        let wrapped = json!({"Message": error().to_description(), "ExceptionMessage": ""});
        check(&wrapped.to_string(), Some(404_001), id, message);
    }

    #[test]
    fn reads_what_hubs_have_written() {
        check(
            r#"{"Message":"ErrorCode:DeviceNotOnline;Timed out waiting for device to connect.","ExceptionMessage":"Tracking ID:ab12-G:11-TimeStamp:07/16/2016 00:12:41"}"#,
            Some(404_103),
            Some("ab12-G:11-TimeStamp:07/16/2016"),
            "Timed out waiting for device to connect.",
        );
        check(
            "The maximum number of tokens per connection (1000) has been reached.",
            None,
            None,
            "The maximum number of tokens per connection (1000) has been reached.",
        );
        check(
            "ErrorCode:ThrottlingException",
            Some(429_001),
            None,
            "ThrottlingException",
        );
        check("ErrorCode:503777;odd", Some(503_777), None, "odd");
        check(
            r#"{"errorCode":"401003","message":"no"}"#,
            Some(401_003),
            None,
            "no",
        );
        check("", None, None, "");
        check("[1]", None, None, "[1]");
        check(r#"{"errorCode":-1}"#, None, None, "");
        check(r#"{"errorCode":99999999999}"#, None, None, "");
    }

    #[test]
    fn a_message_is_one_bounded_line_without_secrets() {
        check("a\r\nb\u{0}c\tä", None, None, "a b c ä");
        check(
            "bad token SharedAccessSignature sr=h&sig=abc%3D&se=1 refused",
            None,
            None,
            "bad token SharedAccessSignature *** refused",
        );
        let long = ErrorDescription::parse(&"ä".repeat(100_000)).message;
        assert_eq!(long.chars().count(), FAILURE_MESSAGE_MAX_CHARS);
        let many = ErrorDescription::parse(&"word ".repeat(100_000)).message;
        assert_eq!(many.chars().count(), FAILURE_MESSAGE_MAX_CHARS);
        let huge = format!(
            r#"{{"errorCode":404001,"x":"{}"}}"#,
            "x".repeat(BODY_MAX_BYTES)
        );
        assert_eq!(ErrorDescription::parse(&huge).code, None, "not looked into");
        let deep = "[".repeat(BODY_MAX_BYTES);
        assert_eq!(ErrorDescription::parse(&deep).code, None);
    }
}
