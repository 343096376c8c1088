//! Twin requests and answers on the wire.

use bytes::Bytes;
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::value::{Map, Symbol};
use drawspan_hub::Failure;

use super::decode;
use crate::connection::command::{TwinAnswer, TwinOperation};

const REPORTED: &str = "/properties/reported";
const NOTIFICATIONS: &str = "/notifications/twin/properties/desired";
/// The body of an empty request, as the Node and C clients send it.
const NO_BODY: &[u8] = b" ";
/// The hub's words for "all well"; more than the client's own, which come from HTTP.
const REFUSALS: i64 = 400;

/// An operation on a twin.
#[derive(Debug)]
pub(super) enum Operation {
    Of(TwinOperation),
    /// Notifications of changed desired properties, from now on.
    Subscribe,
    /// No more of them.
    Unsubscribe,
}

/// A request over the links whose id is `of`.
pub(super) fn request(operation: &Operation, of: u64, number: u32) -> Bytes {
    let no_body = || Bytes::from_static(NO_BODY);
    let (verb, resource, body) = match operation {
        Operation::Of(TwinOperation::Get) => ("GET", None, no_body()),
        Operation::Of(TwinOperation::Report(patch)) => ("PATCH", Some(REPORTED), patch.clone()),
        Operation::Subscribe => ("PUT", Some(NOTIFICATIONS), no_body()),
        Operation::Unsubscribe => ("DELETE", Some(NOTIFICATIONS), no_body()),
    };
    let mut annotations = Map::new();
    annotations.push(Symbol::from_static("operation"), verb);
    if let Some(resource) = resource {
        annotations.push(Symbol::from_static("resource"), resource);
    }
    let message = Message {
        message_annotations: Some(annotations),
        properties: Some(Properties {
            correlation_id: Some(MessageId::String(correlation(of, number))),
            ..Properties::default()
        }),
        body: Body::Data(vec![body]),
        ..Message::default()
    };
    message.to_bytes()
}

/// A correlation id in the shape of a uuid, as all official clients have it.
fn correlation(of: u64, number: u32) -> String {
    format!("{}-{number:012x}", start_of(of))
}

fn start_of(of: u64) -> String {
    let (a, b, c) = (of >> 32, of >> 16 & 0xffff, of & 0xfff);
    format!("{a:08x}-{b:04x}-4{c:03x}-8000")
}

/// The number of the request that a message answers, if it was sent over the links whose id is `of`.
pub(super) fn answered(of: u64, correlation: &MessageId) -> Option<u32> {
    let MessageId::String(text) = correlation else {
        return None;
    };
    let (start, number) = text.rsplit_once('-')?;
    (start == start_of(of)).then(|| u32::from_str_radix(number, 16).ok())?
}

/// Decodes an answer. A missing status means success, as for the .NET client.
pub(super) fn answer(message: &Message) -> Result<TwinAnswer, Failure> {
    let annotation = |name: &str| message.message_annotations.as_ref()?.get(name)?.as_i64();
    let body = decode::data(&message.body);
    match annotation("status") {
        Some(status) if status >= REFUSALS => {
            let status = u16::try_from(status).unwrap_or(u16::MAX);
            let text = String::from_utf8_lossy(&body);
            Err(Failure::from_http(status, None, &text, None))
        }
        _ => Ok(TwinAnswer {
            version: annotation("version"),
            body,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drawspan_amqp::value::Value;
    use drawspan_hub::FailureKind;

    #[test]
    fn answers_belong_to_the_links_that_asked() {
        let id = |text: String| MessageId::String(text);
        assert_eq!(answered(7, &id(correlation(7, 12))), Some(12));
        assert_eq!(answered(8, &id(correlation(7, 12))), None);
        assert_eq!(answered(7, &id("12".to_owned())), None);
        assert_eq!(correlation(7, 12), "00000000-0000-4007-8000-00000000000c");
        assert_eq!(answered(7, &MessageId::Ulong(12)), None);
    }

    #[test]
    fn statuses_from_400_are_refusals() {
        let check = |status: i32, expected: Result<Option<i64>, FailureKind>| {
            let message = Message {
                message_annotations: Some(Map(vec![
                    (
                        Value::Symbol(Symbol::from_static("status")),
                        Value::Int(status),
                    ),
                    (
                        Value::Symbol(Symbol::from_static("version")),
                        Value::Long(5),
                    ),
                ])),
                ..Message::from_data(r#"{"Message":"said"}"#)
            };
            let found = answer(&message);
            let found = found.map(|answer| answer.version);
            assert_eq!(found.map_err(|failure| failure.kind), expected, "{status}");
        };
        check(200, Ok(Some(5)));
        check(204, Ok(Some(5)));
        check(400, Err(FailureKind::InvalidRequest));
        check(404, Err(FailureKind::NotFound));
        check(413, Err(FailureKind::MessageTooLarge));
        check(429, Err(FailureKind::Throttled));
        check(503, Err(FailureKind::ServerError));
        check(70_000, Err(FailureKind::Unknown));
        assert_eq!(answer(&Message::default()).unwrap().version, None);
    }
}
