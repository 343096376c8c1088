//! What the hub's rates and its quota do on a connection: messages and requests of its device wait here for their time, or are
//! refused. There is no packet by which MQTT 3.1.1 could refuse a message: the connection is closed.

use std::time::Duration;

use bytes::Bytes;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::throttle_text::throttled_text;
use drawspan_emulator_hub::twin_refusal::TwinRefusal;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::event::{DisconnectReason, HubEvent};
use drawspan_hub_model::throttle::{Admission, OperationClass};
use drawspan_mqtt::{HubTopic, Server};
use drawspan_segment_log::NewRecord;

use super::device::{Device, Fault, broken};
use super::device_session::Push;
use super::twin;

/// Something that waits for its time.
#[derive(Debug)]
pub(super) enum Held {
    /// A message, and the packet that is acknowledged once it is stored.
    Telemetry {
        record: NewRecord,
        packet_id: Option<u16>,
    },
    /// A packet that came behind such a message: acknowledgements keep the order of what they acknowledge.
    Acknowledgement(u16),
    /// A request about the twin.
    Twin(TwinRequest),
}

/// A device's request about its twin.
#[derive(Debug)]
pub(super) enum TwinRequest {
    Get {
        request_id: String,
    },
    Report {
        request_id: String,
        version: Option<String>,
        patch: Bytes,
    },
}

impl Device {
    /// Takes in a message of so many bytes, as the hub counts them, when its turn comes. One that passes at once is stored at `slowed`,
    /// if a fault asks for that.
    pub(super) fn take_record(
        &mut self,
        record: NewRecord,
        bytes: usize,
        packet_id: Option<u16>,
        slowed: Option<Duration>,
    ) -> Result<(), Fault> {
        let class = OperationClass::D2c;
        let refused = match self.hub.throttle(Some(&self.id), class, 1, [bytes]) {
            Admission::Now => {
                match slowed {
                    Some(due) => self.slow(record, packet_id, due),
                    None => {
                        self.arrived.push(record);
                        self.owed.extend(packet_id);
                    }
                }
                return Ok(());
            }
            Admission::At(at) => {
                let encoded = record.message.len();
                let held = Held::Telemetry { record, packet_id };
                if self.waiting.hold(&self.hub, at, encoded, held) {
                    self.owed_at = at;
                    return Ok(());
                }
                self.hub.refuse_for_room(&self.id, class)
            }
            Admission::Refused(refused) => refused,
        };
        self.hub.emit(HubEvent::TelemetryRefused {
            client: self.id.clone(),
            code: refused.code,
        });
        Err(throttled(refused.code))
    }

    /// Acknowledges a packet that needs no storing, behind all that came before it.
    pub(super) fn acknowledge(&mut self, server: &mut Server, id: u16) -> Result<(), Fault> {
        if self.owed_at > self.hub.due_by()
            && self
                .waiting
                .hold(&self.hub, self.owed_at, 0, Held::Acknowledgement(id))
        {
            return Ok(());
        }
        if self.owed.is_empty() {
            return server.acknowledge(id).map_err(broken);
        }
        self.owed.push(id);
        Ok(())
    }

    /// Takes in a request about the twin, when its turn comes.
    pub(super) fn take_twin_request(&mut self, request: TwinRequest) {
        let (class, size) = match &request {
            // The size of what is read is counted when it is known.
            TwinRequest::Get { .. } => (OperationClass::TwinReads, None),
            TwinRequest::Report { patch, .. } => (OperationClass::TwinUpdates, Some(patch.len())),
        };
        let refused = match self.hub.throttle(Some(&self.id), class, 1, size) {
            Admission::Now => return self.serve_twin(&request),
            Admission::At(at) => {
                let bytes = size.unwrap_or_default();
                let request_id = request.id().to_owned();
                if self.waiting.hold(&self.hub, at, bytes, Held::Twin(request)) {
                    return;
                }
                (request_id, self.hub.refuse_for_room(&self.id, class).code)
            }
            Admission::Refused(refused) => (request.id().to_owned(), refused.code),
        };
        let (request_id, code) = refused;
        let refusal = TwinRefusal(code, throttled_text(code).to_owned());
        let answer = twin::Answer::refused_by(request_id, refusal);
        self.session.push(Push::Twin(answer));
    }

    /// Goes on with what has waited enough. What was to be stored is stored with what arrives next.
    pub(super) fn release(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let by = self.hub.due_by();
        while let Some(held) = self.waiting.take_due(by) {
            match held {
                Held::Telemetry { record, packet_id } => {
                    self.arrived.push(record);
                    self.owed.extend(packet_id);
                }
                Held::Acknowledgement(id) => self.owed.push(id),
                Held::Twin(request) => self.serve_twin(&request),
            }
        }
    }

    /// Whether the hub's tier has all that devices subscribe to.
    pub(super) fn has_every_topic(&self) -> bool {
        is_in_tier(&self.hub, HubTopic::Methods)
    }

    /// When the next of those that wait is due, by the hub's clock.
    pub(super) fn next_release(&self) -> Option<Duration> {
        self.waiting.first_at()
    }

    fn serve_twin(&self, request: &TwinRequest) {
        let answer = match request {
            TwinRequest::Get { request_id } => Some(twin::get(&self.hub, &self.id, request_id)),
            TwinRequest::Report {
                request_id,
                version,
                patch,
            } => {
                let request = (request_id.as_str(), version.as_deref());
                twin::report(&self.hub, &self.session, &self.id, request, patch)
            }
        };
        if let Some(answer) = answer {
            self.session.push(Push::Twin(answer));
        }
    }
}

impl TwinRequest {
    fn id(&self) -> &str {
        match self {
            Self::Get { request_id } | Self::Report { request_id, .. } => request_id,
        }
    }
}

/// Whether the hub's tier sends anything to such a topic.
pub(super) fn is_in_tier(hub: &Hub, topic: HubTopic) -> bool {
    let class = match topic {
        HubTopic::Messages => OperationClass::C2dReceives,
        HubTopic::Methods => OperationClass::Methods,
        HubTopic::Desired | HubTopic::TwinAnswers => OperationClass::TwinReads,
    };
    hub.has(class).is_ok()
}

/// A connection that ends because of a rate or the quota.
pub(super) fn throttled(code: ErrorCode) -> Fault {
    Fault {
        reason: match code {
            ErrorCode::QUOTA_EXCEEDED => DisconnectReason::QuotaExceeded,
            _ => DisconnectReason::Throttled,
        },
        code,
        text: throttled_text(code).to_owned(),
    }
}
