//! The AMQP type system as Rust values (specification part 1).

mod compound;
mod symbol;

use bytes::Bytes;

pub use compound::{Array, Map, MixedArray};
pub use symbol::{NotAscii, Symbol};

/// Any AMQP value. Used where the specification leaves the type open: annotations, properties, filters, bodies.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `boolean`
    Bool(bool),
    /// `ubyte`
    Ubyte(u8),
    /// `ushort`
    Ushort(u16),
    /// `uint`
    Uint(u32),
    /// `ulong`
    Ulong(u64),
    /// `byte`
    Byte(i8),
    /// `short`
    Short(i16),
    /// `int`
    Int(i32),
    /// `long`
    Long(i64),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
    /// `decimal32`, as its bits
    Decimal32([u8; 4]),
    /// `decimal64`, as its bits
    Decimal64([u8; 8]),
    /// `decimal128`, as its bits
    Decimal128([u8; 16]),
    /// `char`
    Char(char),
    /// `timestamp`: milliseconds since the Unix epoch
    Timestamp(i64),
    /// `uuid`, in network order
    Uuid([u8; 16]),
    /// `binary`
    Binary(Bytes),
    /// `string`
    String(String),
    /// `symbol`
    Symbol(Symbol),
    /// `list`
    List(Vec<Value>),
    /// `map`
    Map(Map),
    /// `array`: values of one type
    Array(Array),
    /// A described value: descriptor, then value.
    Described(Box<(Value, Value)>),
}

impl Value {
    /// The text of a string or symbol.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Symbol(symbol) => Some(symbol.as_str()),
            _ => None,
        }
    }

    /// The number, from any integer type that fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Ubyte(number) => Some(number.into()),
            Self::Ushort(number) => Some(number.into()),
            Self::Uint(number) => Some(number.into()),
            Self::Ulong(number) => i64::try_from(number).ok(),
            Self::Byte(number) => Some(number.into()),
            Self::Short(number) => Some(number.into()),
            Self::Int(number) => Some(number.into()),
            Self::Long(number) => Some(number),
            _ => None,
        }
    }

    /// The number, from any integer type that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Ulong(number) => Some(number),
            _ => self.as_i64().and_then(|number| u64::try_from(number).ok()),
        }
    }

    /// The truth value of a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// The bytes of a binary.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The entries of a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Prefixes a value with a descriptor.
    #[must_use]
    pub fn described(descriptor: impl Into<Self>, value: impl Into<Self>) -> Self {
        Self::Described(Box::new((descriptor.into(), value.into())))
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident),* $(,)?) => {
        $(impl From<$source> for Value {
            fn from(source: $source) -> Self {
                Self::$variant(source.into())
            }
        })*
    };
}

from! {
    bool => Bool, u8 => Ubyte, u16 => Ushort, u32 => Uint, u64 => Ulong, i8 => Byte, i16 => Short, i32 => Int, i64 => Long,
    f32 => Float, f64 => Double, char => Char, &str => String, String => String, Symbol => Symbol, Bytes => Binary,
    Vec<Value> => List, Map => Map, Array => Array,
}

#[cfg(test)]
mod tests;
