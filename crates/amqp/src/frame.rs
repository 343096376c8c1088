//! Frames (specification 2.3): splitting input, and building output.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::codec::{DecodeError, Encode, Reader, patch};
use crate::limits::MAX_DELIVERY_TAG_BYTES;
use crate::performative::{Disposition, Flow, Performative, SaslFrame, Transfer};

/// Protocol header that opens AMQP itself.
pub const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
/// Protocol header that opens a TLS layer inside AMQP.
pub const TLS_HEADER: [u8; 8] = *b"AMQP\x02\x01\x00\x00";
/// Protocol header that opens a SASL layer.
pub const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";

/// Bytes of a frame header without extension.
pub const HEADER_BYTES: usize = 8;
/// The same in words of four bytes, as the header says it.
const HEADER_WORDS: u8 = 2;
const TYPE_AMQP: u8 = 0;
const TYPE_SASL: u8 = 1;

/// The layer of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Performatives.
    Amqp,
    /// The SASL exchange.
    Sasl,
}

/// A frame whose body is not yet decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// Its layer.
    pub kind: FrameKind,
    /// Its channel; means nothing in SASL.
    pub channel: u16,
    /// The body after the header and its extension. Shares the memory of the input.
    pub body: Bytes,
}

/// Why bytes are not a frame. Nothing after such bytes can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The size does not even cover the header.
    #[error("a frame of {0} bytes is smaller than its header")]
    TooSmall(u32),
    /// The size exceeds what was announced to the peer.
    #[error("a frame of {size} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Bytes that the frame claims.
        size: u32,
        /// Bytes allowed.
        limit: u32,
    },
    /// The body would begin inside the header or behind the end.
    #[error("a data offset of {0} words is outside the frame")]
    InvalidDataOffset(u8),
    /// Neither AMQP nor SASL.
    #[error("unknown frame type 0x{0:02x}")]
    UnknownType(u8),
}

/// Takes the next frame off the input. `None` means that more bytes are needed; the input is then unchanged.
///
/// A header that cannot be right is refused as soon as it is there, before its body.
///
/// # Errors
/// [`FrameError`]
pub fn split_frame(
    input: &mut BytesMut,
    max_frame_bytes: u32,
) -> Result<Option<RawFrame>, FrameError> {
    let Some((&size, rest)) = input.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let size = u32::from_be_bytes(size);
    if size < HEADER_BYTES as u32 {
        return Err(FrameError::TooSmall(size));
    }
    if size > max_frame_bytes {
        return Err(FrameError::TooLarge {
            size,
            limit: max_frame_bytes,
        });
    }
    let Some(&[offset_words, frame_type, channel_high, channel_low]) = rest.first_chunk::<4>()
    else {
        return Ok(None);
    };
    let offset = 4 * usize::from(offset_words);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if offset < HEADER_BYTES || offset > size {
        return Err(FrameError::InvalidDataOffset(offset_words));
    }
    let kind = match frame_type {
        TYPE_AMQP => FrameKind::Amqp,
        TYPE_SASL => FrameKind::Sasl,
        unknown => return Err(FrameError::UnknownType(unknown)),
    };
    if input.len() < size {
        return Ok(None);
    }
    let mut body = input.split_to(size).freeze();
    body.advance(offset);
    Ok(Some(RawFrame {
        kind,
        channel: u16::from_be_bytes([channel_high, channel_low]),
        body,
    }))
}

/// Decodes the body of an AMQP frame. `None` is the empty frame of a heartbeat. What follows a transfer is its payload,
/// without copying.
///
/// # Errors
/// [`DecodeError`], also when bytes follow another performative.
#[expect(
    clippy::needless_pass_by_value,
    reason = "callers are done with the body; they need not know that it is shared"
)]
pub fn decode_performative(body: Bytes) -> Result<Option<Performative>, DecodeError> {
    if body.is_empty() {
        return Ok(None);
    }
    Performative::decode(&mut Reader::new(&body)).map(Some)
}

/// Decodes the body of a SASL frame.
///
/// # Errors
/// [`DecodeError`]
#[expect(clippy::needless_pass_by_value, reason = "as for decode_performative")]
pub fn decode_sasl(body: Bytes) -> Result<SaslFrame, DecodeError> {
    SaslFrame::decode(&mut Reader::new(&body))
}

/// Appends a frame with a performative, and with its payload if it is a transfer.
pub fn encode_performative(out: &mut BytesMut, channel: u16, performative: &Performative) {
    match performative {
        Performative::Transfer(transfer) => {
            encode_transfer(out, channel, transfer, &transfer.payload)
        }
        performative => frame(out, TYPE_AMQP, channel, performative),
    }
}

/// Appends a frame with a transfer and this payload; `transfer.payload` is ignored.
pub fn encode_transfer(out: &mut BytesMut, channel: u16, transfer: &Transfer, payload: &[u8]) {
    out.reserve(transfer_overhead_bytes() + payload.len());
    let start = begin(out, TYPE_AMQP, channel);
    transfer.encode(out);
    out.put_slice(payload);
    end(out, start);
}

/// Appends a frame with a disposition.
pub fn encode_disposition(out: &mut BytesMut, channel: u16, disposition: &Disposition) {
    frame(out, TYPE_AMQP, channel, disposition);
}

/// Appends a frame with a flow.
pub fn encode_flow(out: &mut BytesMut, channel: u16, flow: &Flow) {
    frame(out, TYPE_AMQP, channel, flow);
}

/// Appends a SASL frame.
pub fn encode_sasl(out: &mut BytesMut, sasl: &SaslFrame) {
    frame(out, TYPE_SASL, 0, sasl);
}

/// Appends an empty frame: a heartbeat.
pub fn encode_empty(out: &mut BytesMut) {
    let start = begin(out, TYPE_AMQP, 0);
    end(out, start);
}

/// Upper bound for the bytes of a transfer frame without its payload: what remains of the peer's `max-frame-size` is for
/// the message. Holds for transfers without a state, or with one that has no fields.
#[must_use]
pub const fn transfer_overhead_bytes() -> usize {
    const DESCRIPTOR: usize = 3;
    const LIST_32: usize = 9;
    const UINT: usize = 5;
    const DELIVERY_TAG: usize = 2 + MAX_DELIVERY_TAG_BYTES;
    const BOOLEAN: usize = 1;
    const RCV_SETTLE_MODE: usize = 2;
    const STATE: usize = 4;
    HEADER_BYTES
        + DESCRIPTOR
        + LIST_32
        + 3 * UINT
        + DELIVERY_TAG
        + 5 * BOOLEAN
        + RCV_SETTLE_MODE
        + STATE
}

fn frame(out: &mut BytesMut, frame_type: u8, channel: u16, body: &impl Encode) {
    let start = begin(out, frame_type, channel);
    body.encode(out);
    end(out, start);
}

/// Writes a header whose size [`end`] fills in.
fn begin(out: &mut BytesMut, frame_type: u8, channel: u16) -> usize {
    let start = out.len();
    let [high, low] = channel.to_be_bytes();
    out.put_slice(&[0, 0, 0, 0, HEADER_WORDS, frame_type, high, low]);
    start
}

fn end(out: &mut BytesMut, start: usize) {
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    patch(out, start, &size.to_be_bytes());
}

#[cfg(test)]
mod tests;
