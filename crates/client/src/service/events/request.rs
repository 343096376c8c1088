//! The request to `$management` of an event endpoint, which lists its partitions.

use bytes::Bytes;
use drawspan_amqp::engine::{Credit, LinkOptions};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::value::{Map, Value};
use drawspan_hub::Failure;

use crate::connection::device::named;
use crate::limits;

const NODE: &str = "$management";
const REPLY_TO: &str = "drawspan-management";
const ID: &str = "partitions";

/// The link for requests.
pub(super) fn sender() -> LinkOptions {
    named(LinkOptions::sender("drawspan-management-sender", NODE))
}

/// The link for answers.
pub(super) fn receiver() -> LinkOptions {
    let mut options = LinkOptions::receiver(REPLY_TO, NODE, Credit::Auto(1));
    options.target.address = Some(REPLY_TO.to_owned());
    named(options)
}

/// Asks for the partitions of `entity`.
pub(super) fn partitions(entity: &str, token: &str) -> Bytes {
    let text = |text: &str| Value::from(text);
    Message {
        properties: Some(Properties {
            message_id: Some(MessageId::String(ID.to_owned())),
            reply_to: Some(REPLY_TO.to_owned()),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![
            (text("operation"), text("READ")),
            (text("type"), text("com.microsoft:eventhub")),
            (text("name"), text(entity)),
            (text("security_token"), text(token)),
        ])),
        body: Body::Value(Value::Null),
        ..Message::default()
    }
    .to_bytes()
}

/// The partitions that an answer names.
pub(super) fn read(answer: &Bytes) -> Result<Vec<String>, Failure> {
    let senseless = || super::reader::protocol("the event endpoint names no partitions");
    let message = Message::decode(answer).map_err(|_| senseless())?;
    let said = message.application_properties.unwrap_or_default();
    let status = said.get("status-code").or_else(|| said.get("statusCode"));
    let status = status.and_then(Value::as_i64).ok_or_else(senseless)?;
    if !(200..300).contains(&status) {
        let words = said
            .get("status-description")
            .or_else(|| said.get("statusDescription"));
        let words = words.and_then(Value::as_str).unwrap_or_default();
        return Err(Failure::from_cbs(
            i32::try_from(status).unwrap_or(500),
            words,
        ));
    }
    let Body::Value(Value::Map(found)) = &message.body else {
        return Err(senseless());
    };
    let ids = match found.get("partition_ids") {
        Some(Value::Array(ids)) => ids.items(),
        Some(Value::List(ids)) => ids,
        _ => return Err(senseless()),
    };
    let ids = ids.iter().map(|id| id.as_str().map(str::to_owned));
    let ids = ids.collect::<Option<Vec<_>>>().ok_or_else(senseless)?;
    match (1..=limits::EVENT_PARTITIONS).contains(&ids.len()) {
        true => Ok(ids),
        false => Err(senseless()),
    }
}
