//! Messages of devices, one by one or as a batch.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use drawspan_amqp::message::Message;
use drawspan_amqp::value::NotAscii;
use drawspan_emulator_hub::device_message::{MessageBuilder, SystemProperty};
use drawspan_emulator_hub::faults::Injection;
use drawspan_emulator_hub::message_size::counted_bytes;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::throttle::OperationClass;
use drawspan_segment_log::NewRecord;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Sender;
use crate::https::body::{Unreadable, whole};
use crate::https::caller::AnyVersion;
use crate::https::devices::{IdPath, id_of};
use crate::https::refusal::Refusal;
use crate::https::request::text;
use crate::https::throttling::turn;
use crate::limits::{BATCH_MESSAGES_MAX, HTTPS_BATCH_BYTES, REQUEST_READ_MS};

/// The type of a body that is a batch.
const BATCH: &str = "application/vnd.microsoft.iothub.json";
/// Precedes the names of the sender's properties.
const OWN: &str = "iothub-app-";

/// A message of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    body: String,
    /// Whether the body is Base64, which it is unless it says otherwise.
    #[serde(default = "yes")]
    base64_encoded: bool,
    #[serde(default)]
    properties: Map<String, Value>,
}

const fn yes() -> bool {
    true
}

/// `POST /devices/{id}/messages/events`
pub(super) async fn send(
    caller: AnyVersion,
    path: IdPath,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let sender = Sender::new(&caller, id_of(path)?, "events")?;
    let bytes = read(body).await?;
    let is_batch = text(&headers, header::CONTENT_TYPE.as_str())
        .is_some_and(|it| it.trim().to_ascii_lowercase().starts_with(BATCH));
    let messages = match is_batch {
        true => batch(&bytes)?,
        false => vec![single(&headers, bytes)?],
    };
    let limit = sender.hub.limits().telemetry_message_bytes;
    let mut records = Vec::with_capacity(messages.len());
    let mut sizes = Vec::with_capacity(messages.len());
    let mut bytes = 0;
    for (message, body) in messages {
        let message = message.build(body);
        // A batch has the limit of one message.
        let size = counted_bytes(&message);
        sizes.push(usize::try_from(size).unwrap_or(usize::MAX));
        bytes += size;
        if bytes > limit {
            sender.hub.emit(HubEvent::TelemetryRefused {
                client: (&sender.id).into(),
                code: ErrorCode::MESSAGE_TOO_LARGE,
            });
            return Err(too_large(limit));
        }
        asked_for(&message)?;
        records.push(NewRecord {
            device_id: sender.id.clone(),
            module_id: None,
            origin: sender.origin.clone(),
            message: message.to_bytes(),
        });
    }
    let client = (&sender.id).into();
    let (class, count) = (OperationClass::D2c, records.len() as u64);
    let passed = turn(&sender.hub, Some(&client), class, count, sizes).await;
    passed.inspect_err(|refused| {
        sender.hub.emit(HubEvent::TelemetryRefused {
            client,
            code: refused.code(),
        });
    })?;
    sender.hub.ingest(&records).map_err(|error| {
        tracing::error!(hub = %sender.hub.host(), %error, "telemetry could not be stored");
        Refusal::new(ErrorCode::SERVER_ERROR, "The message was not stored")
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses a message that asks for that. HTTP may have written the names in lower case.
fn asked_for(message: &Message) -> Result<(), Refusal> {
    let Some(own) = &message.application_properties else {
        return Ok(());
    };
    let get = |name: &str| {
        let value = own
            .get(name)
            .or_else(|| own.get(&name.to_ascii_lowercase()))?;
        value.as_str().map(str::to_owned)
    };
    let Some(injection) = Injection::of(get) else {
        return Ok(());
    };
    match injection.https_refusal() {
        Some(code) => {
            tracing::warn!(fault = injection.name, "a device asks for a fault");
            Err(Refusal::new(code, "a fault is asked for"))
        }
        None => {
            tracing::warn!(
                fault = injection.name,
                "over HTTPS there is nothing to cut: nothing happens"
            );
            Ok(())
        }
    }
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    let limit = Duration::from_millis(REQUEST_READ_MS);
    let read = tokio::time::timeout(limit, whole(body, HTTPS_BATCH_BYTES)).await;
    let read = read.map_err(|_| {
        let text = "The body did not arrive in time";
        Refusal::new(ErrorCode::REQUEST_TIMED_OUT, text)
    })?;
    read.map_err(|error| match error {
        Unreadable::TooLarge(limit) => too_large(limit as u64),
        Unreadable::Broken(_) => Refusal::new(ErrorCode::GENERIC_BAD_REQUEST, error.to_string()),
    })
}

fn too_large(limit: u64) -> Refusal {
    let text = format!("A message has at most {limit} bytes");
    Refusal::new(ErrorCode::MESSAGE_TOO_LARGE, text)
}

fn single(headers: &HeaderMap, body: Bytes) -> Result<(MessageBuilder, Bytes), Refusal> {
    let mut message = MessageBuilder::default();
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        set(&mut message, name.as_str(), value)?;
    }
    Ok((message, body))
}

fn batch(bytes: &[u8]) -> Result<Vec<(MessageBuilder, Bytes)>, Refusal> {
    let items: Vec<Item> =
        serde_json::from_slice(bytes).map_err(|error| Refusal::unexpected_body(&error))?;
    if items.is_empty() || items.len() > BATCH_MESSAGES_MAX {
        let text = format!("A batch has 1 to {BATCH_MESSAGES_MAX} messages");
        return Err(Refusal::new(ErrorCode::ARGUMENT_INVALID, text));
    }
    items.into_iter().map(Item::message).collect()
}

impl Item {
    fn message(self) -> Result<(MessageBuilder, Bytes), Refusal> {
        let body: Bytes = match self.base64_encoded {
            true => STANDARD.decode(&self.body).map_err(|error| {
                let text = format!("A body of the batch is not Base64: {error}");
                Refusal::new(ErrorCode::FORMAT_ERROR, text)
            })?,
            false => self.body.into_bytes(),
        }
        .into();
        let mut message = MessageBuilder::default();
        for (name, value) in &self.properties {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            set(&mut message, &name.to_ascii_lowercase(), &value)?;
        }
        Ok((message, body))
    }
}

/// Sets the property of an HTTPS header or batch entry, whose name is in lower case. Other names are ignored.
fn set(message: &mut MessageBuilder, name: &str, value: &str) -> Result<(), Refusal> {
    use SystemProperty as Property;
    let property = match name {
        "iothub-messageid" => Property::MessageId,
        "iothub-correlationid" => Property::CorrelationId,
        "iothub-userid" => Property::UserId,
        "iothub-to" => Property::To,
        "iothub-expiry" => Property::Expiry,
        "iothub-contenttype" => Property::ContentType,
        "iothub-contentencoding" => Property::ContentEncoding,
        "iothub-messageschema" => Property::Schema,
        "iothub-creation-time-utc"
        | "iothub-creationtimeutc"
        | "iothub-app-iothub-creation-time-utc" => Property::CreationTime,
        "iothub-interface-id" => Property::InterfaceId,
        "dt-subject" => Property::Component,
        "iothub-ack" => {
            message.push(name, value);
            return Ok(());
        }
        name => {
            if let Some(own) = name.strip_prefix(OWN) {
                message.push(own, value);
            }
            return Ok(());
        }
    };
    message
        .set(property, value)
        .map_err(|error: NotAscii| Refusal::new(ErrorCode::ARGUMENT_INVALID, error.to_string()))
}
