//! Several messages in one delivery, as Event Hubs and IoT Hub define it. The C SDK always sends in this form.

use bytes::Bytes;

use super::section::{SectionKind, Sections, sections};
use crate::codec::DecodeError;

/// The `message-format` of a delivery whose data sections are one encoded message each.
pub const BATCH_MESSAGE_FORMAT: u32 = 0x8001_3700;

/// Iterator over the messages of a batch, see [`batch`].
#[derive(Debug, Clone)]
pub struct Batch(Sections);

/// The encoded messages inside a delivery of [`BATCH_MESSAGE_FORMAT`]. Sections of the delivery besides data are passed
/// over. Ends after the first error.
#[must_use]
pub fn batch(bytes: &Bytes) -> Batch {
    Batch(sections(bytes))
}

impl Iterator for Batch {
    type Item = Result<Bytes, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.find_map(|section| match section {
            Ok(section) if section.kind == SectionKind::Data => Some(section.data()),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    }
}
