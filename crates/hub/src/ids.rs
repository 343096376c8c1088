//! Ids and names, validated once when they are parsed.
//!
//! Character sets: Azure IoT Hub article "identity registry" (devices and modules), DPS article "concepts: service"
//! (registrations), RFC 1123 (hosts).

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::limits::{DEVICE_ID_MAX_CHARS, HOST_NAME_MAX_CHARS, REGISTRATION_ID_MAX_CHARS};

/// Why a text is not a [`DeviceId`].
pub type InvalidDeviceId = InvalidId;

/// Why a text is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid {kind}: {mistake}")]
pub struct InvalidId {
    /// The kind of name that was expected.
    pub kind: IdKind,
    /// The mistake.
    pub mistake: Mistake,
}

/// The kinds of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// See [`DeviceId`].
    DeviceId,
    /// See [`ModuleId`].
    ModuleId,
    /// See [`HostName`].
    HostName,
    /// See [`RegistrationId`].
    RegistrationId,
}

/// Errors of names.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Mistake {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// Longer than allowed; both in characters.
    #[error("it has {length} characters, at most {limit} are allowed")]
    TooLong {
        /// Length found.
        length: usize,
        /// Length allowed.
        limit: usize,
    },
    /// A character outside the allowed set; positions count from 1.
    #[error("character {character:?} at position {position} is not allowed")]
    Character {
        /// The character.
        character: char,
        /// Its position in characters, from 1.
        position: usize,
    },
    /// A character that is allowed, but not at the end.
    #[error("it must not end with {character:?}")]
    End {
        /// The character.
        character: char,
    },
    /// A host name with an empty, overlong or hyphen-edged label.
    #[error("label {number} must have 1 to 63 characters and neither start nor end with '-'")]
    Label {
        /// The label's number, from 1.
        number: usize,
    },
}

/// The name of a device at its hub: 1 to 128 characters of `A–Z a–z 0–9 - : . + % _ # * ? ! ( ) , = @ ; $ '`,
/// case-sensitive. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    /// Checks `text`. Errors name the character and its position, or the length.
    pub fn parse(text: &str) -> Result<Self, InvalidDeviceId> {
        check(IdKind::DeviceId, text, DEVICE_ID_MAX_CHARS, is_hub_id).map(Self)
    }

    /// The id as the hub knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id in lower case: the same for all ids that differ only in case, which DPS takes for one device. Cheap when there is
    /// no capital letter in it.
    #[must_use]
    pub fn to_lower_case(&self) -> Self {
        match self.0.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Self(self.0.to_ascii_lowercase().into()),
            false => self.clone(),
        }
    }
}

/// The name of a module of a device: same rules as [`DeviceId`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(Arc<str>);

impl ModuleId {
    /// Checks `text`. Errors name the character and its position, or the length.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        check(IdKind::ModuleId, text, DEVICE_ID_MAX_CHARS, is_hub_id).map(Self)
    }

    /// The id as the hub knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name under which a device registers at DPS: 1 to 128 of letters, digits and `- . _ :`, the last one a letter, a
/// digit or `-`. DPS compares it without case. Not every [`DeviceId`] is one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistrationId(Arc<str>);

impl RegistrationId {
    /// Checks `text`. Errors name the character and its position, or the length.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let kind = IdKind::RegistrationId;
        let id = check(kind, text, REGISTRATION_ID_MAX_CHARS, |c| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':')
        })?;
        match id.chars().next_back() {
            Some(character @ ('.' | '_' | ':')) => Err(InvalidId {
                kind,
                mistake: Mistake::End { character },
            }),
            _ => Ok(Self(id)),
        }
    }

    /// The id as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A DNS name (or IPv4 address), in lower case, without port. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Arc<str>);

impl HostName {
    /// The name, to be kept without a copy.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Checks `text` and lower-cases it. Errors name the character and its position, the length or the label.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let kind = IdKind::HostName;
        let lower = text.to_ascii_lowercase();
        let host = check(kind, &lower, HOST_NAME_MAX_CHARS, |c| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
        })?;
        match host.split('.').position(|label| !is_label(label)) {
            Some(index) => Err(InvalidId {
                kind,
                mistake: Mistake::Label { number: index + 1 },
            }),
            None => Ok(Self(host)),
        }
    }

    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first label: `contoso` of `contoso.azure-devices.net`.
    #[must_use]
    pub fn hub_name(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for IdKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeviceId => "device id",
            Self::ModuleId => "module id",
            Self::HostName => "host name",
            Self::RegistrationId => "registration id",
        })
    }
}

macro_rules! text_traits {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }
    )+};
}

text_traits!(DeviceId, ModuleId, RegistrationId, HostName);

fn is_hub_id(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-:.+%_#*?!(),=@;$'".contains(character)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

fn check(
    kind: IdKind,
    text: &str,
    limit: usize,
    allowed: impl Fn(char) -> bool,
) -> Result<Arc<str>, InvalidId> {
    let mistake = if text.is_empty() {
        Mistake::Empty
    } else if let Some((index, character)) = text.chars().enumerate().find(|(_, c)| !allowed(*c)) {
        Mistake::Character {
            character,
            position: index + 1,
        }
    } else if text.len() > limit {
        // Only ASCII is left here, so bytes are characters.
        Mistake::TooLong {
            length: text.len(),
            limit,
        }
    } else {
        return Ok(Arc::from(text));
    };
    Err(InvalidId { kind, mistake })
}

#[cfg(test)]
#[path = "ids/tests.rs"]
mod tests;
