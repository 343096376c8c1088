//! The properties of a message, as its topic carries them: `name=value&…`, percent-encoded.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What is not written as it is: all but letters, digits and `-_.~` (RFC 3986, 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A property bag cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the properties in the topic are not percent-encoded UTF-8")]
pub struct InvalidBag;

/// A property: its name, and its value, which is `None` where there is no `=`.
pub type Property<'b> = (Cow<'b, str>, Option<Cow<'b, str>>);

/// The properties in a bag, in their order.
///
/// # Errors
/// `InvalidBag`.
pub fn parse(bag: &str) -> Result<Vec<Property<'_>>, InvalidBag> {
    let parts = bag.split('&').filter(|part| !part.is_empty());
    parts.map(property).collect()
}

/// Adds a property to a bag that is being written.
pub fn push(bag: &mut String, name: &str, value: &str) {
    if !bag.is_empty() {
        bag.push('&');
    }
    bag.extend(utf8_percent_encode(name, ENCODED));
    bag.push('=');
    bag.extend(utf8_percent_encode(value, ENCODED));
}

/// A name as a level of a topic: the characters that MQTT does not allow there (`#`, `+`, `/`) are percent-encoded.
#[must_use]
pub fn topic_level(name: &str) -> Cow<'_, str> {
    const FOREIGN: &AsciiSet = &percent_encoding::CONTROLS.add(b'#').add(b'+').add(b'/');
    utf8_percent_encode(name, FOREIGN).into()
}

fn property(part: &str) -> Result<Property<'_>, InvalidBag> {
    Ok(match part.split_once('=') {
        Some((name, value)) => (decode(name)?, Some(decode(value)?)),
        None => (decode(part)?, None),
    })
}

fn decode(text: &str) -> Result<Cow<'_, str>, InvalidBag> {
    let is_escape = |at: usize| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if text.match_indices('%').any(|(at, _)| !is_escape(at)) {
        return Err(InvalidBag);
    }
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| InvalidBag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bag_is_read_as_it_was_written() {
        let mut bag = String::new();
        push(&mut bag, "$.mid", "a b");
        push(&mut bag, "ä=&", "");
        assert_eq!(bag, "%24.mid=a%20b&%C3%A4%3D%26=");
        let read = parse(&bag).unwrap();
        let expected = [("$.mid", Some("a b")), ("ä=&", Some(""))];
        let expected = expected.map(|(name, value)| (name.into(), value.map(Cow::from)));
        assert_eq!(read, expected);
    }

    #[test]
    fn a_level_of_a_topic_has_no_wildcard() {
        assert_eq!(topic_level("a#b+c/d%"), "a%23b%2Bc%2Fd%");
        assert_eq!(topic_level("sensor-1:x"), "sensor-1:x");
    }

    #[test]
    fn a_name_alone_has_no_value() {
        let read = parse("&$.mid=1&flag&").unwrap();
        assert_eq!(
            read,
            [("$.mid".into(), Some("1".into())), ("flag".into(), None)]
        );
        assert!(parse("").unwrap().is_empty());
        for wrong in ["a=%", "a=%f", "%zz=1", "a=%ff"] {
            assert_eq!(parse(wrong), Err(InvalidBag), "{wrong}");
        }
    }
}
