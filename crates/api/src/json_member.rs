//! Bodies with one relevant member. Member names compare without case, unknown members are skipped, and the last of several members
//! with one name counts, as in the original.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::json_error::words;

/// Why a body was not understood. Shown to its sender only.
#[derive(Debug, Error)]
pub(super) enum InvalidBody {
    /// Nothing was sent.
    #[error("The body is empty; it must be a JSON object.")]
    Empty,
    /// Not a JSON object; what is wrong.
    #[error("The body is not valid: {0}.")]
    Json(String),
}

/// The JSON text of the member `name`; `None` if it is absent or null.
///
/// # Errors
/// When the body is not a JSON object.
pub(super) fn read<'a>(body: &'a [u8], name: &str) -> Result<Option<&'a str>, InvalidBody> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(InvalidBody::Empty);
    }
    let found = object(body, name).map_err(|error| InvalidBody::Json(words(&error, body)))?;
    Ok(found.map(RawValue::get).filter(|text| *text != "null"))
}

fn object<'a>(body: &'a [u8], name: &str) -> serde_json::Result<Option<&'a RawValue>> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let found = deserializer.deserialize_map(Object(name))?;
    deserializer.end()?;
    Ok(found)
}

struct Object<'n>(&'n str);

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Name(self.0))? {
            if is_it {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a member's name is this one.
struct Name<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name.eq_ignore_ascii_case(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_any_case_counts() {
        let check = |body: &str, expected: Option<&str>| {
            assert_eq!(read(body.as_bytes(), "patch").unwrap(), expected, "{body}");
        };
        check("{}", None);
        check(r#"{"other":{"patch":1}}"#, None);
        check(r#"{"patch":null}"#, None);
        check(
            r#" {"PATCH" : { "a" : 1.50 } } "#,
            Some(r#"{ "a" : 1.50 }"#),
        );
        check(r#"{"patch":1,"Patch":2}"#, Some("2"));
        check(r#"{"patch":1,"patch":null}"#, None);
        check(r#"{"p\u0061tch":3}"#, Some("3"));
    }

    #[test]
    fn a_place_is_told_where_there_is_one() {
        let check = |body: &str, expected: &str| {
            let error = read(body.as_bytes(), "patch").unwrap_err();
            assert_eq!(error.to_string(), expected, "{body}");
        };
        let text = "The body is not valid: invalid type: list, expected an object.";
        check("[]", text);
        check("\n[]", text);
        let text = "The body is not valid: `x` after its end, at line 2 column 3.";
        check("{\n} x", text);
    }

    #[test]
    fn anything_but_an_object_is_refused() {
        for body in [
            "",
            " \n",
            "null",
            "[]",
            "1",
            "\"patch\"",
            "{",
            "{} x",
            r#"{"patch":}"#,
            "\u{feff}{}",
        ] {
            assert!(read(body.as_bytes(), "patch").is_err(), "{body}");
        }
        assert!(read(&[b'{', 0xff, b'}'], "patch").is_err());
    }
}
