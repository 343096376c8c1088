//! Cursor over encoded data.

use bytes::Bytes;

use super::constructor as c;
use super::{Decode, DecodeError, descriptor};
use crate::limits::MAX_DEPTH;

/// Reads values one after the other. Binaries share the memory of the source.
///
/// After an error the position means nothing: give the reader up.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    source: &'a Bytes,
    rest: &'a [u8],
    depth: usize,
    /// Items that may still be materialised. Nearly every item takes a byte at least, so that the source's length is
    /// enough for them.
    slots: usize,
}

/// The meaning of a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor(Option<u64>);

/// Items beyond one per byte, for honest arrays whose items have no width or copy a descriptor.
const SPARE_SLOTS: usize = 64;

impl<'a> Reader<'a> {
    /// Reads from the start of `source`.
    #[must_use]
    pub fn new(source: &'a Bytes) -> Self {
        Self {
            source,
            rest: source,
            depth: 0,
            slots: source.len() + SPARE_SLOTS,
        }
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// All bytes not yet read, without copying.
    #[must_use]
    pub fn take_rest(&mut self) -> Bytes {
        let rest = self.share(self.rest);
        self.rest = &[];
        rest
    }

    /// Ends reading.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`]
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes(self.rest.len()))
        }
    }

    /// Passes over one value, looking at no more than its size.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn skip(&mut self) -> Result<(), DecodeError> {
        // A described value is two values, and its value may be described again.
        let mut values = 1_usize;
        for _ in 0..=2 * MAX_DEPTH {
            let constructor = self.byte()?;
            if constructor == c::DESCRIBED {
                values += 1;
                continue;
            }
            self.skip_body(constructor)?;
            values -= 1;
            if values == 0 {
                return Ok(());
            }
        }
        Err(DecodeError::TooDeep)
    }

    fn skip_body(&mut self, constructor: u8) -> Result<(), DecodeError> {
        if !c::is_known(constructor) {
            return Err(DecodeError::InvalidConstructor(constructor));
        }
        // The high half of a constructor tells the width of what follows (specification 1.2).
        let width = match constructor >> 4 {
            0x4 => 0,
            0x5 => 1,
            0x6 => 2,
            0x7 => 4,
            0x8 => 8,
            0x9 => 16,
            0xa | 0xc | 0xe => self.size(false)?,
            _ => self.size(true)?,
        };
        self.take(width).map(drop)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (&first, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (first, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    /// A size or count, of one or four bytes.
    pub(crate) fn size(&mut self, wide: bool) -> Result<usize, DecodeError> {
        if !wide {
            return self.byte().map(usize::from);
        }
        // A size that does not fit the address space exceeds the data.
        usize::try_from(u32::from_be_bytes(self.bytes()?)).map_err(|_| DecodeError::Truncated)
    }

    /// The content of a variable-width value.
    pub(crate) fn variable(&mut self, wide: bool) -> Result<&'a [u8], DecodeError> {
        let len = self.size(wide)?;
        self.take(len)
    }

    /// A part of the source that shares its memory.
    pub(crate) fn share(&self, part: &'a [u8]) -> Bytes {
        self.source.slice_ref(part)
    }

    /// Whether a null stood here; it is passed over.
    pub(crate) fn take_null(&mut self) -> bool {
        match self.rest {
            [c::NULL, rest @ ..] => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Reads the descriptor of a described value, up to and without the value.
    pub(crate) fn descriptor(&mut self) -> Result<Descriptor, DecodeError> {
        if let [c::DESCRIBED, c::SMALL_ULONG, code, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(Descriptor(Some((*code).into())));
        }
        match self.byte()? {
            c::DESCRIBED => {}
            found => {
                return Err(DecodeError::WrongType {
                    expected: "a described type",
                    found,
                });
            }
        }
        match self.rest.first() {
            Some(&c::SYMBOL_8 | &c::SYMBOL_32) => {
                let wide = self.byte()? == c::SYMBOL_32;
                Ok(Descriptor(
                    descriptor::of_symbol(self.variable(wide)?).map(u64::from),
                ))
            }
            Some(&c::ULONG_0 | &c::SMALL_ULONG | &c::ULONG) => {
                u64::decode(self).map(|code| Descriptor(Some(code)))
            }
            _ => {
                self.skip()?;
                Ok(Descriptor(None))
            }
        }
    }

    /// Enters one level of nesting; the caller returns with [`Self::leave`].
    pub(crate) fn enter(&mut self) -> Result<(), DecodeError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(DecodeError::TooDeep)
        } else {
            Ok(())
        }
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Gives leave to materialise `count` items.
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), DecodeError> {
        self.slots = self
            .slots
            .checked_sub(count)
            .ok_or(DecodeError::CountExceedsBuffer)?;
        Ok(())
    }

    /// Reads the body of a list, map or array: hands `items` this reader, bounded to that body, and the count.
    pub(crate) fn compound<T>(
        &mut self,
        wide: bool,
        items: impl FnOnce(&mut Self, usize) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let body = self.variable(wide)?;
        let outside = std::mem::replace(&mut self.rest, body);
        self.enter()?;
        let count = self.size(wide)?;
        let items = items(self, count)?;
        self.finish()?;
        self.leave();
        self.rest = outside;
        Ok(items)
    }

    /// The body of a list as a separate reader, with the count. It must be returned to [`Self::close_list`].
    pub(crate) fn list(&mut self) -> Result<(Self, usize), DecodeError> {
        let (body, wide): (&[u8], _) = match self.byte()? {
            c::LIST_0 => (&[], None),
            c::LIST_8 => (self.variable(false)?, Some(false)),
            c::LIST_32 => (self.variable(true)?, Some(true)),
            found => {
                return Err(DecodeError::WrongType {
                    expected: "list",
                    found,
                });
            }
        };
        let mut inner = Self {
            source: self.source,
            rest: body,
            depth: self.depth,
            slots: self.slots,
        };
        inner.enter()?;
        let count = wide.map_or(Ok(0), |wide| inner.size(wide))?;
        if count > inner.remaining() {
            return Err(DecodeError::CountExceedsBuffer);
        }
        Ok((inner, count))
    }

    /// Ends the reading of a list's body.
    pub(crate) fn close_list(&mut self, body: &Self) -> Result<(), DecodeError> {
        self.slots = body.slots;
        body.finish()
    }
}

impl Descriptor {
    /// Its number, where that is small enough to be one of the specification's.
    pub(crate) fn code(self) -> Option<u8> {
        self.0.and_then(|code| u8::try_from(code).ok())
    }

    /// The error of one who does not know it.
    pub(crate) fn unknown(self) -> DecodeError {
        DecodeError::UnknownDescriptor(self.0)
    }
}
