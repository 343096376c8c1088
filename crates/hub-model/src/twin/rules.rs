//! Rules for the contents of a twin (article "Understand and use device twins in IoT Hub", sections "Tags and properties format"
//! and "Device twin size").

use std::fmt;

use serde_json::{Map, Value};

use crate::limits::{
    TWIN_DEPTH_MAX, TWIN_INTEGERS, TWIN_KEY_BYTES, TWIN_SHOWN_KEY_CHARS, TWIN_VALUE_BYTES,
};

/// Digits of the largest integer that the parser keeps as one.
const INTEGER_DIGITS: usize = 19;

/// A rule that was broken, with the name of the property as [`shown`] writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TwinRule {
    /// A name with characters that it cannot have.
    Key(String),
    /// A name that is empty or too long.
    KeyBytes(String),
    /// A `null` where nothing can be deleted: in an array, or in what replaces everything.
    Null(String),
    /// A text that is too long.
    Text(String),
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

/// The hub's own texts, where users have reported them: Azure/azure-iot-sdk-java #243, azure-iot-cli-extension #693,
/// iotedge #5921 and #7035.
impl fmt::Display for TwinRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => write!(
                f,
                "Property or Tag name has invalid characters. Error in Property/Tag {name}. Must not contain Control Characters, '.', '$', '#', or ' '."
            ),
            Self::KeyBytes(name) => write!(
                f,
                "Property or Tag name should be 1 to {TWIN_KEY_BYTES} bytes. Error in Property/Tag {name}"
            ),
            Self::Null(name) => write!(
                f,
                "Value of Property or Tag cannot be null. Error in Property/Tag {name}"
            ),
            Self::Text(name) => write!(
                f,
                "Property or Tag value should be maximum {TWIN_VALUE_BYTES} bytes. Error in Property/Tag {name}"
            ),
            Self::Depth => write!(f, "objects are nested at most {TWIN_DEPTH_MAX} deep"),
            Self::Integer => {
                let (from, to) = (TWIN_INTEGERS.start(), TWIN_INTEGERS.end());
                write!(f, "an integer is between {from} and {to}")
            }
            Self::TooLarge { max_bytes } => {
                write!(f, "size should be less than {max_bytes} bytes.")
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

/// The first rule that a patch breaks by itself. `deletes` is whether `null` deletes a property, as it does in a patch.
pub(super) fn broken(patch: &Map<String, Value>, deletes: bool) -> Option<TwinRule> {
    in_object(patch, 0, deletes)
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

fn in_object(object: &Map<String, Value>, depth: usize, deletes: bool) -> Option<TwinRule> {
    if depth > TWIN_DEPTH_MAX {
        return Some(TwinRule::Depth);
    }
    let in_entry = |(key, value): (&String, &Value)| {
        in_key(key).or_else(|| in_value(key, value, depth + 1, deletes))
    };
    object.iter().find_map(in_entry)
}

fn in_key(key: &str) -> Option<TwinRule> {
    let allowed = |c: char| !c.is_control() && !matches!(c, '.' | '$' | '#' | ' ');
    if !(1..=TWIN_KEY_BYTES).contains(&key.len()) {
        return Some(TwinRule::KeyBytes(shown(key)));
    }
    (!key.chars().all(allowed)).then(|| TwinRule::Key(shown(key)))
}

/// `name` is that of the property which has the value, or the array around it.
fn in_value(name: &str, value: &Value, depth: usize, deletes: bool) -> Option<TwinRule> {
    match value {
        Value::Null => (!deletes).then(|| TwinRule::Null(shown(name))),
        Value::Bool(_) => None,
        Value::Number(number) => {
            let integer = match (number.as_i64(), number.as_u64()) {
                (Some(integer), _) => Some(TWIN_INTEGERS.contains(&integer)),
                (None, Some(_)) => Some(false),
                (None, None) => None,
            };
            (integer == Some(false)).then_some(TwinRule::Integer)
        }
        Value::String(text) => (text.len() > TWIN_VALUE_BYTES).then(|| TwinRule::Text(shown(name))),
        // An array is replaced as a whole: nothing in it can be deleted.
        Value::Array(values) => values
            .iter()
            .find_map(|value| in_value(name, value, depth, false)),
        Value::Object(object) => in_object(object, depth, deletes),
    }
}

/// A name in an error: its beginning, on one line.
fn shown(name: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    name.chars()
        .take(TWIN_SHOWN_KEY_CHARS)
        .map(visible)
        .collect()
}
