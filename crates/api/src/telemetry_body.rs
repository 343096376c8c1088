//! The body of `POST /devices/{id}/messages/events`:
//! `{data: object, properties?: {string: string}, componentName?: string, creationTimeUtc?: date-time}`.
//!
//! Member names compare without case and unknown members are skipped, as in the original; the last of several members with one name
//! counts. `data` is not parsed into values: its bytes are passed on unchanged.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use drawspan_hub::UtcTime;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::json_error::words;
use crate::limits::MAX_SHOWN_MEMBER_BYTES;

/// A body that has been understood.
#[derive(Debug, PartialEq)]
pub(super) struct Envelope {
    /// The JSON text of `data`, byte for byte.
    pub(super) data: Bytes,
    /// Application properties in their order; each name once.
    pub(super) properties: Vec<(String, String)>,
    /// The component, `None` when absent, null or empty.
    pub(super) component: Option<String>,
    /// When the device made the message.
    pub(super) creation_time: Option<UtcTime>,
}

/// Why a body was not understood. Shown to its sender only.
#[derive(Debug, Error)]
pub(super) enum InvalidEnvelope {
    /// Nothing was sent.
    #[error("The body is empty; it must be a JSON object with the member `data`.")]
    Empty,
    /// Not JSON, or a member has a wrong type.
    #[error("The body is not valid: {0}.")]
    Json(String),
    /// No `data`, or null.
    #[error("The member `data` is required.")]
    NoData,
    /// `data` is something else.
    #[error("The member `data` must be a JSON object.")]
    DataIsNoObject,
    /// The time cannot be read.
    #[error(
        "The member `creationTimeUtc` must be a date or time in ISO 8601, like 2026-11-22T10:20:30.5Z."
    )]
    CreationTime,
}

/// Reads a whole body.
///
/// # Errors
/// The first mistake found.
pub(super) fn parse(body: &Bytes) -> Result<Envelope, InvalidEnvelope> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(InvalidEnvelope::Empty);
    }
    let members = members(body).map_err(|error| InvalidEnvelope::Json(words(&error, body)))?;
    let data = members
        .data
        .map(RawValue::get)
        .filter(|text| *text != "null")
        .ok_or(InvalidEnvelope::NoData)?;
    if !data.starts_with('{') {
        return Err(InvalidEnvelope::DataIsNoObject);
    }
    let creation_time = match members.creation_time {
        Some(text) => Some(UtcTime::parse(&text).map_err(|_| InvalidEnvelope::CreationTime)?),
        None => None,
    };
    Ok(Envelope {
        data: body.slice_ref(data.as_bytes()),
        properties: members.properties,
        component: members.component.filter(|name| !name.is_empty()),
        creation_time,
    })
}

fn members(body: &[u8]) -> serde_json::Result<Members<'_>> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let members = deserializer.deserialize_map(MembersVisitor)?;
    deserializer.end()?;
    Ok(members)
}

#[derive(Default)]
struct Members<'de> {
    data: Option<&'de RawValue>,
    properties: Vec<(String, String)>,
    component: Option<String>,
    creation_time: Option<String>,
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the member `data`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        while let Some(member) = map.next_key_seed(MemberSeed)? {
            match member {
                Member::Data => members.data = Some(map.next_value()?),
                Member::Properties => members.properties = map.next_value_seed(PropertiesSeed)?,
                Member::ComponentName => {
                    members.component =
                        map.next_value_seed(TextSeed("`componentName` to be a string"))?;
                }
                Member::CreationTimeUtc => {
                    members.creation_time =
                        map.next_value_seed(TextSeed("`creationTimeUtc` to be a string"))?;
                }
                Member::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

enum Member {
    Data,
    Properties,
    ComponentName,
    CreationTimeUtc,
    Unknown,
}

const MEMBERS: [(&str, Member); 4] = [
    ("data", Member::Data),
    ("properties", Member::Properties),
    ("componentName", Member::ComponentName),
    ("creationTimeUtc", Member::CreationTimeUtc),
];

struct MemberSeed;

impl<'de> DeserializeSeed<'de> for MemberSeed {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for MemberSeed {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Member, E> {
        let known = MEMBERS
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        Ok(known.map_or(Member::Unknown, |(_, member)| member))
    }
}

/// A string, or null for `None`, with a description of what is expected.
struct TextSeed<D>(D);

impl<'de, E: fmt::Display> DeserializeSeed<'de> for TextSeed<E> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<D: fmt::Display> Visitor<'_> for TextSeed<D> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// An object of strings, or null for an empty one. A property that is null is left out, as in the original's SDK.
struct PropertiesSeed;

impl<'de> DeserializeSeed<'de> for PropertiesSeed {
    type Value = Vec<(String, String)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PropertiesSeed {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`properties` to be an object of strings")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut properties: Vec<Property> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(TextSeed(Expected(&name)))?;
            properties.push((name, value));
        }
        let there = |(name, value): Property| value.map(|value| (name, value));
        Ok(keep_last(properties)
            .into_iter()
            .filter_map(there)
            .collect())
    }
}

/// A name, and its value unless it is null.
type Property = (String, Option<String>);

/// The expected form of a property.
struct Expected<'n>(&'n str);

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0..=MAX_SHOWN_MEMBER_BYTES => write!(f, "the property `{}` to be a string", self.0),
            _ => f.write_str("the values of `properties` to be strings"),
        }
    }
}

/// Up to this many properties are compared with each other; more are hashed.
const FEW_PROPERTIES: usize = 16;

/// Of names that are there twice the last one counts, at the place of the first.
fn keep_last(properties: Vec<Property>) -> Vec<Property> {
    let twice = |at: usize, name: &str| properties.iter().take(at).any(|(known, _)| known == name);
    if properties.len() <= FEW_PROPERTIES
        && !properties
            .iter()
            .enumerate()
            .any(|(at, (name, _))| twice(at, name))
    {
        return properties;
    }
    let mut places = HashMap::with_capacity(properties.len());
    let mut kept: Vec<Property> = Vec::with_capacity(properties.len());
    for (name, value) in properties {
        let place = *places.entry(name.clone()).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(known) => known.1 = value,
            None => kept.push((name, value)),
        }
    }
    kept
}

#[cfg(test)]
mod tests;
