//! Composite types: described lists of fields (specification 1.4).

use super::{Decode, DecodeError, Encode, Reader};
use crate::value::Symbol;

/// A described list of fields.
pub(crate) trait Composite: Sized + Encode {
    /// Its descriptor.
    const CODE: u8;

    /// Reads the fields in order. Fields left out at the end are null.
    fn decode_fields(fields: &mut ListReader<'_>) -> Result<Self, DecodeError>;

    /// Reads the list behind a descriptor that the caller has read.
    fn decode_list(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        ListReader::read(reader, Self::decode_fields)
    }
}

impl<T: Composite> Decode for T {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let descriptor = reader.descriptor()?;
        if descriptor.code() == Some(T::CODE) {
            T::decode_list(reader)
        } else {
            Err(descriptor.unknown())
        }
    }
}

/// Reads the fields of a composite type.
pub(crate) struct ListReader<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> ListReader<'a> {
    /// Reads a list. Fields that a later version of the specification may have added are passed over.
    pub(crate) fn read<T>(
        reader: &mut Reader<'a>,
        fields: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let (body, left) = reader.list()?;
        let mut list = Self { reader: body, left };
        let value = fields(&mut list)?;
        for _ in 0..list.left {
            list.reader.skip()?;
        }
        reader.close_list(&list.reader)?;
        Ok(value)
    }

    /// The next field, unless it is null or left out.
    #[inline]
    pub(crate) fn optional<T: Decode>(&mut self) -> Result<Option<T>, DecodeError> {
        if self.next_is_absent() {
            Ok(None)
        } else {
            T::decode(&mut self.reader).map(Some)
        }
    }

    /// The next field.
    #[inline]
    pub(crate) fn required<T: Decode>(&mut self, name: &'static str) -> Result<T, DecodeError> {
        self.optional()?.ok_or(DecodeError::MissingField(name))
    }

    /// The next field of several symbols. An empty array means the same as null (specification 1.4).
    pub(crate) fn multiple(&mut self) -> Result<Option<Vec<Symbol>>, DecodeError> {
        Ok(self
            .optional()?
            .filter(|symbols: &Vec<Symbol>| !symbols.is_empty()))
    }

    /// The next field, if it is of this type. Another described type counts as absent, so that its sender can be
    /// refused politely instead of losing the connection.
    pub(crate) fn if_known<T: Composite>(&mut self) -> Result<Option<Box<T>>, DecodeError> {
        if self.next_is_absent() {
            return Ok(None);
        }
        if self.reader.descriptor()?.code() == Some(T::CODE) {
            return T::decode_list(&mut self.reader).map(|value| Some(Box::new(value)));
        }
        self.reader.skip()?;
        Ok(None)
    }

    fn next_is_absent(&mut self) -> bool {
        if self.left == 0 {
            return true;
        }
        self.left -= 1;
        self.reader.take_null()
    }
}

/// Makes a struct a [`Composite`]: its fields in the order of the wire, each with the way it is read.
///
/// * `required`: null is an error.
/// * `optional`: an `Option`; `None` for null.
/// * `multiple`: an `Option` of several symbols; `None` for an empty array, too.
/// * `or(default)`: null is the default.
/// * `if_known`: an `Option<Box<_>>`; `None` for null and foreign described types.
///
/// Writing needs no such distinction: every field is written, `None` as null. After `;` are fields that are not part of the list,
/// with their values after reading.
macro_rules! composite {
    ($type:ident = $code:ident { $($field:ident: $mode:ident $(($default:expr))?,)* $(; $outside:ident: $value:expr)? }) => {
        impl $crate::codec::Composite for $type {
            const CODE: u8 = $crate::codec::descriptor::$code;

            fn decode_fields(
                fields: &mut $crate::codec::ListReader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                Ok(Self {
                    $($field: $crate::codec::composite!(@read fields $field $mode $($default)?),)*
                    $($outside: $value,)?
                })
            }
        }

        impl $crate::codec::Encode for $type {
            fn encode(&self, out: &mut ::bytes::BytesMut) {
                const FIELDS: usize = [$(stringify!($field)),*].len();
                $crate::codec::list(out, $crate::codec::descriptor::$code, FIELDS, |out| {
                    $($crate::codec::Encode::encode(&self.$field, out);)*
                });
            }
        }
    };
    (@read $fields:ident $field:ident required) => { $fields.required(stringify!($field))? };
    (@read $fields:ident $field:ident optional) => { $fields.optional()? };
    (@read $fields:ident $field:ident or $default:expr) => { $fields.optional()?.unwrap_or($default) };
    (@read $fields:ident $field:ident multiple) => {
        $fields.multiple()?
    };
    (@read $fields:ident $field:ident if_known) => { $fields.if_known()? };
}

/// An enum that stands as a small number.
macro_rules! numbered {
    ($type:ident as $wire:ty, $name:literal { $($number:literal => $variant:ident,)* }) => {
        impl $crate::codec::Decode for $type {
            fn decode(reader: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                match <$wire>::decode(reader)? {
                    $($number => Ok(Self::$variant),)*
                    _ => Err($crate::codec::DecodeError::InvalidValue($name)),
                }
            }
        }

        impl $crate::codec::Encode for $type {
            fn encode(&self, out: &mut ::bytes::BytesMut) {
                let number: $wire = match self {
                    $(Self::$variant => $number,)*
                };
                number.encode(out);
            }
        }
    };
}

pub(crate) use {composite, numbered};
