//! One telemetry record, and its bytes in a segment.
//!
//! ```text
//! header (28 bytes, little endian)                   body
//! body length u32 · body CRC-32 u32 ·                scope u8 · kind u8 · source u8 · id length u8 · generation length u8 ·
//! sequence u64 · enqueued ms u64 · header CRC-32 u32 device id · generation id · message
//! ```
//!
//! Where the first bit of the scope is set, a module sent the message: between generation id and message stand the length of its id (u8)
//! and its id.
//!
//! The header has its own checksum, so that the length can be trusted before the body is read.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use drawspan_hub::{DeviceId, ModuleId};

use crate::limits::RECORD_BODY_MAX_BYTES;

/// Bytes of a record's header.
pub(super) const HEADER_BYTES: usize = 28;
const FIXED_BODY_BYTES: usize = 5;
/// Set in the scope of a message that a module sent.
const OF_MODULE: u8 = 0x80;

/// A message to be stored.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// The sender, or the device that it is a part of.
    pub device_id: DeviceId,
    /// The sender, if it is a module.
    pub module_id: Option<ModuleId>,
    /// How the sender was authenticated, and what kind of message this is.
    pub origin: Origin,
    /// The encoded AMQP message.
    pub message: Bytes,
}

/// The hub's annotations on a message about its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The scope of the credential that was used.
    pub scope: AuthScope,
    /// The kind of credential.
    pub kind: AuthKind,
    /// The sender's generation id at that time; at most 255 bytes.
    pub generation_id: Arc<str>,
    /// The hub's stream that the message belongs to.
    pub source: MessageSource,
}

/// The owner of the credential: the `scope` of `iothub-connection-auth-method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthScope {
    /// The device's own key.
    Device,
    /// The module's own key.
    Module,
    /// A policy of the hub.
    Hub,
}

/// The kind of credential that a sender used: the `type` of `iothub-connection-auth-method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthKind {
    /// A shared access signature.
    Sas,
    /// A certificate.
    X509,
}

/// The value of `iothub-message-source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageSource {
    /// Sent by a device.
    Telemetry,
}

/// A message as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Number within the partition, from 0, without gaps.
    pub sequence: u64,
    /// Byte position within the partition's stream; grows with `sequence`.
    pub offset: u64,
    /// When the hub took it, Unix milliseconds; never falls within a partition.
    pub enqueued_unix_ms: u64,
    /// The sender, or the device that it is a part of.
    pub device_id: DeviceId,
    /// The sender, if it is a module.
    pub module_id: Option<ModuleId>,
    /// How the sender was authenticated, and what kind of message this is.
    pub origin: Origin,
    /// The encoded AMQP message.
    pub message: Bytes,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The record goes on behind the bytes that there are.
    #[error("the record ends before its {needed} bytes are complete")]
    Incomplete {
        /// Bytes that are needed to go on, from the record's start.
        needed: usize,
    },
    /// The header's checksum does not hold.
    #[error("the checksum of the record's header does not hold")]
    Header,
    /// The body's checksum does not hold, or the body makes no sense.
    #[error("the checksum of the record's body does not hold")]
    Body,
    /// The record is whole, and not the one that belongs here.
    #[error("the record has another sequence number")]
    Sequence,
}

/// The contents of a record's header.
pub(super) struct Header {
    pub(super) body_len: usize,
    body_crc: u32,
    pub(super) sequence: u64,
    pub(super) enqueued_unix_ms: u64,
}

/// Bytes that `record` takes in a segment.
pub(super) fn encoded_len(record: &NewRecord) -> usize {
    HEADER_BYTES + body_len(record)
}

/// Whether `record` can be stored at all.
pub(super) fn fits(record: &NewRecord) -> bool {
    body_len(record) <= RECORD_BODY_MAX_BYTES
        && record.origin.generation_id.len() <= usize::from(u8::MAX)
}

fn module_of(record: &NewRecord) -> Option<&[u8]> {
    record
        .module_id
        .as_ref()
        .map(|module| module.as_str().as_bytes())
}

fn body_len(record: &NewRecord) -> usize {
    FIXED_BODY_BYTES
        + record.device_id.as_str().len()
        + record.origin.generation_id.len()
        + module_of(record).map_or(0, |module| 1 + module.len())
        + record.message.len()
}

/// Appends `record`, which must fit, to `out`.
pub(super) fn encode(out: &mut BytesMut, sequence: u64, enqueued_unix_ms: u64, record: &NewRecord) {
    let device_id = record.device_id.as_str().as_bytes();
    let generation_id = record.origin.generation_id.as_bytes();
    let module = module_of(record);
    let of_module = module.map_or(0, |_| OF_MODULE);
    let module_len = module.map(|module| module.len() as u8);
    let prefix = [
        scope_code(record.origin.scope) | of_module,
        kind_code(record.origin.kind),
        source_code(record.origin.source),
        device_id.len() as u8,
        generation_id.len() as u8,
    ];
    let parts = [
        &prefix[..],
        device_id,
        generation_id,
        module_len.as_slice(),
        module.unwrap_or_default(),
        &record.message,
    ];
    let mut body_crc = crc32fast::Hasher::new();
    for part in parts {
        body_crc.update(part);
    }
    let mut header = [0; HEADER_BYTES];
    {
        let mut fields = &mut header[..];
        fields.put_u32_le(body_len(record) as u32);
        fields.put_u32_le(body_crc.finalize());
        fields.put_u64_le(sequence);
        fields.put_u64_le(enqueued_unix_ms);
    }
    let header_crc = crc32fast::hash(&header[..HEADER_BYTES - 4]);
    header[HEADER_BYTES - 4..].copy_from_slice(&header_crc.to_le_bytes());
    out.reserve(encoded_len(record));
    out.extend_from_slice(&header);
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Reads the header at the start of `bytes`.
pub(super) fn decode_header(bytes: &[u8]) -> Result<Header, Damage> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(Damage::Incomplete {
            needed: HEADER_BYTES,
        });
    };
    if crc32fast::hash(&header[..HEADER_BYTES - 4]) != u32_at(header, HEADER_BYTES - 4) {
        return Err(Damage::Header);
    }
    let header = Header {
        body_len: u32_at(header, 0) as usize,
        body_crc: u32_at(header, 4),
        sequence: u64_at(header, 8),
        enqueued_unix_ms: u64_at(header, 16),
    };
    if header.body_len > RECORD_BODY_MAX_BYTES || header.body_len < FIXED_BODY_BYTES {
        return Err(Damage::Header);
    }
    Ok(header)
}

/// Reads the record at the start of `bytes`, which lies at `offset` of its partition; also says how long it is.
pub(super) fn decode(bytes: &Bytes, offset: u64) -> Result<(StoredRecord, usize), Damage> {
    let header = decode_header(bytes)?;
    let needed = HEADER_BYTES + header.body_len;
    if bytes.len() < needed {
        return Err(Damage::Incomplete { needed });
    }
    let body = bytes.slice(HEADER_BYTES..needed);
    if crc32fast::hash(&body) != header.body_crc {
        return Err(Damage::Body);
    }
    let record = decode_body(&header, &body, offset).ok_or(Damage::Body)?;
    Ok((record, needed))
}

fn decode_body(header: &Header, body: &Bytes, offset: u64) -> Option<StoredRecord> {
    let &[scope, kind, source, id_len, generation_len] = body.first_chunk()?;
    let id_end = FIXED_BODY_BYTES + usize::from(id_len);
    let generation_end = id_end + usize::from(generation_len);
    let device_id = std::str::from_utf8(body.get(FIXED_BODY_BYTES..id_end)?).ok()?;
    let generation_id = std::str::from_utf8(body.get(id_end..generation_end)?).ok()?;
    let (module_id, message_start) = match scope & OF_MODULE {
        0 => (None, generation_end),
        _ => {
            let from = generation_end + 1;
            let end = from + usize::from(*body.get(generation_end)?);
            let module = std::str::from_utf8(body.get(from..end)?).ok()?;
            (Some(ModuleId::parse(module).ok()?), end)
        }
    };
    Some(StoredRecord {
        sequence: header.sequence,
        offset,
        enqueued_unix_ms: header.enqueued_unix_ms,
        device_id: DeviceId::parse(device_id).ok()?,
        module_id,
        origin: Origin {
            scope: scope_of(scope & !OF_MODULE)?,
            kind: kind_of(kind)?,
            generation_id: generation_id.into(),
            source: source_of(source)?,
        },
        message: body.slice(message_start..),
    })
}

fn u32_at(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&header[at..at + 4]);
    u32::from_le_bytes(field)
}

fn u64_at(header: &[u8; HEADER_BYTES], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&header[at..at + 8]);
    u64::from_le_bytes(field)
}

fn scope_code(scope: AuthScope) -> u8 {
    match scope {
        AuthScope::Device => 0,
        AuthScope::Hub => 1,
        AuthScope::Module => 2,
    }
}

fn scope_of(code: u8) -> Option<AuthScope> {
    match code {
        0 => Some(AuthScope::Device),
        1 => Some(AuthScope::Hub),
        2 => Some(AuthScope::Module),
        _ => None,
    }
}

fn kind_code(kind: AuthKind) -> u8 {
    match kind {
        AuthKind::Sas => 0,
        AuthKind::X509 => 1,
    }
}

fn kind_of(code: u8) -> Option<AuthKind> {
    match code {
        0 => Some(AuthKind::Sas),
        1 => Some(AuthKind::X509),
        _ => None,
    }
}

fn source_code(source: MessageSource) -> u8 {
    match source {
        MessageSource::Telemetry => 0,
    }
}

fn source_of(code: u8) -> Option<MessageSource> {
    (code == 0).then_some(MessageSource::Telemetry)
}
