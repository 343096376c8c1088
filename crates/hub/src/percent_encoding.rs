//! Percent-encoding as the SDKs do it.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The characters that JavaScript's `encodeURIComponent` encodes.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Encodes as `encodeURIComponent` does, with upper-case hex.
pub(crate) fn encode_component(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

/// Decodes once. `None` if the result is not UTF-8; a `%` without two hex digits stays as it is.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

/// Cuts off `scheme://authority`, if there is one: `(authority, rest)`.
pub(crate) fn split_authority(text: &str) -> (Option<&str>, &str) {
    match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => match rest.find('/') {
            Some(slash) => {
                let (authority, path) = rest.split_at(slash);
                (Some(authority), path)
            }
            None => (Some(rest), ""),
        },
        _ => (None, text),
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
}
