//! Percent-encoded text.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A character does not reach over the ASCII of a separator, so the whole is text where each part is.
pub(super) fn is_text(encoded: &str) -> bool {
    decoded(encoded).is_some()
}

/// The text; `None` if it is not UTF-8, or a `%` is not followed by two hexadecimal digits.
pub(super) fn decoded(encoded: &str) -> Option<Cow<'_, str>> {
    let digits = |part: &str| {
        let digits = part.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut escapes = encoded.split('%').skip(1);
    match escapes.all(digits) {
        true => percent_decode_str(encoded).decode_utf8().ok(),
        false => None,
    }
}
