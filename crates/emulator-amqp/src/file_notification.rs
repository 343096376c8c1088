//! Notifications of files that devices have uploaded.

use bytes::Bytes;
use drawspan_amqp::message::{Body, Message, Properties};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub::UtcTime;
use drawspan_hub_model::uploads::QueuedNotification;
use serde::Serialize;

/// The path of file notifications, which a token must cover.
pub(super) const PATH: &str = "/messages/servicebound/filenotifications";

const CONTENT_TYPE: Symbol =
    Symbol::from_static("application/vnd.microsoft.iothub.filenotification.json");
const ENQUEUED_TIME: Symbol = Symbol::from_static("iothub-enqueuedtime");

/// A notification on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Notice<'a> {
    device_id: &'a str,
    blob_uri: String,
    blob_name: &'a str,
    last_updated_time: String,
    blob_size_in_bytes: u64,
    enqueued_time_utc: String,
}

/// Encodes a notification.
pub(super) fn encode(queued: &QueuedNotification, hub: &Hub) -> Result<Bytes, serde_json::Error> {
    let item = &queued.item;
    let ms = |unix_ms: u64| i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let time = |unix_ms| UtcTime::from_unix_ms(ms(unix_ms)).to_string();
    let notice = Notice {
        device_id: item.device.as_str(),
        blob_uri: hub.storage().blob_uri(&item.host, &item.blob),
        blob_name: &item.blob,
        last_updated_time: time(item.modified_unix_ms),
        blob_size_in_bytes: item.bytes,
        enqueued_time_utc: time(item.enqueued_unix_ms),
    };
    let enqueued = Value::Timestamp(ms(item.enqueued_unix_ms));
    let message = Message {
        message_annotations: Some(Map(vec![(Value::Symbol(ENQUEUED_TIME), enqueued)])),
        properties: Some(Properties {
            content_type: Some(CONTENT_TYPE),
            ..Properties::default()
        }),
        body: Body::Data(vec![serde_json::to_vec(&notice)?.into()]),
        ..Message::default()
    };
    Ok(message.to_bytes())
}
