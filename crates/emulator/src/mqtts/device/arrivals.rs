//! What a device or module sends: packets are read, checked, and kept until they are stored together.

use std::time::Duration;

use bytes::Bytes;
use drawspan_emulator_hub::faults::{Injection, Operation};
use drawspan_emulator_hub::message_size::counted_bytes;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::event::{DisconnectReason, HubEvent};
use drawspan_mqtt::server::Publish;
use drawspan_mqtt::topic::Topic as Published;
use drawspan_mqtt::{Qos, Server};
use drawspan_segment_log::{AuthKind, MessageSource, NewRecord, Origin};

use super::{Device, Fault, broken, fault};
use crate::limits;
use crate::mqtts::device_session::Push;
use crate::mqtts::telemetry::{self, Kind};
use crate::mqtts::throttling::TwinRequest;
use crate::mqtts::{foreign, twin};

impl Device {
    /// Takes a message.
    pub(in crate::mqtts) fn publish(
        &mut self,
        server: &mut Server,
        publish: Publish,
        now: Duration,
    ) -> Result<(), Fault> {
        if publish.qos == Qos::ExactlyOnce {
            return Err(fault("QoS 2 is not served"));
        }
        match Published::parse(&publish.topic) {
            Some(Published::Telemetry { sender, bag }) => {
                if !self.is(&sender) {
                    return Err(fault("the topic is another client's"));
                }
                let (record, bytes) = self.telemetry(bag, &publish)?;
                let slowed = self.delay().map(|delay| now + delay);
                return self.take_record(record, bytes, publish.packet_id, slowed);
            }
            Some(Published::MethodAnswer { status, request_id }) => {
                let limits = self.hub.limits();
                self.methods
                    .answered(request_id, status, publish.payload.clone(), limits);
            }
            Some(Published::TwinGet { request_id } | Published::TwinReport { request_id, .. })
                if let Some(code) = self.refusal(Operation::Twins) =>
            {
                let answer = twin::faulted(request_id, code);
                self.session.push(Push::Twin(answer));
            }
            Some(Published::TwinGet { request_id }) => {
                let request_id = request_id.to_owned();
                self.take_twin_request(TwinRequest::Get { request_id });
            }
            Some(Published::TwinReport {
                request_id,
                version,
            }) => {
                let request = TwinRequest::Report {
                    request_id: request_id.to_owned(),
                    version: version.map(str::to_owned),
                    patch: publish.payload.clone(),
                };
                self.take_twin_request(request);
            }
            _ => return Err(fault(&foreign(&publish.topic, "a hub has no such topic"))),
        }
        match publish.packet_id {
            Some(id) => self.acknowledge(server, id),
            None => Ok(()),
        }
    }

    /// The refusal that a fault asks for.
    pub(in crate::mqtts) fn refusal(&self, operation: Operation) -> Option<ErrorCode> {
        self.faults
            .refusal(operation, self.hub.host(), Some(&self.id))
    }

    /// Whether nothing is to be accepted from it.
    pub(in crate::mqtts) fn is_stalled(&self) -> bool {
        self.faults.stalls(self.hub.host(), &self.id)
    }

    /// How much later its next message is stored because a fault is asked for.
    pub(super) fn delay(&self) -> Option<Duration> {
        let has_room = self.slowed.len() < limits::MQTT_SLOWED_MAX;
        let (operation, host) = (Operation::D2c, self.hub.host());
        let delay = self.faults.delay(operation, host, Some(&self.id));
        delay.filter(|_| has_room)
    }

    /// Has a message stored later.
    pub(in crate::mqtts) fn slow(
        &mut self,
        record: NewRecord,
        packet_id: Option<u16>,
        due: Duration,
    ) {
        self.slowed_last += 1;
        let due = (due, self.slowed_last);
        self.slowed.insert(due, (record, packet_id));
    }

    /// The message in a packet, and its size as the hub counts it.
    fn telemetry(&self, bag: &str, publish: &Publish) -> Result<(NewRecord, usize), Fault> {
        let kind = Kind {
            retain: publish.retain,
            will: false,
            model_id: self.model_id.as_deref(),
        };
        let refuse = |code: ErrorCode, text: String| {
            self.hub.emit(HubEvent::TelemetryRefused {
                client: self.id.clone(),
                code,
            });
            Err(Fault {
                reason: DisconnectReason::ClientFault,
                code,
                text,
            })
        };
        if let Some(code) = self.refusal(Operation::D2c) {
            return refuse(code, "a fault is asked for".to_owned());
        }
        let message = match telemetry::message(bag, publish.payload.clone(), kind) {
            Ok(message) => message,
            Err(error) => return refuse(ErrorCode::ARGUMENT_INVALID, error.to_string()),
        };
        if self.id.module.is_some() && telemetry::is_for_output(&message) {
            let text = "the outputs of modules are served by IoT Edge alone";
            return refuse(ErrorCode::INVALID_OPERATION, text.to_owned());
        }
        let limit = self.hub.limits().telemetry_message_bytes;
        let bytes = counted_bytes(&message);
        if bytes > limit {
            let text = format!("a message has at most {limit} bytes");
            return refuse(ErrorCode::MESSAGE_TOO_LARGE, text);
        }
        let own = message.application_properties.as_ref();
        if let Some(injection) = own.and_then(Injection::of_properties) {
            self.faults
                .inject(self.hub.host(), &self.id, &self.connection, injection);
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok((self.record(message.to_bytes()), bytes))
    }

    pub(in crate::mqtts) fn record(&self, message: Bytes) -> NewRecord {
        NewRecord {
            device_id: self.id.device.clone(),
            module_id: self.id.module.clone(),
            origin: Origin {
                scope: self.scope,
                kind: match self.grant.is_by_certificate() {
                    true => AuthKind::X509,
                    false => AuthKind::Sas,
                },
                generation_id: self.generation_id.clone(),
                source: MessageSource::Telemetry,
            },
            message,
        }
    }

    /// Stores what came, then acknowledges it.
    pub(in crate::mqtts) fn store(&mut self, server: &mut Server) -> Result<(), Fault> {
        if !self.arrived.is_empty() {
            let records = std::mem::take(&mut self.arrived);
            self.hub.ingest(&records).map_err(|error| {
                tracing::error!(hub = %self.hub.host(), %error, "telemetry could not be stored");
                Fault {
                    reason: DisconnectReason::HubStopped,
                    code: ErrorCode::SERVER_ERROR,
                    text: "a message could not be stored".to_owned(),
                }
            })?;
        }
        for id in std::mem::take(&mut self.owed) {
            server.acknowledge(id).map_err(broken)?;
        }
        Ok(())
    }
}
