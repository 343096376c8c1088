//! Errors in a JSON text, described for its sender: what was found, in which member, and where.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use crate::limits::MAX_SHOWN_MEMBER_BYTES;

/// The parser's text for bytes that are not UTF-8. It reports them where their string ends.
const NOT_UTF8: &str = "invalid unicode code point";
/// The parser's text for a control character, one byte early where it skips the string.
const CONTROL: &str = "control character (\\u0000-\\u001F) found while parsing a string";

/// How far into the text a member is named: `messages[3].properties.room`.
const TRAIL_DEPTH: usize = 4;

/// The words for an error of the parser in `text`.
pub(super) fn words(error: &serde_json::Error, text: &[u8]) -> String {
    let whole = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = whole.strip_suffix(&place).unwrap_or(&whole);
    let what = what
        .replace("invalid type: map", "invalid type: object")
        .replace("invalid type: sequence", "invalid type: list");
    match error.classify() {
        // These name the member themselves, and not all have a place.
        Category::Data => what,
        Category::Eof => {
            let within = what.strip_prefix("EOF while parsing ").unwrap_or("a value");
            format!("it ends within {within}{}", member(error, text))
        }
        Category::Syntax | Category::Io => {
            let at = place_of(error, &what, text);
            let said = said(&what, found(text, at));
            let (line, column) = line_and_column(text, at);
            let member = match what.as_str() {
                // The parser says it where the string ends, or the whole value that is skipped.
                NOT_UTF8 => member_at(at, text),
                _ => member(error, text),
            };
            format!("{said}{member}, at line {line} column {column}")
        }
    }
}

fn said(what: &str, found: Option<String>) -> String {
    let Some(found) = found else {
        return what.to_owned();
    };
    match what {
        "trailing characters" => format!("{found} after its end"),
        NOT_UTF8 => format!("{found} is not UTF-8"),
        CONTROL => format!("{found} in a string must be escaped"),
        "expected value" => format!("expected a value, found {found}"),
        "expected ident" => format!("expected true, false or null, found {found}"),
        what => format!("{what}, found {found}"),
    }
}

/// The index of the byte that is wrong.
fn place_of(error: &serde_json::Error, what: &str, text: &[u8]) -> usize {
    let at = end_of(error, text).saturating_sub(1);
    match what {
        NOT_UTF8 => match std::str::from_utf8(text) {
            Err(error) => error.valid_up_to(),
            Ok(_) => at,
        },
        CONTROL => {
            let is_control = |at: &usize| text.get(*at).is_some_and(u8::is_ascii_control);
            [at, at + 1].into_iter().find(is_control).unwrap_or(at)
        }
        _ => at,
    }
}

/// How many bytes the parser had seen.
fn end_of(error: &serde_json::Error, text: &[u8]) -> usize {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let before = lines.take(error.line().saturating_sub(1));
    before.map(<[u8]>::len).sum::<usize>() + error.column()
}

fn line_and_column(text: &[u8], at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit(|byte| *byte == b'\n').next();
    let breaks = before.iter().filter(|byte| **byte == b'\n').count();
    (breaks + 1, line.map_or(0, <[u8]>::len) + 1)
}

/// The byte in words; control characters look like nothing.
fn found(text: &[u8], at: usize) -> Option<String> {
    let rest = text.get(at..)?;
    Some(match *rest.first()? {
        0 => "a NUL byte (0x00)".to_owned(),
        _ if rest.starts_with(b"\xef\xbb\xbf") => "a byte order mark".to_owned(),
        byte @ 0x21..=0x7e => format!("`{}`", char::from(byte)),
        byte => format!("the byte 0x{byte:02x}"),
    })
}

/// The member in which the text is broken, with `, in ` in front; empty if no member was begun.
fn member(error: &serde_json::Error, text: &[u8]) -> String {
    let (parts, broken) = trail(text);
    // Skipping and reading report positions that differ by a byte at most.
    let same = |broken| end_of(&broken, text).abs_diff(end_of(error, text)) <= 1;
    match broken.is_some_and(same) {
        true => named(&parts),
        false => String::new(),
    }
}

/// The same, for the member that the byte is in.
fn member_at(at: usize, text: &[u8]) -> String {
    named(&trail(text.get(..at).unwrap_or(text)).0)
}

fn named(parts: &[String]) -> String {
    let path: String = parts.concat();
    match path.strip_prefix('.') {
        Some(path) if path.len() <= MAX_SHOWN_MEMBER_BYTES => format!(", in `{path}`"),
        _ => String::new(),
    }
}

/// The members, one in the other, that are open where the text is broken, and how it is broken.
fn trail(text: &[u8]) -> (Vec<String>, Option<serde_json::Error>) {
    let mut parts = Vec::new();
    let trail = Trail {
        parts: &mut parts,
        depth: TRAIL_DEPTH,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let broken = trail.deserialize(&mut deserializer).err();
    (parts, broken)
}

/// Reads a text and keeps where it is.
struct Trail<'t> {
    parts: &'t mut Vec<String>,
    depth: usize,
}

impl Trail<'_> {
    const fn next(&mut self) -> Trail<'_> {
        Trail {
            parts: self.parts,
            depth: self.depth - 1,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Trail<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.depth {
            0 => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Trail<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            self.parts.push(format!(".{name}"));
            map.next_value_seed(self.next())?;
            self.parts.pop();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        for at in 0_usize.. {
            self.parts.push(format!("[{at}]"));
            if list.next_element_seed(self.next())?.is_none() {
                break;
            }
            self.parts.pop();
        }
        self.parts.pop();
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn check(text: &[u8], expected: &str) {
        let error = serde_json::from_slice::<&RawValue>(text).unwrap_err();
        assert_eq!(words(&error, text), expected, "{text:?}");
    }

    #[test]
    fn the_byte_and_its_member_are_named() {
        let nul = "a NUL byte (0x00) after its end, at line 1 column 3";
        check(b"{}\0", nul);
        check(b"{\n}  x", "`x` after its end, at line 2 column 4");
        check(
            b"{}\xef\xbb\xbf",
            "a byte order mark after its end, at line 1 column 3",
        );
        let text = br#"{"messages":[{"deviceId":"a"},{"deviceId":"b","data":{"t":}}]}"#;
        let expected = "expected a value, found `}`, in `messages[1].data.t`, at line 1 column 59";
        check(text, expected);
        let expected = "expected `,` or `}`, found `\"`, in `messages[0]`, at line 2 column 2";
        check(b"{\"messages\":[{\"a\":1\n \"b\":2}]}", expected);
        let expected = "expected a value, found `]`, in `messages[1]`, at line 1 column 17";
        check(br#"{"messages":[{},]}"#, expected);
        check(
            b"{'a':1}",
            "key must be a string, found `'`, at line 1 column 2",
        );
        check(
            b"{\"a\":nil}",
            "expected true, false or null, found `i`, in `a`, at line 1 column 7",
        );
        let expected = "the byte 0xff is not UTF-8, in `a`, at line 1 column 8";
        check(b"{\"a\":\"x\xffy\"}", expected);
        let text = b"{\"messages\":[{\"a\":\"x\"},{\"data\":{\"t\":[[\"\xff\"]]}}]}";
        let expected = "the byte 0xff is not UTF-8, in `messages[1].data.t`, at line 1 column 40";
        check(text, expected);
        check(
            b"{\"a\":{\"x\xff\":1}}",
            "the byte 0xff is not UTF-8, in `a`, at line 1 column 9",
        );
        let expected = "the byte 0x0a in a string must be escaped, in `a`, at line 1 column 8";
        check(b"{\"a\":\"x\ny\"}", expected);
        let expected = "a NUL byte (0x00) in a string must be escaped, in `a`, at line 1 column 8";
        check(b"{\"a\":\"x\0y\"}", expected);
    }

    #[test]
    fn what_ends_early_says_within_what() {
        check(
            b"{\"data\":{\"a\":[1",
            "it ends within a list, in `data.a[1]`",
        );
        check(b"{\"data\":\"a", "it ends within a string, in `data`");
        check(b"{", "it ends within an object");
    }

    #[test]
    fn names_beyond_reason_are_left_out() {
        let text = format!("{{\"{}\":}}", "x".repeat(10_000));
        let expected = "expected a value, found `}`, at line 1 column 10005";
        check(text.as_bytes(), expected);
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        check(deep.as_bytes(), "it ends within a list, in `a[0][0][0]`");
    }
}
