//! Rules for the contents of a twin (article "Understand and use device twins in IoT Hub", sections "Tags and properties format"
//! and "Device twin size").

use std::fmt;

use serde_json::{Map, Value};

use crate::limits::{TWIN_DEPTH_MAX, TWIN_INTEGERS, TWIN_KEY_BYTES, TWIN_VALUE_BYTES};

/// Digits of the largest integer that the parser keeps as one.
const INTEGER_DIGITS: usize = 19;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TwinRule {
    /// A name that cannot be.
    Key,
    /// A text that is too long.
    Text,
    /// Objects in objects, too deep.
    Depth,
    /// An integer beyond what all clients can hold.
    Integer,
    /// The whole twin.
    TooLarge {
        /// The maximum size.
        max_bytes: usize,
    },
}

impl fmt::Display for TwinRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => write!(
                f,
                "a name has 1 to {TWIN_KEY_BYTES} bytes, and must not contain control characters, '.', '$', '#' or space"
            ),
            Self::Text => write!(f, "a text has at most {TWIN_VALUE_BYTES} bytes"),
            Self::Depth => write!(f, "objects are nested at most {TWIN_DEPTH_MAX} deep"),
            Self::Integer => {
                let (from, to) = (TWIN_INTEGERS.start(), TWIN_INTEGERS.end());
                write!(f, "an integer is between {from} and {to}")
            }
            Self::TooLarge { max_bytes } => {
                write!(
                    f,
                    "names and values have at most {max_bytes} bytes together"
                )
            }
        }
    }
}

/// Whether JSON text has an integer beyond 64 bits. The parser makes a float of it, after which [`broken`] cannot see that it
/// was written as an integer.
pub(super) fn has_huge_integer(json: &[u8]) -> bool {
    let (mut in_text, mut escaped, mut digits) = (false, false, 0_usize);
    let mut whole = true;
    for byte in json.iter().chain(b" ") {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'0'..=b'9' => digits += 1,
            b'.' | b'e' | b'E' => whole = false,
            b'-' | b'+' => {}
            _ => {
                if whole && digits > INTEGER_DIGITS {
                    return true;
                }
                (digits, whole) = (0, true);
            }
        }
    }
    false
}

/// The first rule that a patch breaks by itself.
pub(super) fn broken(patch: &Map<String, Value>) -> Option<TwinRule> {
    in_object(patch, 0)
}

/// Bytes that count: names and texts as UTF-8, 8 for a number, 4 for a boolean.
pub(super) fn size(object: &Map<String, Value>) -> usize {
    let of = |(key, value): (&String, &Value)| key.len() + size_of(value);
    object.iter().map(of).sum()
}

/// Bytes of one value.
pub(super) fn size_of(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(size_of).sum(),
        Value::Object(object) => size(object),
    }
}

fn in_object(object: &Map<String, Value>, depth: usize) -> Option<TwinRule> {
    if depth > TWIN_DEPTH_MAX {
        return Some(TwinRule::Depth);
    }
    let in_entry = |(key, value): (&String, &Value)| {
        if is_key(key) {
            in_value(value, depth + 1)
        } else {
            Some(TwinRule::Key)
        }
    };
    object.iter().find_map(in_entry)
}

fn in_value(value: &Value, depth: usize) -> Option<TwinRule> {
    match value {
        Value::Null | Value::Bool(_) => None,
        Value::Number(number) => {
            let integer = match (number.as_i64(), number.as_u64()) {
                (Some(integer), _) => Some(TWIN_INTEGERS.contains(&integer)),
                (None, Some(_)) => Some(false),
                (None, None) => None,
            };
            (integer == Some(false)).then_some(TwinRule::Integer)
        }
        Value::String(text) => (text.len() > TWIN_VALUE_BYTES).then_some(TwinRule::Text),
        Value::Array(values) => values.iter().find_map(|value| in_value(value, depth)),
        Value::Object(object) => in_object(object, depth),
    }
}

fn is_key(key: &str) -> bool {
    let allowed = |c: char| !c.is_control() && !matches!(c, '.' | '$' | '#' | ' ');
    (1..=TWIN_KEY_BYTES).contains(&key.len()) && key.chars().all(allowed)
}
