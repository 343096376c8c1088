//! `message-id` and `correlation-id`.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{Decode, DecodeError, Encode, Reader, constructor};
use crate::value::Value;

/// An identifier of a message (specification 3.2.11 to 3.2.14). Its type is part of it: a reply that correlates by
/// another type is not recognised by official clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MessageId {
    /// `ulong`
    Ulong(u64),
    /// `uuid`, in network order
    Uuid([u8; 16]),
    /// `binary`
    Binary(Bytes),
    /// `string`
    String(String),
}

/// As text for other protocols: a uuid in lower case with hyphens, a binary as hexadecimal digits.
impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ulong(number) => number.fmt(f),
            Self::Uuid(uuid) => uuid.iter().enumerate().try_for_each(|(index, byte)| {
                let hyphen = if matches!(index, 4 | 6 | 8 | 10) {
                    "-"
                } else {
                    ""
                };
                write!(f, "{hyphen}{byte:02x}")
            }),
            Self::Binary(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::String(text) => f.write_str(text),
        }
    }
}

impl Decode for MessageId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.value()? {
            Value::Ulong(number) => Ok(Self::Ulong(number)),
            Value::Uuid(uuid) => Ok(Self::Uuid(uuid)),
            Value::Binary(bytes) => Ok(Self::Binary(bytes)),
            Value::String(text) => Ok(Self::String(text)),
            _ => Err(DecodeError::InvalidValue("message id")),
        }
    }
}

impl Encode for MessageId {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Ulong(number) => number.encode(out),
            Self::Uuid(uuid) => {
                out.put_u8(constructor::UUID);
                out.put_slice(uuid);
            }
            Self::Binary(bytes) => bytes.encode(out),
            Self::String(text) => text.encode(out),
        }
    }
}

impl From<u64> for MessageId {
    fn from(number: u64) -> Self {
        Self::Ulong(number)
    }
}

impl From<[u8; 16]> for MessageId {
    fn from(uuid: [u8; 16]) -> Self {
        Self::Uuid(uuid)
    }
}

impl From<&str> for MessageId {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for MessageId {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<MessageId> for Value {
    fn from(id: MessageId) -> Self {
        match id {
            MessageId::Ulong(number) => Self::Ulong(number),
            MessageId::Uuid(uuid) => Self::Uuid(uuid),
            MessageId::Binary(bytes) => Self::Binary(bytes),
            MessageId::String(text) => Self::String(text),
        }
    }
}
