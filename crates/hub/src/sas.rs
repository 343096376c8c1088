//! Shared access signatures: `SharedAccessSignature sr=…&sig=…&se=…[&skn=…]`.
//!
//! The signed text is the `sr` exactly as it is in the token, a line feed, and the expiry. Clients write the rest differently
//! (order of the fields, upper or lower hex, single, double or no encoding, an empty `skn`), so the verifier accepts all of these
//! forms.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::ids::{DeviceId, HostName, ModuleId};
use crate::key::SymmetricKey;
use crate::limits::{SAS_GRACE_S, TOKEN_MAX_CHARS};
use crate::percent_encoding::{decode, encode_component, split_authority};

const SCHEME: &str = "SharedAccessSignature";

/// The resource of a device (or module), encoded as a whole, as Node, Python and C write it.
#[must_use]
pub fn device_resource(host: &HostName, device: &DeviceId, module: Option<&ModuleId>) -> String {
    encode_component(&match module {
        Some(module) => format!("{host}/devices/{device}/modules/{module}"),
        None => format!("{host}/devices/{device}"),
    })
}

/// The resource of a registration at DPS, encoded as a whole.
#[must_use]
pub fn registration_resource(id_scope: &str, registration: &str) -> String {
    encode_component(&format!("{id_scope}/registrations/{registration}"))
}

/// The resource of a hub's telemetry, as it is asked for at the hub itself.
#[must_use]
pub fn telemetry_resource(host: &HostName) -> String {
    encode_component(&format!("{host}/messages/events"))
}

/// The resource of an entity at an Event Hubs-compatible endpoint.
#[must_use]
pub fn event_resource(endpoint: &HostName, entity: &str) -> String {
    encode_component(&format!("sb://{endpoint}/{entity}"))
}

/// Makes a token. `resource` is taken as it shall appear in `sr`; `policy` becomes `skn`.
#[must_use]
pub fn sign(
    resource: &str,
    key: &SymmetricKey,
    expiry_unix_s: u64,
    policy: Option<&str>,
) -> String {
    let signature = key.sign(signed_text(resource, &expiry_unix_s.to_string()).as_bytes());
    let signature = encode_component(&STANDARD.encode(signature));
    let mut token = format!("{SCHEME} sr={resource}&sig={signature}&se={expiry_unix_s}");
    if let Some(policy) = policy {
        token.push_str("&skn=");
        token.push_str(&encode_component(policy));
    }
    token
}

/// A token taken apart, not yet verified. `Debug` shows no signature.
#[derive(Clone)]
pub struct Token {
    /// `sr` as written, then decoded once and twice as far as that changes anything.
    readings: Box<[Box<str>]>,
    signature: Box<[u8]>,
    /// As written, because it was signed as written.
    expiry: Box<str>,
    expiry_unix_s: u64,
    policy: Option<String>,
}

/// Why a text is not a token. Holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidToken {
    /// Longer than any client makes it.
    #[error("the token has {length} characters, at most {TOKEN_MAX_CHARS} are allowed")]
    TooLong {
        /// Length found.
        length: usize,
    },
    /// It does not start with the scheme word, or has more than two words.
    #[error("the token is not `SharedAccessSignature sr=…&sig=…&se=…`")]
    Scheme,
    /// A part without `=`.
    #[error("part {number} of the token has no `=`")]
    Part {
        /// The part's number, from 1.
        number: usize,
    },
    /// A field that must be there is not, or is empty.
    #[error("the token has no `{field}`")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field is there twice.
    #[error("the token has `{field}` twice")]
    Twice {
        /// The field.
        field: &'static str,
    },
    /// A field whose percent-encoding does not give UTF-8.
    #[error("`{field}` of the token is not text")]
    NotText {
        /// The field.
        field: &'static str,
    },
    /// `sig` is not base64.
    #[error("`sig` of the token is not base64")]
    Signature,
    /// `se` is not a number of seconds.
    #[error("`se` of the token is not a number of seconds")]
    Expiry,
}

impl Token {
    /// Takes a token apart, in any of the forms that clients write.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let fields = Fields::parse(text)?;
        let literal = fields.sr.ok_or(InvalidToken::Missing { field: "sr" })?;
        let expiry = fields.se.ok_or(InvalidToken::Missing { field: "se" })?;
        let signature = fields.sig.ok_or(InvalidToken::Missing { field: "sig" })?;
        Ok(Self {
            // A hub keeps one for each device of a connection: nothing is allocated in excess.
            readings: readings(literal)?.into_iter().map(Into::into).collect(),
            signature: parse_signature(signature)?.into(),
            expiry: expiry.into(),
            expiry_unix_s: parse_expiry(expiry)?,
            policy: fields.skn.map(parse_policy).transpose()?,
        })
    }

    /// `sr`, decoded until stable, twice at most. Ids that contain `%` themselves come out wrong: [`Self::covers`] tries
    /// every reading.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.readings.last().map_or("", |reading| reading)
    }

    /// Every reading of `sr`: as written, decoded once, decoded twice, without repetitions.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        self.readings.iter().map(|reading| &**reading)
    }

    /// The policy, or `None` for a device's own key (`skn` missing or empty).
    #[must_use]
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// Expiry in seconds since 1970 UTC.
    #[must_use]
    pub const fn expiry_unix_s(&self) -> u64 {
        self.expiry_unix_s
    }

    /// Whether the token is still taken at `now_unix_s`: until [`SAS_GRACE_S`] after its expiry.
    #[must_use]
    pub const fn is_current(&self, now_unix_s: u64) -> bool {
        now_unix_s <= self.expiry_unix_s.saturating_add(SAS_GRACE_S)
    }

    /// Whether `key` signed it, in constant time. True also if the key's base64 text did, which is how Event Hubs
    /// clients sign.
    #[must_use]
    pub fn signed_by(&self, key: &SymmetricKey) -> bool {
        let literal = self.readings.first().map_or("", |reading| reading);
        let text = signed_text(literal, &self.expiry);
        let as_bytes = key.verify(text.as_bytes(), &self.signature);
        let as_text = key.verify_as_text(text.as_bytes(), &self.signature);
        as_bytes | as_text
    }

    /// Whether its resource is `path` at `host`, or a parent of it by whole segments. `path` is decoded and may start
    /// with a slash. Device and module ids compare with case; all else (host, literals, Event Hubs names) without.
    #[must_use]
    pub fn covers(&self, host: &HostName, path: &str) -> bool {
        self.readings()
            .any(|reading| resource_covers(reading, host, path))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("resource", &self.resource())
            .field("policy", &self.policy)
            .field("expiry_unix_s", &self.expiry_unix_s)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Fields<'a> {
    sr: Option<&'a str>,
    sig: Option<&'a str>,
    se: Option<&'a str>,
    skn: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, InvalidToken> {
        if text.len() > TOKEN_MAX_CHARS {
            return Err(InvalidToken::TooLong { length: text.len() });
        }
        let mut words = text.split_ascii_whitespace();
        let (Some(scheme), Some(rest), None) = (words.next(), words.next(), words.next()) else {
            return Err(InvalidToken::Scheme);
        };
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(InvalidToken::Scheme);
        }
        let mut fields = Self::default();
        for (index, part) in rest.split('&').enumerate() {
            let number = index + 1;
            let (name, value) = part.split_once('=').ok_or(InvalidToken::Part { number })?;
            fields.set(name, value)?;
        }
        Ok(fields)
    }

    /// Unknown fields are ignored, as the hub does; empty ones count as missing (C always writes `&skn=`).
    fn set(&mut self, name: &str, value: &'a str) -> Result<(), InvalidToken> {
        let (slot, field) = match name {
            "sr" => (&mut self.sr, "sr"),
            "sig" => (&mut self.sig, "sig"),
            "se" => (&mut self.se, "se"),
            "skn" => (&mut self.skn, "skn"),
            _ => return Ok(()),
        };
        if value.is_empty() {
            return Ok(());
        }
        match slot.replace(value) {
            Some(_) => Err(InvalidToken::Twice { field }),
            None => Ok(()),
        }
    }
}

fn signed_text(resource: &str, expiry: &str) -> String {
    format!("{resource}\n{expiry}")
}

fn readings(literal: &str) -> Result<Vec<String>, InvalidToken> {
    let mut readings = vec![literal.to_owned()];
    for _ in 0..2 {
        let last = readings.last().map_or("", String::as_str);
        let next = match decode(last) {
            Some(Cow::Borrowed(_)) => break,
            Some(Cow::Owned(next)) => next,
            // An id may contain `%`: a second decoding that gives no text was one too many.
            None if readings.len() > 1 => break,
            None => return Err(InvalidToken::NotText { field: "sr" }),
        };
        readings.push(next);
    }
    Ok(readings)
}

/// Python's service client leaves `/` and `+` of the base64 as they are; a `+` is never a space here.
fn parse_signature(text: &str) -> Result<Vec<u8>, InvalidToken> {
    let text = decode(text).ok_or(InvalidToken::NotText { field: "sig" })?;
    STANDARD
        .decode(text.as_bytes())
        .map_err(|_| InvalidToken::Signature)
}

fn parse_expiry(text: &str) -> Result<u64, InvalidToken> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidToken::Expiry);
    }
    text.parse().map_err(|_| InvalidToken::Expiry)
}

/// C# writes a space as `+`.
fn parse_policy(text: &str) -> Result<String, InvalidToken> {
    match decode(&text.replace('+', " ")) {
        Some(policy) => Ok(policy.into_owned()),
        None => Err(InvalidToken::NotText { field: "skn" }),
    }
}

fn resource_covers(resource: &str, host: &HostName, path: &str) -> bool {
    let (authority, rest) = split_authority(resource);
    let mut granted = rest.split('/').filter(|segment| !segment.is_empty());
    let Some(authority) = authority.or_else(|| granted.next()) else {
        return false;
    };
    let name = authority
        .split_once(':')
        .map_or(authority, |(name, _port)| name);
    if !name.eq_ignore_ascii_case(host.as_str()) {
        return false;
    }
    let asked: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut asked_at = asked.iter().enumerate();
    granted.all(|segment| {
        asked_at.next().is_some_and(|(index, part)| {
            if is_identity(&asked, index) {
                segment == *part
            } else {
                segment.eq_ignore_ascii_case(part)
            }
        })
    })
}

/// Whether segment `index` is the id in `devices/{id}/modules/{id}`.
fn is_identity(path: &[&str], index: usize) -> bool {
    let after = |at: usize, literal: &str| {
        path.get(at)
            .is_some_and(|part| part.eq_ignore_ascii_case(literal))
    };
    match index {
        1 => after(0, "devices") || after(0, "twins"),
        3 => is_identity(path, 1) && after(2, "modules"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
