//! Feedback for the senders of messages, and its receivers among services.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use drawspan_amqp::engine::LinkId;
use drawspan_amqp::message::{Body, Message, Properties};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub::{HostName, UtcTime};
use drawspan_hub_model::c2d::{Batch, Queued, Record};
use serde::Serialize;

use super::signals::{Notice, Signals};

/// The path of feedback, which a token must cover.
pub(super) const PATH: &str = "/messages/servicebound/feedback";

const CONTENT_TYPE: Symbol = Symbol::from_static("application/vnd.microsoft.iothub.feedback.json");
const ENQUEUED_TIME: Symbol = Symbol::from_static("iothub-enqueuedtime");

/// The links over which feedback is taken, of all hubs.
#[derive(Debug, Clone, Default)]
pub(super) struct Receivers(Arc<Mutex<Vec<Receiver>>>);

#[derive(Debug)]
struct Receiver {
    host: HostName,
    signals: Arc<Signals>,
    link: LinkId,
}

/// A link's place among them, until it is dropped.
#[derive(Debug)]
pub(super) struct ReceiverSlot {
    receivers: Receivers,
    signals: Arc<Signals>,
    link: LinkId,
}

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

impl Receivers {
    /// Notifies a link of feedback.
    pub(super) fn enter(
        &self,
        host: &HostName,
        signals: &Arc<Signals>,
        link: LinkId,
    ) -> ReceiverSlot {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Receiver {
                host: host.clone(),
                signals: Arc::clone(signals),
                link,
            });
        ReceiverSlot {
            receivers: self.clone(),
            signals: Arc::clone(signals),
            link,
        }
    }

    /// There is feedback: the first link gets it.
    pub(super) fn tell(&self, host: &HostName) {
        let receivers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for receiver in receivers.iter().filter(|receiver| receiver.host == *host) {
            receiver.signals.notify(Notice::Waiting(receiver.link));
        }
    }
}

impl Drop for ReceiverSlot {
    fn drop(&mut self) {
        let mut receivers = self
            .receivers
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        receivers.retain(|receiver| {
            receiver.link != self.link || !Arc::ptr_eq(&receiver.signals, &self.signals)
        });
    }
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
