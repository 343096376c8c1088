//! The answer of a receiver to a direct method.

use std::fmt;

use bytes::Bytes;
use drawspan_hub::text;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::MAX_CALLBACK_ANSWER_BYTES;

/// The answer where the receiver did not say.
const DONE: i32 = 200;
/// The answer to use if the real one is unknown.
const FAILED: i32 = 500;

/// An answer whose body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Not `{status?, payload?}` in UTF-8. As with the original, the method is done.
    Malformed,
    /// It was cut off.
    TooLarge,
}

impl Unread {
    const ALL: [Self; 2] = [Self::Malformed, Self::TooLarge];

    /// The word for it.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "tooLarge",
        }
    }

    /// The status for the method's caller.
    #[must_use]
    pub(crate) const fn status(self) -> i32 {
        match self {
            Self::Malformed => DONE,
            Self::TooLarge => FAILED,
        }
    }
}

/// How many answers could not be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnreadCounters([u64; Unread::ALL.len()]);

impl UnreadCounters {
    pub(crate) fn add(&mut self, unread: Unread) {
        if let Some(count) = self.0.get_mut(unread as usize) {
            *count += 1;
        }
    }

    /// Each reason with its count.
    pub fn counts(self) -> impl Iterator<Item = (&'static str, u64)> {
        let reasons = Unread::ALL.into_iter().zip(self.0);
        reasons.map(|(reason, count)| (reason.as_str(), count))
    }
}

/// Status and payload of `{status?, payload?}`, names in any case, of two alike the last; 200 without payload for an empty answer.
///
/// # Errors
/// What keeps it from being read.
pub(crate) fn of_method(body: &[u8]) -> Result<(i32, Option<Bytes>), Unread> {
    if body.len() >= MAX_CALLBACK_ANSWER_BYTES {
        return Err(Unread::TooLarge);
    }
    let body = text::without_mark(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok((DONE, None));
    }
    let members = members(body).map_err(|_| Unread::Malformed)?;
    let payload = members.payload.map(RawValue::get);
    let payload = payload.filter(|payload| *payload != "null");
    let payload = payload.map(|payload| Bytes::copy_from_slice(payload.as_bytes()));
    Ok((members.status.unwrap_or(DONE), payload))
}

fn members(body: &[u8]) -> serde_json::Result<Members<'_>> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let members = deserializer.deserialize_any(MembersVisitor)?;
    deserializer.end()?;
    Ok(members)
}

#[derive(Default)]
struct Members<'de> {
    status: Option<i32>,
    payload: Option<&'de RawValue>,
}

/// An object, or null.
struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Members::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key::<String>()? {
            if name.eq_ignore_ascii_case("status") {
                members.status = map.next_value()?;
            } else if name.eq_ignore_ascii_case("payload") {
                members.payload = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_leniently() {
        let check = |body: &str, status: i32, payload: Option<&str>| {
            let expected = (
                status,
                payload.map(|it| Bytes::copy_from_slice(it.as_bytes())),
            );
            assert_eq!(of_method(body.as_bytes()), Ok(expected), "{body}");
        };
        check(
            r#"{"status":404,"payload":{"a":[1, 2]}}"#,
            404,
            Some(r#"{"a":[1, 2]}"#),
        );
        check(
            r#"{"Status":-1,"PAYLOAD":"x","more":1}"#,
            -1,
            Some(r#""x""#),
        );
        check(r#"{"payload":1.50}"#, 200, Some("1.50"));
        check(r#"{"status":201}"#, 201, None);
        check(r#"{"status":null,"payload":null}"#, 200, None);
        check("\u{feff}{\"status\":500}", 500, None);
        check("\u{feff}", 200, None);
        check("", 200, None);
        check(" \r\n", 200, None);
        check("null", 200, None);
        // Of two the last one counts.
        check(r#"{"Status":200,"status":500}"#, 500, None);
        check(r#"{"status":500,"Status":200}"#, 200, None);
        check(r#"{"payload":1,"payload":null}"#, 200, None);
    }

    #[test]
    fn answers_that_cannot_be_read_are_known() {
        for body in [
            &br#"{"status":"500"}"#[..],
            br#"{"status":500.0}"#,
            br#"{"status":2147483648}"#,
            br#"{"status":"bad","payload":1}"#,
            br#"{"status":500,}"#,
            br#"{"status":500} x"#,
            b"{\"status\":500}\0",
            b"[1]",
            b"not json",
            b"\xff\xfe{\0}\0",
            b"\xef\xbb\xbf\xef\xbb\xbf{}",
        ] {
            assert_eq!(of_method(body), Err(Unread::Malformed), "{body:?}");
        }
        assert_eq!(Unread::Malformed.status(), 200);
        let long = |length| of_method(&vec![b' '; length]);
        assert_eq!(long(MAX_CALLBACK_ANSWER_BYTES - 1), Ok((200, None)));
        let too_large = long(MAX_CALLBACK_ANSWER_BYTES).unwrap_err();
        assert_eq!(too_large.status(), 500);
        let mut counters = UnreadCounters::default();
        counters.add(too_large);
        assert_eq!(counters.0, [0, 1]);
    }
}
