//! Messages (specification 3.2).

mod batch;
mod id;
mod properties;
mod section;

pub use batch::{BATCH_MESSAGE_FORMAT, Batch, batch};
pub use id::MessageId;
pub use properties::{Header, Properties};
pub use section::{Section, SectionKind, Sections, sections};

use bytes::{Bytes, BytesMut};

use crate::codec::{Composite, Decode, DecodeError, Encode, Reader, described};
use crate::value::{Map, Value};

/// A message with all its sections.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// Delivery details that intermediaries may change.
    pub header: Option<Header>,
    /// Annotations for the next peer only.
    pub delivery_annotations: Option<Map>,
    /// Annotations of the infrastructure; symbol keys.
    pub message_annotations: Option<Map>,
    /// Standard properties.
    pub properties: Option<Properties>,
    /// Properties of the application; string keys.
    pub application_properties: Option<Map>,
    /// The body.
    pub body: Body,
    /// Details that can be known only after the body.
    pub footer: Option<Map>,
}

/// The body of a message: sections of one kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Body {
    /// No section at all, which the specification does not foresee but peers send.
    #[default]
    Empty,
    /// Opaque bytes, in one or more sections.
    Data(Vec<Bytes>),
    /// Lists of values, in one or more sections.
    Sequence(Vec<Vec<Value>>),
    /// One value.
    Value(Value),
}

impl Message {
    /// The bytes of its data sections, put together; empty for a body of another kind.
    #[must_use]
    pub fn data(&self) -> Bytes {
        match &self.body {
            Body::Data(parts) => match parts.as_slice() {
                [only] => only.clone(),
                parts => parts.concat().into(),
            },
            _ => Bytes::new(),
        }
    }

    /// A message with one data section.
    #[must_use]
    pub fn from_data(data: impl Into<Bytes>) -> Self {
        Self {
            body: Body::Data(vec![data.into()]),
            ..Self::default()
        }
    }

    /// A message with one value.
    #[must_use]
    pub fn from_value(value: impl Into<Value>) -> Self {
        Self {
            body: Body::Value(value.into()),
            ..Self::default()
        }
    }

    /// Reads a message, with its sections in any order: the C SDK puts annotations behind properties. Data sections
    /// share the memory of `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`]; [`DecodeError::SurplusSection`] for a section that was there already, or for bodies of two kinds.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut message = Self::default();
        let mut reader = Reader::new(bytes);
        while reader.remaining() > 0 {
            let descriptor = reader.descriptor()?;
            let kind = SectionKind::of(descriptor).ok_or_else(|| descriptor.unknown())?;
            message.take(kind, &mut reader)?;
        }
        Ok(message)
    }

    fn take(&mut self, kind: SectionKind, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        match kind {
            SectionKind::Header => once(&mut self.header, kind, Header::decode_list(reader)?),
            SectionKind::DeliveryAnnotations => {
                once(&mut self.delivery_annotations, kind, Map::decode(reader)?)
            }
            SectionKind::MessageAnnotations => {
                once(&mut self.message_annotations, kind, Map::decode(reader)?)
            }
            SectionKind::Properties => {
                once(&mut self.properties, kind, Properties::decode_list(reader)?)
            }
            SectionKind::ApplicationProperties => {
                once(&mut self.application_properties, kind, Map::decode(reader)?)
            }
            SectionKind::Footer => once(&mut self.footer, kind, Map::decode(reader)?),
            SectionKind::Data | SectionKind::Sequence | SectionKind::Value => {
                self.body.take(kind, reader)
            }
        }
    }

    /// Appends the message, its sections in the order of the specification.
    pub fn encode(&self, out: &mut BytesMut) {
        self.header.iter().for_each(|header| header.encode(out));
        map(
            out,
            SectionKind::DeliveryAnnotations,
            self.delivery_annotations.as_ref(),
        );
        map(
            out,
            SectionKind::MessageAnnotations,
            self.message_annotations.as_ref(),
        );
        self.properties
            .iter()
            .for_each(|properties| properties.encode(out));
        map(
            out,
            SectionKind::ApplicationProperties,
            self.application_properties.as_ref(),
        );
        self.body.encode(out);
        map(out, SectionKind::Footer, self.footer.as_ref());
    }

    /// The encoded message.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(&mut out);
        out.freeze()
    }
}

impl Body {
    fn take(&mut self, kind: SectionKind, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        match (kind, &mut *self) {
            (SectionKind::Data, Self::Empty) => *self = Self::Data(vec![Bytes::decode(reader)?]),
            (SectionKind::Data, Self::Data(parts)) => parts.push(Bytes::decode(reader)?),
            (SectionKind::Sequence, Self::Empty) => {
                *self = Self::Sequence(vec![Vec::decode(reader)?])
            }
            (SectionKind::Sequence, Self::Sequence(parts)) => parts.push(Vec::decode(reader)?),
            (SectionKind::Value, Self::Empty) => *self = Self::Value(reader.value()?),
            (kind, _) => return Err(DecodeError::SurplusSection(kind.name())),
        }
        Ok(())
    }

    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Empty => {}
            Self::Data(parts) => parts
                .iter()
                .for_each(|part| described(out, SectionKind::Data.code(), part)),
            Self::Sequence(parts) => parts
                .iter()
                .for_each(|part| described(out, SectionKind::Sequence.code(), part)),
            Self::Value(value) => described(out, SectionKind::Value.code(), value),
        }
    }
}

fn once<T>(place: &mut Option<T>, kind: SectionKind, value: T) -> Result<(), DecodeError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(DecodeError::SurplusSection(kind.name())),
    }
}

fn map(out: &mut BytesMut, kind: SectionKind, map: Option<&Map>) {
    if let Some(map) = map {
        described(out, kind.code(), map);
    }
}

#[cfg(test)]
mod tests;
