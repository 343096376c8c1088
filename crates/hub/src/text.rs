//! Text from outside. .NET and Windows put a byte order mark in front of it, and some programs write UTF-16.
//!
//! All text and JSON from outside is read through this module, so that every input accepts the same forms.

use std::borrow::Cow;

use thiserror::Error;

/// How text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16, the lower byte first.
    Utf16Le,
    /// UTF-16, the higher byte first.
    Utf16Be,
    /// UTF-32, the lowest byte first.
    Utf32Le,
    /// UTF-32, the highest byte first.
    Utf32Be,
}

/// Bytes that are not text in the encoding that they are said to be in. Never repeats them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not text in UTF-8, nor in UTF-16 with a byte order mark")]
pub struct NotText;

/// The byte order marks. That of UTF-32 begins like that of UTF-16.
const MARKS: [(&[u8], Encoding); 5] = [
    (b"\xef\xbb\xbf", Encoding::Utf8),
    (b"\xff\xfe\0\0", Encoding::Utf32Le),
    (b"\0\0\xfe\xff", Encoding::Utf32Be),
    (b"\xff\xfe", Encoding::Utf16Le),
    (b"\xfe\xff", Encoding::Utf16Be),
];

impl Encoding {
    /// The encoding of a charset named by HTTP (in any case); `None` for an unsupported one. ASCII is UTF-8 as well.
    #[must_use]
    pub fn of_charset(name: &str) -> Option<Self> {
        let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is_one_of(&["utf-8", "utf8", "us-ascii", "ascii"]) {
            Some(Self::Utf8)
        } else if is_one_of(&["utf-16", "utf-16le", "unicode", "ucs-2"]) {
            // Without a byte order mark .NET takes it so.
            Some(Self::Utf16Le)
        } else if name.eq_ignore_ascii_case("utf-16be") {
            Some(Self::Utf16Be)
        } else {
            None
        }
    }
}

/// The encoding that a byte order mark names, and the bytes behind the mark; `None` without one.
#[must_use]
pub fn marked(bytes: &[u8]) -> Option<(Encoding, &[u8])> {
    let behind = |(mark, encoding)| bytes.strip_prefix(mark).map(|rest| (encoding, rest));
    MARKS.into_iter().find_map(behind)
}

/// The bytes without a byte order mark of UTF-8: for what is read as UTF-8 alone.
#[must_use]
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Reads text in the encoding that its byte order mark names, in UTF-8 without one. The mark is not part of the text.
///
/// # Errors
/// The bytes are something else.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, NotText> {
    decode_as(bytes, Encoding::Utf8)
}

/// The same; without a byte order mark the text is in `declared`.
///
/// # Errors
/// The bytes are something else.
pub fn decode_as(bytes: &[u8], declared: Encoding) -> Result<Cow<'_, str>, NotText> {
    let (encoding, bytes) = marked(bytes).unwrap_or((declared, bytes));
    match encoding {
        Encoding::Utf8 => {
            let text = std::str::from_utf8(bytes).map_err(|_| NotText)?;
            Ok(Cow::Borrowed(text))
        }
        Encoding::Utf16Le => utf16(bytes, u16::from_le_bytes),
        Encoding::Utf16Be => utf16(bytes, u16::from_be_bytes),
        Encoding::Utf32Le => utf32(bytes, u32::from_le_bytes),
        Encoding::Utf32Be => utf32(bytes, u32::from_be_bytes),
    }
}

/// The same for text that must be read in any case: bytes that are invalid in its encoding become U+FFFD.
#[must_use]
pub fn decode_lossy(bytes: &[u8], declared: Encoding) -> Cow<'_, str> {
    let (encoding, bytes) = marked(bytes).unwrap_or((declared, bytes));
    match encoding {
        Encoding::Utf8 => String::from_utf8_lossy(bytes),
        Encoding::Utf16Le => Cow::Owned(utf16_lossy(bytes, u16::from_le_bytes)),
        Encoding::Utf16Be => Cow::Owned(utf16_lossy(bytes, u16::from_be_bytes)),
        Encoding::Utf32Le => Cow::Owned(utf32_lossy(bytes, u32::from_le_bytes)),
        Encoding::Utf32Be => Cow::Owned(utf32_lossy(bytes, u32::from_be_bytes)),
    }
}

/// The charset that a content type names, if it names one.
#[must_use]
pub fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"'))
    })
}

fn utf16_lossy(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, rest) = bytes.as_chunks();
    let characters = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)));
    let characters = characters.map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER));
    characters.chain(replacement_of(rest)).collect()
}

fn utf32_lossy(bytes: &[u8], number: fn([u8; 4]) -> u32) -> String {
    let (quads, rest) = bytes.as_chunks();
    let character = |quad: &[u8; 4]| char::from_u32(number(*quad));
    let characters = quads.iter().map(character);
    let characters = characters.map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER));
    characters.chain(replacement_of(rest)).collect()
}

/// For what is left of a character that was cut off.
fn replacement_of(rest: &[u8]) -> Option<char> {
    (!rest.is_empty()).then_some(char::REPLACEMENT_CHARACTER)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'static, str>, NotText> {
    let (pairs, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(NotText);
    }
    let characters = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)));
    let text = characters.collect::<Result<String, _>>();
    text.map(Cow::Owned).map_err(|_| NotText)
}

fn utf32(bytes: &[u8], number: fn([u8; 4]) -> u32) -> Result<Cow<'static, str>, NotText> {
    let (quads, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(NotText);
    }
    let characters = quads.iter().map(|quad| char::from_u32(number(*quad)));
    let text = characters.collect::<Option<String>>();
    text.map(Cow::Owned).ok_or(NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_says_what_follows() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            assert_eq!(decode(bytes).ok().as_deref(), expected, "{bytes:x?}");
        };
        check(b"", Some(""));
        check(b"{}", Some("{}"));
        check(b"\xef\xbb\xbf{}", Some("{}"));
        check(b"\xef\xbb\xbf", Some(""));
        check(b"\xff\xfe{\0}\0", Some("{}"));
        check(b"\xfe\xff\0{\0}", Some("{}"));
        check(b"\xff\xfe\0\0{\0\0\0", Some("{"));
        check(b"\0\0\xfe\xff\0\0\0{", Some("{"));
        check(b"\xff\xfe\x3d\xd8\0\xde", Some("\u{1f600}"));
        // One mark is taken; a second one is a character.
        check(b"\xef\xbb\xbf\xef\xbb\xbf", Some("\u{feff}"));
        check(b"\xef\xbb", None);
        check(b"\xff", None);
        check(b"\xff\xfe{", None);
        check(b"\xff\xfe\x3d\xd8", None);
        check(b"\xff\xfe\0\0\0\xd8\0\0", None);
        check(b"\xff\xfe\0\0{\0", None);
    }

    #[test]
    fn a_charset_counts_where_there_is_no_mark() {
        let check = |charset: &str, bytes: &[u8], expected: Option<&str>| {
            let encoding = Encoding::of_charset(charset).unwrap();
            let found = decode_as(bytes, encoding).ok();
            assert_eq!(found.as_deref(), expected, "{charset} {bytes:x?}");
        };
        check("UTF-8", b"{}", Some("{}"));
        check("us-ascii", b"{}", Some("{}"));
        check("UTF-16", b"{\0}\0", Some("{}"));
        check("utf-16le", b"\xff\xfe{\0}\0", Some("{}"));
        check("utf-16", b"\xfe\xff\0{\0}", Some("{}"));
        check("utf-16BE", b"\0{\0}", Some("{}"));
        check("utf-16", b"\xef\xbb\xbf{}", Some("{}"));
        for other in [
            "",
            "utf-7",
            "utf-32",
            "iso-8859-1",
            "windows-1252",
            "utf-17",
        ] {
            assert_eq!(Encoding::of_charset(other), None, "{other}");
        }
    }

    #[test]
    fn text_is_read_whatever_it_is() {
        let check = |bytes: &[u8], declared: Encoding, expected: &str| {
            assert_eq!(decode_lossy(bytes, declared), expected, "{bytes:x?}");
        };
        check(b"{}", Encoding::Utf8, "{}");
        check(b"a\xffb", Encoding::Utf8, "a\u{fffd}b");
        check(b"\xef\xbb\xbfa", Encoding::Utf16Le, "a");
        check(b"\xff\xfe{\0}\0", Encoding::Utf8, "{}");
        check(b"{\0\x3d\xd8}\0\0", Encoding::Utf16Le, "{\u{fffd}}\u{fffd}");
        check(b"\0{\0}", Encoding::Utf16Be, "{}");
        check(
            b"\xff\xfe\0\0{\0\0\0\0\xd8\0\0",
            Encoding::Utf8,
            "{\u{fffd}",
        );
    }

    #[test]
    fn a_content_type_may_name_a_charset() {
        assert_eq!(charset("application/json"), None);
        assert_eq!(
            charset("application/json; x=y; Charset = \"utf-16\" "),
            Some("utf-16")
        );
        assert_eq!(charset("text/plain;charset="), Some(""));
    }

    #[test]
    fn only_the_mark_of_utf_8_goes_where_utf_8_is_read() {
        assert_eq!(without_mark(b"\xef\xbb\xbf{}"), b"{}");
        assert_eq!(without_mark(b"{}"), b"{}");
        assert_eq!(without_mark(b"\xff\xfe{\0"), b"\xff\xfe{\0");
    }
}
