//! The key that a request sends.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use drawspan_settings::API_KEY_HEADER;
use thiserror::Error;

/// Why a request is not let in. Says nothing about which keys there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAdmitted {
    /// No key.
    #[error("Send an API key in the header x-api-key, or as: Authorization: Bearer KEY.")]
    Missing,
    /// The key is unknown.
    #[error(
        "The API key (x-api-key, or Authorization: Bearer) is wrong: this bridge does not know it."
    )]
    Wrong,
    /// Several, and they are not the same.
    #[error(
        "The request holds different API keys, in several headers x-api-key or in x-api-key and Authorization: send one."
    )]
    Different,
    /// `Authorization` holds something else.
    #[error(
        "The header Authorization must hold: Bearer KEY. Or send the API key in the header x-api-key."
    )]
    Scheme,
}

/// The keys of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent<'a> {
    One(&'a [u8]),
    /// One in `x-api-key`, and another one in `Authorization`.
    Both {
        key: &'a [u8],
        bearer: &'a [u8],
    },
}

/// The keys in these headers. The same key may be there several times.
pub(super) fn sent(headers: &HeaderMap) -> Result<Sent<'_>, NotAdmitted> {
    let key = only(headers.get_all(API_KEY_HEADER).iter().map(bytes))?;
    let mut authorizations = headers.get_all(AUTHORIZATION).iter().peekable();
    let has_other = authorizations.peek().is_some();
    let mut has_bearer = false;
    let tokens = authorizations
        .filter_map(bearer)
        .inspect(|_| has_bearer = true);
    let bearer = only(tokens);
    match (key, bearer) {
        (Some(key), Ok(None)) => Ok(Sent::One(key)),
        (Some(key), Ok(Some(bearer))) if key != bearer => Ok(Sent::Both { key, bearer }),
        (None | Some(_), Ok(Some(bearer))) => Ok(Sent::One(bearer)),
        (_, Err(error)) => Err(error),
        (None, Ok(None)) if has_other && !has_bearer => Err(NotAdmitted::Scheme),
        (None, Ok(None)) => Err(NotAdmitted::Missing),
    }
}

/// The key of a request that was let in; `None` if it needed none.
pub(crate) fn key_of(headers: &HeaderMap) -> Option<&[u8]> {
    match sent(headers) {
        Ok(Sent::One(key) | Sent::Both { key, .. }) => Some(key),
        Err(_) => None,
    }
}

/// The one text among these, however often it is there. An empty one, as of a variable that is not set, does not count.
fn only<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, NotAdmitted> {
    let mut texts = texts.filter(|text| !text.is_empty());
    let first = texts.next();
    match texts.all(|text| Some(text) == first) {
        true => Ok(first),
        false => Err(NotAdmitted::Different),
    }
}

fn bytes(value: &HeaderValue) -> &[u8] {
    value.as_bytes()
}

/// The token after the scheme `Bearer` (RFC 6750, section 2.1), which is case-insensitive.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, rest) = value.as_bytes().split_at_checked(SCHEME.len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(SCHEME);
    let ends = rest.first().is_none_or(|byte| *byte == b' ');
    (is_bearer && ends).then(|| rest.trim_ascii())
}
