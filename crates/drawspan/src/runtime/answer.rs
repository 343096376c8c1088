//! What a receiver answers to a direct method.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::limits::MAX_CALLBACK_ANSWER_BYTES;

/// The answer where the receiver did not say.
const DONE: i32 = 200;

/// Status and payload of `{status?, payload?}`, names in any case; 200 without payload for anything else. None for an answer that was
/// cut off: nobody knows what it says.
pub(super) fn of_method(body: &[u8]) -> Option<(i32, Option<Bytes>)> {
    if body.len() >= MAX_CALLBACK_ANSWER_BYTES {
        return None;
    }
    Some(read(body).unwrap_or((DONE, None)))
}

fn read(body: &[u8]) -> Option<(i32, Option<Bytes>)> {
    let members: std::collections::BTreeMap<String, &RawValue> =
        serde_json::from_slice(body).ok()?;
    let member = |wanted: &str| {
        let mut members = members.iter();
        let found = members.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found
            .map(|(_, value)| value.get())
            .filter(|it| *it != "null")
    };
    let status = match member("status") {
        Some(status) => serde_json::from_str(status).ok()?,
        None => DONE,
    };
    let payload = member("payload").map(|it| Bytes::copy_from_slice(it.as_bytes()));
    Some((status, payload))
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
            assert_eq!(of_method(body.as_bytes()), Some(expected), "{body}");
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
        check(r#"{"status":"bad","payload":1}"#, 200, None);
        check("", 200, None);
        check("[1]", 200, None);
        check("not json", 200, None);
        let long = |length| of_method(&vec![b' '; length]).is_some();
        assert!(long(MAX_CALLBACK_ANSWER_BYTES - 1) && !long(MAX_CALLBACK_ANSWER_BYTES));
    }
}
