//! Walking over the sections of a message without reading what they hold.

use bytes::Bytes;

use crate::codec::{Decode, DecodeError, Reader, descriptor};

/// What a section holds (specification 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SectionKind {
    /// `header`
    Header,
    /// `delivery-annotations`
    DeliveryAnnotations,
    /// `message-annotations`
    MessageAnnotations,
    /// `properties`
    Properties,
    /// `application-properties`
    ApplicationProperties,
    /// `data`
    Data,
    /// `amqp-sequence`
    Sequence,
    /// `amqp-value`
    Value,
    /// `footer`
    Footer,
}

/// One section, still encoded. Shares the memory of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What it holds.
    pub kind: SectionKind,
    /// All of it, with its descriptor: to be passed on as it is.
    pub raw: Bytes,
    /// The encoded value behind the descriptor.
    pub value: Bytes,
}

/// Iterator over the sections of a message, see [`sections`].
#[derive(Debug, Clone)]
pub struct Sections {
    rest: Bytes,
}

/// Walks over the sections of an encoded message, looking at no more than their sizes. Ends after the first error.
#[must_use]
pub fn sections(bytes: &Bytes) -> Sections {
    Sections {
        rest: bytes.clone(),
    }
}

impl Section {
    /// The bytes of a data section.
    ///
    /// # Errors
    /// [`DecodeError`], also when the section is of another kind.
    pub fn data(&self) -> Result<Bytes, DecodeError> {
        Bytes::decode(&mut Reader::new(&self.value))
    }
}

impl SectionKind {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Header => descriptor::HEADER,
            Self::DeliveryAnnotations => descriptor::DELIVERY_ANNOTATIONS,
            Self::MessageAnnotations => descriptor::MESSAGE_ANNOTATIONS,
            Self::Properties => descriptor::PROPERTIES,
            Self::ApplicationProperties => descriptor::APPLICATION_PROPERTIES,
            Self::Data => descriptor::DATA,
            Self::Sequence => descriptor::AMQP_SEQUENCE,
            Self::Value => descriptor::AMQP_VALUE,
            Self::Footer => descriptor::FOOTER,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        Some(match code {
            descriptor::HEADER => Self::Header,
            descriptor::DELIVERY_ANNOTATIONS => Self::DeliveryAnnotations,
            descriptor::MESSAGE_ANNOTATIONS => Self::MessageAnnotations,
            descriptor::PROPERTIES => Self::Properties,
            descriptor::APPLICATION_PROPERTIES => Self::ApplicationProperties,
            descriptor::DATA => Self::Data,
            descriptor::AMQP_SEQUENCE => Self::Sequence,
            descriptor::AMQP_VALUE => Self::Value,
            descriptor::FOOTER => Self::Footer,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::DeliveryAnnotations => "delivery-annotations",
            Self::MessageAnnotations => "message-annotations",
            Self::Properties => "properties",
            Self::ApplicationProperties => "application-properties",
            Self::Data => "data",
            Self::Sequence => "amqp-sequence",
            Self::Value => "amqp-value",
            Self::Footer => "footer",
        }
    }
}

impl Iterator for Sections {
    type Item = Result<Section, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let section = next(&self.rest);
        self.rest = section.as_ref().map_or_else(
            |_| Bytes::new(),
            |section| self.rest.slice(section.raw.len()..),
        );
        Some(section)
    }
}

fn next(rest: &Bytes) -> Result<Section, DecodeError> {
    let mut reader = Reader::new(rest);
    let descriptor = reader.descriptor()?;
    let kind = descriptor
        .code()
        .and_then(SectionKind::of_code)
        .ok_or_else(|| descriptor.unknown())?;
    let start = rest.len() - reader.remaining();
    reader.skip()?;
    let end = rest.len() - reader.remaining();
    Ok(Section {
        kind,
        raw: rest.slice(..end),
        value: rest.slice(start..end),
    })
}
