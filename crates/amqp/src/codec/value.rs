//! Values of any type.

use bytes::{BufMut, BytesMut};

use super::constructor as c;
use super::primitive::sized;
use super::{Decode, DecodeError, Encode, Reader, compound};
use crate::value::{Array, Map, Value};

impl Reader<'_> {
    /// Reads one value of any type.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn value(&mut self) -> Result<Value, DecodeError> {
        let constructor = self.byte()?;
        self.value_of(constructor)
    }

    fn value_of(&mut self, constructor: u8) -> Result<Value, DecodeError> {
        Ok(match constructor {
            c::DESCRIBED => {
                self.enter()?;
                let described = (self.value()?, self.value()?);
                self.leave();
                Value::Described(Box::new(described))
            }
            c::NULL => Value::Null,
            c::TRUE | c::FALSE | c::BOOLEAN => Value::Bool(self.bool_of(constructor)?),
            c::UBYTE => Value::Ubyte(self.byte()?),
            c::USHORT => Value::Ushort(u16::from_be_bytes(self.bytes()?)),
            c::UINT_0 | c::SMALL_UINT | c::UINT => Value::Uint(self.uint_of(constructor)?),
            c::ULONG_0 | c::SMALL_ULONG | c::ULONG => Value::Ulong(self.ulong_of(constructor)?),
            c::BYTE => Value::Byte(i8::from_be_bytes(self.bytes()?)),
            c::SHORT => Value::Short(i16::from_be_bytes(self.bytes()?)),
            c::SMALL_INT => Value::Int(i8::from_be_bytes(self.bytes()?).into()),
            c::INT => Value::Int(i32::from_be_bytes(self.bytes()?)),
            c::SMALL_LONG => Value::Long(i8::from_be_bytes(self.bytes()?).into()),
            c::LONG => Value::Long(i64::from_be_bytes(self.bytes()?)),
            c::FLOAT => Value::Float(f32::from_be_bytes(self.bytes()?)),
            c::DOUBLE => Value::Double(f64::from_be_bytes(self.bytes()?)),
            c::DECIMAL_32 => Value::Decimal32(self.bytes()?),
            c::DECIMAL_64 => Value::Decimal64(self.bytes()?),
            c::DECIMAL_128 => Value::Decimal128(self.bytes()?),
            c::CHAR => Value::Char(self.char_of()?),
            c::TIMESTAMP => Value::Timestamp(i64::from_be_bytes(self.bytes()?)),
            c::UUID => Value::Uuid(self.bytes()?),
            c::BINARY_8 | c::BINARY_32 => Value::Binary(self.binary_of(constructor)?),
            c::STRING_8 | c::STRING_32 => Value::String(self.string_of(constructor)?),
            c::SYMBOL_8 | c::SYMBOL_32 => Value::Symbol(self.symbol_of(constructor)?),
            c::LIST_0 => Value::List(Vec::new()),
            c::LIST_8 | c::LIST_32 => {
                Value::List(self.compound(constructor == c::LIST_32, Self::items)?)
            }
            c::MAP_8 | c::MAP_32 => Value::Map(self.map_of(constructor)?),
            c::ARRAY_8 | c::ARRAY_32 => {
                Value::Array(self.compound(constructor == c::ARRAY_32, Self::array)?)
            }
            unknown => return Err(DecodeError::InvalidConstructor(unknown)),
        })
    }

    fn items(&mut self, count: usize) -> Result<Vec<Value>, DecodeError> {
        self.check_count(count)?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.value()?);
        }
        Ok(items)
    }

    fn map_of(&mut self, constructor: u8) -> Result<Map, DecodeError> {
        let wide = match constructor {
            c::MAP_8 => false,
            c::MAP_32 => true,
            found => {
                return Err(DecodeError::WrongType {
                    expected: "map",
                    found,
                });
            }
        };
        self.compound(wide, |entries, count| {
            entries.check_count(count)?;
            if count % 2 == 1 {
                return Err(DecodeError::OddMap);
            }
            let mut map = Vec::with_capacity(count / 2);
            for _ in 0..count / 2 {
                map.push((entries.value()?, entries.value()?));
            }
            Ok(Map(map))
        })
    }

    fn array(&mut self, count: usize) -> Result<Array, DecodeError> {
        let mut constructor = self.byte()?;
        let mut descriptors = Vec::new();
        while constructor == c::DESCRIBED {
            self.enter()?;
            descriptors.push(self.array_descriptor()?);
            constructor = self.byte()?;
        }
        if !c::is_known(constructor) {
            return Err(DecodeError::InvalidConstructor(constructor));
        }
        // Every item gets a copy of the descriptors; they count as if the wire had repeated them.
        let slots_per_item = 1 + descriptors.iter().map(descriptor_slots).sum::<usize>();
        self.reserve(count.saturating_mul(slots_per_item))?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            let value = self.value_of(constructor)?;
            items.push(descriptors.iter().rev().fold(value, |value, descriptor| {
                Value::described(descriptor.clone(), value)
            }));
        }
        for _ in &descriptors {
            self.leave();
        }
        Ok(Array::of_one_constructor(items))
    }

    fn array_descriptor(&mut self) -> Result<Value, DecodeError> {
        match self.value()? {
            descriptor @ (Value::Ulong(_) | Value::Symbol(_)) => Ok(descriptor),
            _ => Err(DecodeError::InvalidValue("descriptor of an array")),
        }
    }

    fn check_count(&mut self, count: usize) -> Result<(), DecodeError> {
        if count > self.remaining() {
            return Err(DecodeError::CountExceedsBuffer);
        }
        self.reserve(count)
    }
}

/// Memory of a described item's box and descriptor, in sizes of a value, rounded up.
fn descriptor_slots(descriptor: &Value) -> usize {
    2 + descriptor
        .as_str()
        .map_or(0, |text| text.len().div_ceil(size_of::<Value>()))
}

impl Decode for Map {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let constructor = reader.byte()?;
        reader.map_of(constructor)
    }
}

impl Decode for Vec<Value> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (mut body, count) = reader.list()?;
        let items = body.items(count)?;
        reader.close_list(&body)?;
        Ok(items)
    }
}

impl Encode for Value {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Null => out.put_u8(c::NULL),
            Self::Bool(value) => value.encode(out),
            Self::Ubyte(value) => value.encode(out),
            Self::Ushort(value) => value.encode(out),
            Self::Uint(value) => value.encode(out),
            Self::Ulong(value) => value.encode(out),
            Self::Int(value) if let Ok(small) = i8::try_from(*value) => {
                small_signed(out, c::SMALL_INT, small)
            }
            Self::Long(value) if let Ok(small) = i8::try_from(*value) => {
                small_signed(out, c::SMALL_LONG, small)
            }
            Self::Timestamp(value) => value.encode(out),
            Self::Binary(value) => value.encode(out),
            Self::String(value) => value.encode(out),
            Self::Symbol(value) => value.encode(out),
            Self::List(items) => items.encode(out),
            Self::Map(map) => map.encode(out),
            Self::Array(array) => array.encode(out),
            Self::Described(described) => {
                out.put_u8(c::DESCRIBED);
                described.0.encode(out);
                described.1.encode(out);
            }
            fixed => {
                out.put_u8(widest(fixed));
                body(out, fixed, true);
            }
        }
    }
}

fn small_signed(out: &mut BytesMut, constructor: u8, value: i8) {
    out.put_u8(constructor);
    out.put_i8(value);
}

impl Encode for Vec<Value> {
    fn encode(&self, out: &mut BytesMut) {
        if self.is_empty() {
            out.put_u8(c::LIST_0);
            return;
        }
        compound(out, c::LIST_8, c::LIST_32, self.len(), |out| {
            self.iter().for_each(|item| item.encode(out))
        });
    }
}

impl Encode for Map {
    fn encode(&self, out: &mut BytesMut) {
        compound(out, c::MAP_8, c::MAP_32, 2 * self.len(), |out| {
            map_body(out, self)
        });
    }
}

impl Encode for Array {
    fn encode(&self, out: &mut BytesMut) {
        compound(out, c::ARRAY_8, c::ARRAY_32, self.items().len(), |out| {
            array_body(out, self.items())
        });
    }
}

fn map_body(out: &mut BytesMut, map: &Map) {
    for (key, value) in map {
        key.encode(out);
        value.encode(out);
    }
}

/// The common constructor, then the items without theirs. Only texts and binaries have a narrow form here: those are
/// the arrays that occur.
fn array_body(out: &mut BytesMut, items: &[Value]) {
    let mut first = items.first().unwrap_or(&Value::Null);
    while let Value::Described(described) = first {
        out.put_u8(c::DESCRIBED);
        described.0.encode(out);
        first = &described.1;
    }
    let wide = widest(first);
    let narrow = matches!(wide >> 4, 0xb)
        && items
            .iter()
            .all(|item| octets(item).len() <= u8::MAX.into());
    out.put_u8(if narrow { wide - 0x10 } else { wide });
    for item in items {
        body(out, innermost(item), !narrow);
    }
}

fn innermost(mut value: &Value) -> &Value {
    while let Value::Described(described) = value {
        value = &described.1;
    }
    value
}

fn octets(value: &Value) -> &[u8] {
    match innermost(value) {
        Value::Binary(octets) => octets,
        Value::String(text) => text.as_bytes(),
        Value::Symbol(symbol) => symbol.as_str().as_bytes(),
        _ => &[],
    }
}

/// The constructor that holds every value of the type.
fn widest(value: &Value) -> u8 {
    match value {
        Value::Null => c::NULL,
        Value::Bool(_) => c::BOOLEAN,
        Value::Ubyte(_) => c::UBYTE,
        Value::Ushort(_) => c::USHORT,
        Value::Uint(_) => c::UINT,
        Value::Ulong(_) => c::ULONG,
        Value::Byte(_) => c::BYTE,
        Value::Short(_) => c::SHORT,
        Value::Int(_) => c::INT,
        Value::Long(_) => c::LONG,
        Value::Float(_) => c::FLOAT,
        Value::Double(_) => c::DOUBLE,
        Value::Decimal32(_) => c::DECIMAL_32,
        Value::Decimal64(_) => c::DECIMAL_64,
        Value::Decimal128(_) => c::DECIMAL_128,
        Value::Char(_) => c::CHAR,
        Value::Timestamp(_) => c::TIMESTAMP,
        Value::Uuid(_) => c::UUID,
        Value::Binary(_) => c::BINARY_32,
        Value::String(_) => c::STRING_32,
        Value::Symbol(_) => c::SYMBOL_32,
        Value::List(_) => c::LIST_32,
        Value::Map(_) => c::MAP_32,
        Value::Array(_) => c::ARRAY_32,
        Value::Described(_) => c::DESCRIBED,
    }
}

/// The bytes after the widest constructor; for texts and binaries after the narrow one too.
fn body(out: &mut BytesMut, value: &Value, wide: bool) {
    match value {
        Value::Null | Value::Described(_) => {}
        Value::Bool(value) => out.put_u8((*value).into()),
        Value::Ubyte(value) => out.put_u8(*value),
        Value::Ushort(value) => out.put_u16(*value),
        Value::Uint(value) => out.put_u32(*value),
        Value::Ulong(value) => out.put_u64(*value),
        Value::Byte(value) => out.put_i8(*value),
        Value::Short(value) => out.put_i16(*value),
        Value::Int(value) => out.put_i32(*value),
        Value::Long(value) | Value::Timestamp(value) => out.put_i64(*value),
        Value::Float(value) => out.put_f32(*value),
        Value::Double(value) => out.put_f64(*value),
        Value::Decimal32(bits) => out.put_slice(bits),
        Value::Decimal64(bits) => out.put_slice(bits),
        Value::Decimal128(bits) => out.put_slice(bits),
        Value::Char(value) => out.put_u32((*value).into()),
        Value::Uuid(uuid) => out.put_slice(uuid),
        Value::Binary(_) | Value::String(_) | Value::Symbol(_) => sized(out, wide, octets(value)),
        Value::List(items) => {
            wide_body(out, items.len(), |out| {
                items.iter().for_each(|item| item.encode(out))
            });
        }
        Value::Map(map) => wide_body(out, 2 * map.len(), |out| map_body(out, map)),
        Value::Array(array) => wide_body(out, array.items().len(), |out| {
            array_body(out, array.items())
        }),
    }
}

fn wide_body(out: &mut BytesMut, count: usize, items: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    out.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
    items(out);
    let size = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    super::patch(out, start, &size.to_be_bytes());
}
