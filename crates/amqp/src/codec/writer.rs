//! Writers of lists, maps and arrays, whose sizes are known only once they are written.

use bytes::{BufMut, BytesMut};

use super::Encode;
use super::constructor as c;

/// Writes a compound value in its narrow form if that holds it, otherwise in the wide one.
pub(crate) fn compound(
    out: &mut BytesMut,
    narrow: u8,
    wide: u8,
    count: usize,
    body: impl FnOnce(&mut BytesMut),
) {
    let start = out.len();
    out.put_slice(&[narrow, 0, 0]);
    body(out);
    let end = out.len();
    // The size tells the bytes after itself, the count included.
    if let (Ok(size), Ok(count)) = (u8::try_from(end - start - 2), u8::try_from(count)) {
        patch(out, start + 1, &[size, count]);
        return;
    }
    let size = u32::try_from(end - start + 1).unwrap_or(u32::MAX);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    out.put_bytes(0, 6);
    out.copy_within(start + 3..end, start + 9);
    patch(out, start, &[wide]);
    patch(out, start + 1, &size.to_be_bytes());
    patch(out, start + 5, &count.to_be_bytes());
}

/// Writes a described value.
pub(crate) fn described(out: &mut BytesMut, code: u8, value: &(impl Encode + ?Sized)) {
    out.put_slice(&[c::DESCRIBED, c::SMALL_ULONG, code]);
    value.encode(out);
}

/// Writes a composite type: descriptor and list.
pub(crate) fn list(out: &mut BytesMut, code: u8, fields: usize, body: impl FnOnce(&mut BytesMut)) {
    out.put_slice(&[c::DESCRIBED, c::SMALL_ULONG, code]);
    compound(out, c::LIST_8, c::LIST_32, fields, body);
}

/// Overwrites what was written before.
pub(crate) fn patch(out: &mut BytesMut, at: usize, octets: &[u8]) {
    if let Some(place) = out.get_mut(at..at + octets.len()) {
        place.copy_from_slice(octets);
    }
}
