//! The AMQP type system as Rust values (specification part 1).

use std::borrow::Cow;

use bytes::Bytes;

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

/// ASCII text from a constrained domain (specification 1.6.21).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(Cow<'static, str>);

/// Key-value pairs in the order of the wire; keys need not be unique on the wire, the first one counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map(pub Vec<(Value, Value)>);

/// Values of one type, as the `array` encoding demands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Array(Vec<Value>);
