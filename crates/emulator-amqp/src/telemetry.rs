//! Telemetry links: what devices and modules send, single and in batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use drawspan_amqp::codec::{DecodeError, decode_value};
use drawspan_amqp::engine::{AcceptOptions, Connection, Credit, DeliveryId, LinkId};
use drawspan_amqp::message::{BATCH_MESSAGE_FORMAT, Message, SectionKind, batch, sections};
use drawspan_amqp::performative::{Attach, DeliveryState, Error, condition};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator_hub::faults::Injection;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::message_size::counted_bytes;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::limits::Limits;
use drawspan_segment_log::{NewRecord, Origin};

use super::device_session::Owner;
use super::error::refusal;
use crate::limits;

/// Annotation of a message for an output of its module, which IoT Edge routes.
const OUTPUT: &str = "x-opt-output-name";
/// Property that says the same; the Node client sends it.
const OUTPUT_PROPERTY: &str = "iothub-outputname";
/// Link property by which a device names the model that it follows.
const MODEL_ID: &str = "com.microsoft:model-id";
/// Annotation by which its events name it.
const SCHEMA: &str = "dt-dataschema";

/// The telemetry link of a device or module.
#[derive(Debug)]
pub(super) struct TelemetryLink {
    pub(super) client: ClientId,
    pub(super) origin: Origin,
    /// The model that the device follows, which its events name.
    pub(super) model_id: Option<String>,
}

/// The model that a device names on its link (the .NET client does).
pub(super) fn model_id(attach: &Attach) -> Option<String> {
    let properties = attach.properties.as_ref();
    let model = properties.and_then(|properties| properties.get(MODEL_ID));
    model.and_then(Value::as_str).map(str::to_owned)
}

/// A message with the model among its annotations, whatever the sender wrote there.
fn with_model(message: &Bytes, model: &str) -> Result<Bytes, DecodeError> {
    let mut annotations = Map(Vec::new());
    let mut rest = Vec::new();
    for section in sections(message) {
        let section = section?;
        match section.kind {
            SectionKind::MessageAnnotations => {
                if let Value::Map(theirs) = decode_value(&section.value)? {
                    annotations = theirs;
                }
            }
            _ => rest.push(section.raw),
        }
    }
    annotations
        .0
        .retain(|(name, _)| name.as_str() != Some(SCHEMA));
    let name = Value::Symbol(Symbol::from_static(SCHEMA));
    annotations.0.push((name, Value::from(model)));
    let mut encoded = BytesMut::with_capacity(message.len() + model.len() + SCHEMA.len() + 16);
    Message {
        message_annotations: Some(annotations),
        ..Message::default()
    }
    .encode(&mut encoded);
    // Readers take sections in any order.
    rest.iter()
        .for_each(|section| encoded.extend_from_slice(section));
    Ok(encoded.freeze())
}

impl TelemetryLink {
    /// What is stored of messages over this link.
    pub(super) fn records(&self, messages: Vec<Bytes>) -> impl Iterator<Item = NewRecord> {
        let record = |message| NewRecord {
            device_id: self.client.device.clone(),
            module_id: self.client.module.clone(),
            origin: self.origin.clone(),
            message,
        };
        messages.into_iter().map(record)
    }

    pub(super) fn owner(&self) -> Owner {
        Owner {
            client: self.client.clone(),
            generation_id: self.origin.generation_id.clone(),
        }
    }
}

/// How such a link is accepted: with the size that real hubs announce, which is more than a message may have.
pub(super) fn accept_options(hub: &Limits) -> AcceptOptions {
    let announced = limits::TELEMETRY_ANNOUNCED_BYTES.max(hub.telemetry_message_bytes);
    AcceptOptions {
        max_message_bytes: Some(announced),
        credit: Some(Credit::Auto(limits::TELEMETRY_CREDIT)),
        ..AcceptOptions::default()
    }
}

/// The fault that the properties of a batch ask for.
fn asked_on_envelope(payload: &Bytes) -> Option<Injection> {
    let mut sections = sections(payload).map_while(Result::ok);
    let own = sections.find(|section| section.kind == SectionKind::ApplicationProperties)?;
    match decode_value(&own.value) {
        Ok(Value::Map(own)) => Injection::of_properties(&own),
        _ => None,
    }
}

/// Messages that are stored later than they came, by when they are due.
#[derive(Debug, Default)]
pub(super) struct Slowed {
    waiting: BTreeMap<(Duration, u64), Arrivals>,
    last: u64,
}

impl Slowed {
    /// Where a message goes that is due at `due`: as many as may wait do, others are stored at once, which is `otherwise`.
    pub(super) fn later<'a>(
        &'a mut self,
        due: Duration,
        otherwise: &'a mut Arrivals,
    ) -> &'a mut Arrivals {
        if self.waiting.len() >= limits::SLOWED_MAX {
            return otherwise;
        }
        self.last += 1;
        self.waiting.entry((due, self.last)).or_default()
    }

    /// When the next message is due.
    pub(super) fn due(&self) -> Option<Duration> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// Stores what is due.
    pub(super) fn store(&mut self, connection: &mut Connection, hub: &Arc<Hub>, now: Duration) {
        while self.due().is_some_and(|due| due <= now)
            && let Some((_, mut arrivals)) = self.waiting.pop_first()
        {
            arrivals.store(connection, hub);
        }
    }
}

/// Messages of one wake-up, stored together before any of them is acknowledged.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    records: Vec<NewRecord>,
    deliveries: Vec<(LinkId, DeliveryId)>,
}

/// The messages of a delivery, with the fault that they ask for, or what is wrong with it.
pub(super) fn read(
    link: &TelemetryLink,
    message_format: u32,
    payload: &Bytes,
    hub: &Limits,
) -> Result<(Vec<Bytes>, Option<Injection>), Error> {
    let mut injection = match message_format {
        0 => None,
        // The C client writes it on the envelope.
        _ => asked_on_envelope(payload),
    };
    let mut messages = match message_format {
        0 => vec![payload.clone()],
        // A batch counts as it is encoded.
        BATCH_MESSAGE_FORMAT if payload.len() as u64 > hub.telemetry_message_bytes => {
            return Err(too_large(hub.telemetry_message_bytes));
        }
        BATCH_MESSAGE_FORMAT => batch(payload)
            .collect::<Result<Vec<_>, _>>()
            .map_err(malformed)?,
        other => {
            let text = format!("message format {other:#x} is not understood");
            return Err(refusal(
                condition::NOT_IMPLEMENTED,
                ErrorCode::ARGUMENT_INVALID,
                &text,
            ));
        }
    };
    if messages.is_empty() || messages.len() > limits::BATCH_MESSAGES_MAX {
        let text = format!("a batch has 1 to {} messages", limits::BATCH_MESSAGES_MAX);
        return Err(refusal(
            condition::INVALID_FIELD,
            ErrorCode::ARGUMENT_INVALID,
            &text,
        ));
    }
    for message in &mut messages {
        let asked = check(message, hub, link.client.module.is_some())?;
        injection = injection.or(asked);
        if let Some(model) = &link.model_id {
            *message = with_model(message, model).map_err(malformed)?;
        }
    }
    Ok((messages, injection))
}

impl Arrivals {
    /// Takes in messages of one delivery, which is to be settled with them.
    pub(super) fn push(
        &mut self,
        records: impl IntoIterator<Item = NewRecord>,
        owed: Option<(LinkId, DeliveryId)>,
    ) {
        self.records.extend(records);
        self.deliveries.extend(owed);
    }

    /// Stores messages, then acknowledges them: 200 to a device means that the message is in the log.
    pub(super) fn store(&mut self, connection: &mut Connection, hub: &Arc<Hub>) {
        if self.records.is_empty() {
            return;
        }
        let stored = hub.ingest(&self.records);
        self.records.clear();
        let state = match stored {
            Ok(()) => DeliveryState::Accepted,
            Err(error) => {
                tracing::error!(hub = %hub.host(), %error, "telemetry could not be stored");
                let error = refusal(
                    condition::INTERNAL_ERROR,
                    ErrorCode::SERVER_ERROR,
                    "the message was not stored",
                );
                DeliveryState::Rejected(Some(error))
            }
        };
        for (link, delivery) in self.deliveries.drain(..) {
            // A link that is gone meanwhile takes no answer.
            let _ = connection.settle(link, delivery, state.clone());
        }
    }
}

/// A message over its link's limit.
pub(super) fn too_large(limit_bytes: u64) -> Error {
    let text = format!("a message has at most {limit_bytes} bytes");
    refusal(
        condition::MESSAGE_SIZE_EXCEEDED,
        ErrorCode::MESSAGE_TOO_LARGE,
        &text,
    )
}

/// A message that cannot be read.
pub(super) fn malformed(error: DecodeError) -> Error {
    refusal(
        condition::DECODE_ERROR,
        ErrorCode::FORMAT_ERROR,
        &format!("the message cannot be read: {error}"),
    )
}

/// Whether a message can be read, by those as well who will get it from the event endpoint, and is within the hub's limit. Returns the
/// fault that it asks for.
fn check(encoded: &Bytes, hub: &Limits, of_module: bool) -> Result<Option<Injection>, Error> {
    let message = Message::decode(encoded).map_err(malformed)?;
    let annotations = message.message_annotations.as_ref();
    let own = message.application_properties.as_ref();
    let is_for_output = annotations.is_some_and(|it| it.get(OUTPUT).is_some())
        || own.is_some_and(|it| it.get(OUTPUT_PROPERTY).is_some());
    if of_module && is_for_output {
        let text = "the outputs of modules are served by IoT Edge alone";
        let code = ErrorCode::INVALID_OPERATION;
        return Err(refusal(condition::NOT_IMPLEMENTED, code, text));
    }
    check_size(&message, encoded.len(), hub.telemetry_message_bytes)?;
    Ok(own.and_then(Injection::of_properties))
}

/// Whether a message, of which `encoded_bytes` came, is within a limit of the hub's.
pub(super) fn check_size(
    message: &Message,
    encoded_bytes: usize,
    limit_bytes: u64,
) -> Result<(), Error> {
    // Encoding only adds to what counts.
    if encoded_bytes as u64 > limit_bytes && counted_bytes(message) > limit_bytes {
        return Err(too_large(limit_bytes));
    }
    Ok(())
}
