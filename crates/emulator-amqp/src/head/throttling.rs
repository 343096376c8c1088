//! What the hub's rates and its quota do on a connection: links, messages and requests wait here for their time, or are refused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{Connection, DeliveryId, LinkId, SessionId};
use drawspan_amqp::performative::{Attach, DeliveryState, Error, condition};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::throttle_text::throttled_text;
use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_hub_model::c2d::NewMessage;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::throttle::{Admission, OperationClass, OverQuota, RateLimits, Refusal};
use drawspan_segment_log::NewRecord;

use super::Head;
use super::messages::Arrived;
use crate::device_session::DeviceLink;
use crate::error::{refusal, throttled};
use crate::links::{self, Wanted};
use crate::signals::Alarm;
use crate::twin::Request;

/// Something that waits for its time.
#[derive(Debug)]
pub(super) enum Held {
    /// The first link of a device or module, or one that came while that waited.
    Attach {
        session: SessionId,
        link: LinkId,
        attach: Box<Attach>,
        client: ClientId,
    },
    /// Messages of a device or module, which came in one delivery.
    Telemetry {
        records: Vec<NewRecord>,
        owed: Option<(LinkId, DeliveryId)>,
    },
    /// A message of a service to a device.
    ToDevice {
        owed: Option<(LinkId, DeliveryId)>,
        device: DeviceId,
        message: NewMessage,
    },
    /// A request about a twin.
    Twin(Request),
}

/// Whether a link may be attached.
pub(super) enum Turn {
    /// Now.
    Now,
    /// It waits; nothing is answered yet.
    Waits,
    /// Not at all.
    Refused(Error),
}

impl Head {
    /// Whether a link may be attached now. The first link of a device or module on the connection is a new connection of it; its
    /// other links wait as long as that does.
    pub(super) fn attach_turn(
        &mut self,
        hub: &Arc<Hub>,
        session: SessionId,
        link: LinkId,
        attach: &Attach,
    ) -> Turn {
        if !hub.is_throttled() && self.connecting.is_empty() {
            return Turn::Now;
        }
        let Ok(Wanted::Client(client, kind)) = links::wanted(attach) else {
            return Turn::Now;
        };
        let at = match self.connecting.get(&client) {
            Some(at) => *at,
            None if self.clients.contains_key(&client) => return Turn::Now,
            None => {
                let certified = self.access.certify(hub, &client);
                let allowed = certified.and_then(|()| self.check_client(hub, &client, kind));
                if allowed.is_err() || hub.has(class_of(kind)).is_err() {
                    // Refused for that, which costs nothing.
                    return Turn::Now;
                }
                match hub.throttle(Some(&client), OperationClass::Connects, 1, []) {
                    Admission::Now => return Turn::Now,
                    Admission::At(at) => at,
                    Admission::Refused(refused) => {
                        return Turn::Refused(connect_refusal(refused.code));
                    }
                }
            }
        };
        let bytes = size_of::<Attach>();
        let held = Held::Attach {
            session,
            link,
            attach: Box::new(attach.clone()),
            client: client.clone(),
        };
        if !self.waiting.hold(hub, at, bytes, held) {
            let refused = hub.refuse_for_room(&client, OperationClass::Connects);
            return Turn::Refused(connect_refusal(refused.code));
        }
        self.connecting.insert(client, at);
        Turn::Waits
    }

    /// Holds messages of a device or module that came in one delivery. False if too much waits.
    pub(super) fn hold_telemetry(
        &mut self,
        hub: &Hub,
        at: Duration,
        owed: Option<(LinkId, DeliveryId)>,
        records: Vec<NewRecord>,
    ) -> bool {
        let bytes = records.iter().map(|record| record.message.len()).sum();
        self.waiting
            .hold(hub, at, bytes, Held::Telemetry { records, owed })
    }

    /// Refuses messages of a device or module.
    pub(super) fn refuse_telemetry(
        &self,
        connection: &mut Connection,
        hub: &Hub,
        arrived: &Arrived,
        (client, refused): (&ClientId, Refusal),
    ) {
        hub.emit(HubEvent::TelemetryRefused {
            client: client.clone(),
            code: refused.code,
        });
        let over_quota = refused.code == ErrorCode::QUOTA_EXCEEDED;
        if over_quota && hub.rate_limits(RateLimits::over_quota) == OverQuota::Accepted {
            return arrived.settle(connection, DeliveryState::Accepted);
        }
        let of = format!("telemetry of {}", client.described());
        self.reject(connection, arrived, &of, throttled(refused.code));
    }

    /// Takes in a message of a service, when its turn comes.
    pub(super) fn take_message_to_device(
        &mut self,
        connection: &mut Connection,
        hub: &Arc<Hub>,
        arrived: &Arrived,
        (device, message): (DeviceId, NewMessage),
    ) {
        let owed = arrived.owed.map(|delivery| (arrived.link, delivery));
        let (client, bytes) = (ClientId::from(&device), message.payload.len());
        let class = OperationClass::C2dSends;
        let refused = match hub.throttle(Some(&client), class, 1, [bytes]) {
            Admission::Now => {
                return self.send_to_device(connection, hub, owed, (device, message));
            }
            Admission::At(at) => {
                let held = Held::ToDevice {
                    owed,
                    device,
                    message,
                };
                if self.waiting.hold(hub, at, bytes, held) {
                    return;
                }
                hub.refuse_for_room(&client, class)
            }
            Admission::Refused(refused) => refused,
        };
        hub.emit(HubEvent::C2dRefused {
            device: client.device,
            code: refused.code,
        });
        let error = match refused.code {
            // Services take a resource limit for a full queue of the device.
            ErrorCode::QUOTA_EXCEEDED => refusal(
                crate::error::QUOTA_EXCEEDED,
                refused.code,
                throttled_text(refused.code),
            ),
            code => throttled(code),
        };
        self.reject(connection, arrived, "message to a device", error);
    }

    /// Takes in a request about a twin, when its turn comes. Answers those that are refused.
    pub(super) fn take_twin_request(
        &mut self,
        connection: &mut Connection,
        hub: &Hub,
        request: Request,
        payload: &Bytes,
    ) {
        let admission = match request.class() {
            None => Admission::Now,
            Some(class) => {
                // The size of what is read is counted when it is known.
                let size = (class == OperationClass::TwinUpdates).then_some(payload.len());
                hub.throttle(Some(request.client()), class, 1, size)
            }
        };
        let answer = match admission {
            Admission::Now => self.twins.take(request),
            Admission::At(at) => {
                let class = request.class().unwrap_or(OperationClass::TwinUpdates);
                let (client, refused) = (request.client().clone(), request.to_refuse());
                let held = Held::Twin(request);
                if self.waiting.hold(hub, at, payload.len(), held) {
                    return;
                }
                let why = hub.refuse_for_room(&client, class);
                Some(refused.refusal(why.code, throttled_text(why.code)))
            }
            Admission::Refused(why) => {
                let refused = request.to_refuse();
                Some(refused.refusal(why.code, throttled_text(why.code)))
            }
        };
        if let Some(answer) = answer {
            self.send_twin_answer(connection, answer);
        }
    }

    /// Goes on with what has waited enough.
    pub(super) fn release(&mut self, connection: &mut Connection, now: Duration) {
        if self.waiting.is_empty() {
            return;
        }
        let Some(hub) = self.hub.clone() else { return };
        let by = hub.due_by();
        while let Some(held) = self.waiting.take_due(by) {
            // It has rung, or is too late.
            self.armed = None;
            match held {
                Held::Attach {
                    session,
                    link,
                    attach,
                    client,
                } => {
                    self.connecting.remove(&client);
                    // The client may have taken it back.
                    if connection.session_of(link).is_some() {
                        self.attach_now(connection, &hub, (session, link), &attach, now);
                    }
                }
                Held::Telemetry { records, owed } => self.arrivals.push(records, owed),
                Held::ToDevice {
                    owed,
                    device,
                    message,
                } => self.send_to_device(connection, &hub, owed, (device, message)),
                Held::Twin(request) => {
                    if let Some(answer) = self.twins.take(request) {
                        self.send_twin_answer(connection, answer);
                    }
                }
            }
        }
    }

    /// Has the connection woken when the next of those that wait is due.
    pub(super) fn arm(&mut self) {
        let first = self.waiting.first_at();
        if first == self.armed {
            return;
        }
        self.armed = first;
        if let Some(hub) = &self.hub {
            let alarm = first.map(|at| Alarm {
                hub: Arc::clone(hub),
                at,
            });
            self.signals.set_alarm(alarm);
        }
    }
}

/// The class of operations that a link of a device or module is for, by which a tier has it or not.
pub(super) const fn class_of(kind: DeviceLink) -> OperationClass {
    match kind {
        DeviceLink::Telemetry => OperationClass::D2c,
        DeviceLink::Messages => OperationClass::C2dReceives,
        DeviceLink::MethodCalls | DeviceLink::MethodAnswers => OperationClass::Methods,
        DeviceLink::TwinRequests | DeviceLink::TwinAnswers => OperationClass::TwinReads,
    }
}

/// A link that is refused because too many devices connect. The condition of throttling is for messages: the C# client gives a
/// device up for ever that gets it here, and comes again after this one.
fn connect_refusal(code: ErrorCode) -> Error {
    refusal(condition::DETACH_FORCED, code, throttled_text(code))
}
