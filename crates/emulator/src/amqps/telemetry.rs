//! Telemetry links: what devices send, single and in batches.

use std::sync::Arc;

use bytes::Bytes;
use drawspan_amqp::codec::DecodeError;
use drawspan_amqp::engine::{AcceptOptions, Connection, Credit, DeliveryId, LinkId};
use drawspan_amqp::message::{BATCH_MESSAGE_FORMAT, SectionKind, batch, sections};
use drawspan_amqp::performative::{DeliveryState, Error, condition};
use drawspan_hub::{DeviceId, ErrorCode};

use super::error::refusal;
use crate::hub::Hub;
use crate::limits;
use crate::log::{NewRecord, Origin};

/// A device's telemetry link.
#[derive(Debug)]
pub(super) struct TelemetryLink {
    pub(super) device: DeviceId,
    pub(super) origin: Origin,
}

/// How such a link is accepted.
pub(super) fn accept_options() -> AcceptOptions {
    AcceptOptions {
        max_message_bytes: Some(limits::TELEMETRY_MESSAGE_BYTES),
        slack_bytes: limits::TELEMETRY_SLACK_BYTES,
        credit: Some(Credit::Auto(limits::TELEMETRY_CREDIT)),
        ..AcceptOptions::default()
    }
}

/// Messages of one wake-up, stored together before any of them is acknowledged.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    records: Vec<NewRecord>,
    deliveries: Vec<(LinkId, DeliveryId)>,
}

impl Arrivals {
    /// Takes a delivery in, or says what is wrong with it.
    pub(super) fn take(
        &mut self,
        link: &TelemetryLink,
        at: Option<(LinkId, DeliveryId)>,
        message_format: u32,
        payload: &Bytes,
    ) -> Result<(), Error> {
        let messages = match message_format {
            0 => vec![payload.clone()],
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
        for message in &messages {
            check(message)?;
        }
        let record = |message| NewRecord {
            device_id: link.device.clone(),
            origin: link.origin.clone(),
            message,
        };
        self.records.extend(messages.into_iter().map(record));
        self.deliveries.extend(at);
        Ok(())
    }

    /// Stores what came, then acknowledges it: 200 to a device means that it is in the log.
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

/// A message over the limit.
pub(super) fn too_large() -> DeliveryState {
    let text = format!(
        "a message has at most {} bytes",
        limits::TELEMETRY_MESSAGE_BYTES
    );
    DeliveryState::Rejected(Some(refusal(
        condition::MESSAGE_SIZE_EXCEEDED,
        ErrorCode::MESSAGE_TOO_LARGE,
        &text,
    )))
}

/// Whether a message is whole, and within the hub's limit: body, properties' names and values.
fn check(message: &Bytes) -> Result<(), Error> {
    let mut body_bytes = 0;
    for section in sections(message) {
        let section = section.map_err(malformed)?;
        if section.kind == SectionKind::Data {
            body_bytes += section.data().map_err(malformed)?.len();
        }
    }
    if body_bytes as u64 > limits::TELEMETRY_MESSAGE_BYTES {
        let DeliveryState::Rejected(Some(error)) = too_large() else {
            return Ok(());
        };
        return Err(error);
    }
    Ok(())
}

fn malformed(error: DecodeError) -> Error {
    refusal(
        condition::DECODE_ERROR,
        ErrorCode::FORMAT_ERROR,
        &format!("the message cannot be read: {error}"),
    )
}
