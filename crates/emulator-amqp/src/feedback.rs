//! Feedback for the senders of messages.

use bytes::Bytes;
use drawspan_amqp::message::{Body, Message, Properties};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub::UtcTime;
use drawspan_hub_model::c2d::{Batch, Queued, Record};
use serde::Serialize;

/// The path of feedback, which a token must cover.
pub(super) const PATH: &str = "/messages/servicebound/feedback";

const CONTENT_TYPE: Symbol = Symbol::from_static("application/vnd.microsoft.iothub.feedback.json");
const ENQUEUED_TIME: Symbol = Symbol::from_static("iothub-enqueuedtime");

/// A record on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordBody<'a> {
    original_message_id: Option<&'a str>,
    device_generation_id: &'a str,
    device_id: &'a str,
    enqueued_time_utc: String,
    status_code: &'static str,
    description: &'static str,
}

/// Encodes a batch.
pub(super) fn encode(batch: &Queued<Batch>, hub: &Hub) -> Result<Bytes, serde_json::Error> {
    let records: Vec<_> = batch.item.iter().map(|record| body(record)).collect();
    let closed = batch.item.last().map_or(0, |record| record.at_unix_ms);
    let time = Value::Timestamp(i64::try_from(closed).unwrap_or(i64::MAX));
    let message = Message {
        message_annotations: Some(Map(vec![(Value::Symbol(ENQUEUED_TIME), time)])),
        properties: Some(Properties {
            user_id: Some(Bytes::copy_from_slice(hub.entity().as_bytes())),
            content_type: Some(CONTENT_TYPE),
            ..Properties::default()
        }),
        body: Body::Data(vec![serde_json::to_vec(&records)?.into()]),
        ..Message::default()
    };
    Ok(message.to_bytes())
}

fn body(record: &Record) -> RecordBody<'_> {
    let time = i64::try_from(record.at_unix_ms).unwrap_or(i64::MAX);
    RecordBody {
        original_message_id: record.message_id.as_deref(),
        device_generation_id: &record.generation_id,
        device_id: record.device.as_str(),
        enqueued_time_utc: UtcTime::from_unix_ms(time).to_string(),
        status_code: record.end.name(),
        description: record.end.name(),
    }
}
