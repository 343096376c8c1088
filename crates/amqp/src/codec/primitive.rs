//! Primitive types in all their encodings (specification 1.6).

use bytes::{BufMut, Bytes, BytesMut};

use super::constructor as c;
use super::{Decode, DecodeError, Encode, Reader};
use crate::value::{Symbol, Value};

/// The same for every type: read the constructor, hand it to the function that reads the rest.
macro_rules! decode {
    ($($type:ty: $read:ident),* $(,)?) => {
        $(impl Decode for $type {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let constructor = reader.byte()?;
                reader.$read(constructor)
            }
        })*
    };
}

decode! {
    bool: bool_of, u8: ubyte_of, u16: ushort_of, u32: uint_of, u64: ulong_of, i64: timestamp_of, Bytes: binary_of,
    String: string_of, Symbol: symbol_of, Vec<Symbol>: symbols_of,
}

impl<'a> Reader<'a> {
    pub(crate) fn bool_of(&mut self, constructor: u8) -> Result<bool, DecodeError> {
        match constructor {
            c::TRUE => Ok(true),
            c::FALSE => Ok(false),
            c::BOOLEAN => match self.byte()? {
                0 => Ok(false),
                1 => Ok(true),
                _ => Err(DecodeError::InvalidBool),
            },
            found => Err(unexpected("boolean", found)),
        }
    }

    fn ubyte_of(&mut self, constructor: u8) -> Result<u8, DecodeError> {
        match constructor {
            c::UBYTE => self.byte(),
            found => Err(unexpected("ubyte", found)),
        }
    }

    fn ushort_of(&mut self, constructor: u8) -> Result<u16, DecodeError> {
        match constructor {
            c::USHORT => self.bytes().map(u16::from_be_bytes),
            found => Err(unexpected("ushort", found)),
        }
    }

    pub(crate) fn uint_of(&mut self, constructor: u8) -> Result<u32, DecodeError> {
        match constructor {
            c::UINT_0 => Ok(0),
            c::SMALL_UINT => self.byte().map(u32::from),
            c::UINT => self.bytes().map(u32::from_be_bytes),
            found => Err(unexpected("uint", found)),
        }
    }

    pub(crate) fn ulong_of(&mut self, constructor: u8) -> Result<u64, DecodeError> {
        match constructor {
            c::ULONG_0 => Ok(0),
            c::SMALL_ULONG => self.byte().map(u64::from),
            c::ULONG => self.bytes().map(u64::from_be_bytes),
            found => Err(unexpected("ulong", found)),
        }
    }

    /// Milliseconds. The specification's composite types have no other signed integer, so that `i64` is free for it.
    fn timestamp_of(&mut self, constructor: u8) -> Result<i64, DecodeError> {
        match constructor {
            c::TIMESTAMP => self.bytes().map(i64::from_be_bytes),
            found => Err(unexpected("timestamp", found)),
        }
    }

    pub(crate) fn char_of(&mut self) -> Result<char, DecodeError> {
        char::from_u32(u32::from_be_bytes(self.bytes()?)).ok_or(DecodeError::InvalidChar)
    }

    /// A binary, not yet shared.
    pub(crate) fn octets_of(&mut self, constructor: u8) -> Result<&'a [u8], DecodeError> {
        match constructor {
            c::BINARY_8 | c::BINARY_32 => self.variable(constructor == c::BINARY_32),
            found => Err(unexpected("binary", found)),
        }
    }

    pub(crate) fn binary_of(&mut self, constructor: u8) -> Result<Bytes, DecodeError> {
        self.octets_of(constructor).map(|octets| self.share(octets))
    }

    /// Symbols too: clients take one for the other, in addresses for one.
    pub(crate) fn string_of(&mut self, constructor: u8) -> Result<String, DecodeError> {
        let octets = match constructor {
            c::STRING_8 | c::SYMBOL_8 => self.variable(false)?,
            c::STRING_32 | c::SYMBOL_32 => self.variable(true)?,
            found => return Err(unexpected("string", found)),
        };
        let text = std::str::from_utf8(octets).map_err(|_| DecodeError::InvalidUtf8)?;
        Ok(text.to_owned())
    }

    /// Strings too: clients take one for the other, in content types for one.
    pub(crate) fn symbol_of(&mut self, constructor: u8) -> Result<Symbol, DecodeError> {
        let octets = match constructor {
            c::STRING_8 | c::SYMBOL_8 => self.variable(false)?,
            c::STRING_32 | c::SYMBOL_32 => self.variable(true)?,
            found => return Err(unexpected("symbol", found)),
        };
        let text = std::str::from_utf8(octets).map_err(|_| DecodeError::InvalidSymbol)?;
        Symbol::new(text).map_err(|_| DecodeError::InvalidSymbol)
    }

    /// A field of several symbols: an array, or one symbol alone (specification 1.4, `multiple`).
    fn symbols_of(&mut self, constructor: u8) -> Result<Vec<Symbol>, DecodeError> {
        if matches!(constructor, c::SYMBOL_8 | c::SYMBOL_32) {
            return Ok(vec![self.symbol_of(constructor)?]);
        }
        let wide = match constructor {
            c::ARRAY_8 => false,
            c::ARRAY_32 => true,
            found => return Err(unexpected("array of symbols", found)),
        };
        self.compound(wide, |items, count| {
            let constructor = items.byte()?;
            if count == 0 {
                // No type; its constructor may be anything.
                return Ok(Vec::new());
            }
            items.reserve(count)?;
            (0..count).map(|_| items.symbol_of(constructor)).collect()
        })
    }
}

fn unexpected(expected: &'static str, found: u8) -> DecodeError {
    if found == c::DESCRIBED || c::is_known(found) {
        DecodeError::WrongType { expected, found }
    } else {
        DecodeError::InvalidConstructor(found)
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(if *self { c::TRUE } else { c::FALSE });
    }
}

impl Encode for u8 {
    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&[c::UBYTE, *self]);
    }
}

impl Encode for u16 {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(c::USHORT);
        out.put_u16(*self);
    }
}

impl Encode for u32 {
    fn encode(&self, out: &mut BytesMut) {
        match (*self, u8::try_from(*self)) {
            (0, _) => out.put_u8(c::UINT_0),
            (_, Ok(small)) => out.put_slice(&[c::SMALL_UINT, small]),
            (large, Err(_)) => {
                out.put_u8(c::UINT);
                out.put_u32(large);
            }
        }
    }
}

impl Encode for u64 {
    fn encode(&self, out: &mut BytesMut) {
        match (*self, u8::try_from(*self)) {
            (0, _) => out.put_u8(c::ULONG_0),
            (_, Ok(small)) => out.put_slice(&[c::SMALL_ULONG, small]),
            (large, Err(_)) => {
                out.put_u8(c::ULONG);
                out.put_u64(large);
            }
        }
    }
}

/// As a timestamp, see [`Reader::timestamp_of`].
impl Encode for i64 {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(c::TIMESTAMP);
        out.put_i64(*self);
    }
}

impl Encode for [u8] {
    fn encode(&self, out: &mut BytesMut) {
        variable(out, c::BINARY_8, c::BINARY_32, self);
    }
}

impl Encode for Bytes {
    fn encode(&self, out: &mut BytesMut) {
        self.as_ref().encode(out);
    }
}

impl Encode for str {
    fn encode(&self, out: &mut BytesMut) {
        variable(out, c::STRING_8, c::STRING_32, self.as_bytes());
    }
}

impl Encode for String {
    fn encode(&self, out: &mut BytesMut) {
        self.as_str().encode(out);
    }
}

impl Encode for Symbol {
    fn encode(&self, out: &mut BytesMut) {
        variable(out, c::SYMBOL_8, c::SYMBOL_32, self.as_str().as_bytes());
    }
}

/// An array, even for one symbol: the C SDK accepts nothing else for SASL mechanisms. But no symbols are written as null, which
/// means the same (specification 1.4): azure-eventhub for Python does not read the constructor of an empty array and fails.
impl Encode for Vec<Symbol> {
    fn encode(&self, out: &mut BytesMut) {
        if self.is_empty() {
            return out.put_u8(c::NULL);
        }
        let wide = self
            .iter()
            .any(|symbol| symbol.as_str().len() > u8::MAX.into());
        super::compound(out, c::ARRAY_8, c::ARRAY_32, self.len(), |out| {
            out.put_u8(if wide { c::SYMBOL_32 } else { c::SYMBOL_8 });
            for symbol in self {
                sized(out, wide, symbol.as_str().as_bytes());
            }
        });
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Some(value) => value.encode(out),
            None => out.put_u8(c::NULL),
        }
    }
}

impl<T: Encode + ?Sized> Encode for Box<T> {
    fn encode(&self, out: &mut BytesMut) {
        self.as_ref().encode(out);
    }
}

impl Decode for Value {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.value()
    }
}

fn variable(out: &mut BytesMut, narrow: u8, wide: u8, octets: &[u8]) {
    let is_wide = octets.len() > u8::MAX.into();
    out.put_u8(if is_wide { wide } else { narrow });
    sized(out, is_wide, octets);
}

/// Size and content of a variable-width value, without its constructor.
#[expect(
    clippy::cast_possible_truncation,
    reason = "narrow sizes are checked by callers; four gigabytes do not occur"
)]
pub(crate) fn sized(out: &mut BytesMut, wide: bool, octets: &[u8]) {
    if wide {
        out.put_u32(octets.len() as u32);
    } else {
        out.put_u8(octets.len() as u8);
    }
    out.put_slice(octets);
}
