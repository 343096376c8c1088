//! Reading and writing the type system (specification part 1).
//!
//! The reader accepts every encoding that the specification allows. It trusts no announced size or count: sizes are checked against
//! the bytes that are there, and it reserves hardly more value slots than the data has bytes. The writer chooses the shortest
//! encoding, except that composite types are lists at full length with explicit nulls behind a one-byte descriptor, because
//! official clients index by position.

mod composite;
pub(crate) mod constructor;
pub(crate) mod descriptor;
mod error;
mod primitive;
mod reader;
mod value;
mod writer;

pub(crate) use composite::{Composite, ListReader, composite, numbered};
pub use error::DecodeError;
pub(crate) use reader::Descriptor;
pub use reader::Reader;
pub(crate) use writer::{compound, described, list, patch};

use bytes::{Bytes, BytesMut};

use crate::value::Value;

/// A type that stands as one value on the wire.
pub(crate) trait Decode: Sized {
    /// Reads it, constructor included. After an error the reader's position means nothing.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// A type that stands as one value on the wire.
pub(crate) trait Encode {
    /// Writes it, constructor included.
    fn encode(&self, out: &mut BytesMut);
}

/// Reads exactly one value. Binaries share the memory of `bytes`.
///
/// # Errors
/// [`DecodeError`], also when bytes are left over.
pub fn decode_value(bytes: &Bytes) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = reader.value()?;
    reader.finish()?;
    Ok(value)
}

/// Appends one value in its shortest encoding.
pub fn encode_value(value: &Value, out: &mut BytesMut) {
    value.encode(out);
}

#[cfg(test)]
mod tests;
