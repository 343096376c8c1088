//! Iteration over the sections of a message without decoding their contents.

use bytes::Bytes;

use crate::codec::{Decode, DecodeError, Descriptor, Reader, descriptor};

/// The contents of a section (specification 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SectionKind {
    /// `header`
    Header = descriptor::HEADER,
    /// `delivery-annotations`
    DeliveryAnnotations = descriptor::DELIVERY_ANNOTATIONS,
    /// `message-annotations`
    MessageAnnotations = descriptor::MESSAGE_ANNOTATIONS,
    /// `properties`
    Properties = descriptor::PROPERTIES,
    /// `application-properties`
    ApplicationProperties = descriptor::APPLICATION_PROPERTIES,
    /// `data`
    Data = descriptor::DATA,
    /// `amqp-sequence`
    Sequence = descriptor::AMQP_SEQUENCE,
    /// `amqp-value`
    Value = descriptor::AMQP_VALUE,
    /// `footer`
    Footer = descriptor::FOOTER,
}

/// One section, still encoded. Shares the memory of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The contents.
    pub kind: SectionKind,
    /// The whole section, with its descriptor: to be passed on unchanged.
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
    /// Its descriptor.
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    pub(super) fn of(descriptor: Descriptor) -> Option<Self> {
        Some(match descriptor.code()? {
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
        let section = self.section();
        if section.is_err() {
            self.rest.clear();
        }
        Some(section)
    }
}

impl Sections {
    fn section(&mut self) -> Result<Section, DecodeError> {
        let mut reader = Reader::new(&self.rest);
        let descriptor = reader.descriptor()?;
        let kind = SectionKind::of(descriptor).ok_or_else(|| descriptor.unknown())?;
        let start = self.rest.len() - reader.remaining();
        reader.skip()?;
        let end = self.rest.len() - reader.remaining();
        let raw = self.rest.split_to(end);
        Ok(Section {
            kind,
            value: raw.slice(start..),
            raw,
        })
    }
}
