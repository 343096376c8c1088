//! Messages that arrive over links, and messages that are sent.

use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{Connection, DeliveryId, LinkId, SessionId};
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::{DeliveryState, Error, condition};
use drawspan_emulator_hub::faults::Operation;
use drawspan_emulator_hub::message_size::counted_bytes;
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::ErrorCode;
use drawspan_hub::error_body::ErrorDescription;
use drawspan_hub_model::access::Grant;
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::throttle::{Admission, OperationClass};

use super::Head;
use crate::access::Access;
use crate::answers::Answers;
use crate::device_session::DeviceLink;
use crate::events::Pumped;
use crate::faulted::faulted;
use crate::limits;
use crate::links::{Link, Links};
use crate::{cbs, management, telemetry};

/// A message that came.
pub(super) struct Arrived {
    pub(super) link: LinkId,
    /// The delivery, if its sender waits for an outcome.
    pub(super) owed: Option<DeliveryId>,
    pub(super) message_format: u32,
    pub(super) payload: Bytes,
}

impl Arrived {
    pub(super) fn settle(&self, connection: &mut Connection, state: DeliveryState) {
        if let Some(delivery) = self.owed {
            // A link that is gone meanwhile takes no answer.
            let _ = connection.settle(self.link, delivery, state);
        }
    }
}

impl Head {
    pub(super) fn on_delivery(
        &mut self,
        connection: &mut Connection,
        arrived: &Arrived,
        now: Duration,
    ) {
        // First, so that nothing gets before what waits.
        self.release(connection, now);
        let Some(hub) = self.hub.clone() else {
            return self.on_registration_request(connection, arrived);
        };
        match self.links.get_mut(arrived.link) {
            Some(Link::Telemetry(link)) => {
                let client = Some(&link.client);
                let faults = &self.shared.faults;
                if let Some(code) = faults.refusal(Operation::D2c, hub.host(), client) {
                    hub.emit(HubEvent::TelemetryRefused {
                        client: link.client.clone(),
                        code,
                    });
                    let of = format!("telemetry of {}", link.client.described());
                    return self.reject(connection, arrived, &of, faulted(code));
                }
                let format = arrived.message_format;
                let messages = telemetry::read(link, format, &arrived.payload, hub.limits());
                let (messages, asked_for) = match messages {
                    Ok(messages) => messages,
                    Err(error) => {
                        hub.emit(HubEvent::TelemetryRefused {
                            client: link.client.clone(),
                            code: code_of(&error),
                        });
                        let of = format!("telemetry of {}", link.client.described());
                        return self.reject(connection, arrived, &of, error);
                    }
                };
                let faults = &self.shared.faults;
                if let Some(injection) = asked_for {
                    let entered = self.entered.connection();
                    faults.inject(hub.host(), &link.client, entered, injection);
                }
                let owed = arrived.owed.map(|delivery| (arrived.link, delivery));
                let (count, sizes) = (messages.len() as u64, messages.iter().map(size));
                let class = OperationClass::D2c;
                let admission = hub.throttle(Some(&link.client), class, count, sizes);
                let delay = faults.delay(Operation::D2c, hub.host(), Some(&link.client));
                let records = link.records(messages);
                if admission == Admission::Now {
                    let arrivals = match delay {
                        None => &mut self.arrivals,
                        Some(delay) => self.slowed.later(now + delay, &mut self.arrivals),
                    };
                    return arrivals.push(records, owed);
                }
                let (client, records) = (link.client.clone(), records.collect());
                let refused = match admission {
                    Admission::Refused(refused) => refused,
                    Admission::At(at) if self.hold_telemetry(&hub, at, owed, records) => return,
                    Admission::Now | Admission::At(_) => hub.refuse_for_room(&client, class),
                };
                self.refuse_telemetry(connection, &hub, arrived, (&client, refused));
            }
            Some(Link::CbsRequests) => {
                let Some(request) = self.request(connection, arrived) else {
                    return;
                };
                let (shared, links) = (&self.shared, &self.links);
                let fails = |access: &Access, grant: &Grant| {
                    if !is_renewal(access, links, grant) {
                        return None;
                    }
                    let client = grant.principal.client();
                    let faults = &shared.faults;
                    faults.refusal(Operation::Renewals, hub.host(), client.as_ref())
                };
                let (answer, refused) = cbs::answer(&request, &hub, &mut self.access, fails);
                if let Some((status, description)) = refused {
                    let what = cbs::name(&request).unwrap_or_default();
                    let status = status.to_string();
                    self.refused_with(Door::PutToken, what, &status, &description);
                }
                let session = connection.session_of(arrived.link);
                if let Some(answers) = session.and_then(|session| self.cbs.get_mut(&session)) {
                    answers.send(connection, answer);
                }
            }
            Some(Link::ManagementRequests) => {
                let Some(request) = self.request(connection, arrived) else {
                    return;
                };
                let (answer, refused) = management::answer(&request, &hub);
                if let Some((status, text)) = refused {
                    self.refused_with(Door::Management, "", &status.to_string(), &text);
                }
                let session = connection.session_of(arrived.link);
                if let Some(answers) = self.management_answers(session, &request) {
                    answers.send(connection, answer);
                }
            }
            Some(Link::ServiceSend) => self.on_message_to_device(connection, &hub, arrived),
            Some(Link::TwinRequests(owner)) => {
                let owner = (**owner).clone();
                let faults = &self.shared.faults;
                let client = Some(&owner.client);
                if let Some(code) = faults.refusal(Operation::Twins, hub.host(), client) {
                    return self.reject(connection, arrived, "twin request", faulted(code));
                }
                self.on_twin_request(connection, arrived, owner);
            }
            Some(Link::MethodAnswers(owner)) => {
                let client = owner.client.clone();
                let Some(answer) = self.request(connection, arrived) else {
                    return;
                };
                let session = connection.session_of(arrived.link);
                let pair = session.and_then(|session| {
                    let pair = (session, client, DeviceLink::MethodCalls);
                    self.pairs.get(&pair).copied()
                });
                if let Some(Link::MethodCalls(calls)) = pair.and_then(|id| self.links.get_mut(id)) {
                    calls.answered(&answer);
                }
            }
            _ => {}
        }
    }

    /// The destination of an answer: the request's `reply-to`, or the link of the same session.
    fn management_answers(
        &mut self,
        session: Option<SessionId>,
        request: &Message,
    ) -> Option<&mut Answers> {
        let reply_to = request
            .properties
            .as_ref()
            .and_then(|properties| properties.reply_to.as_deref());
        let named = reply_to.and_then(|reply_to| {
            self.management
                .iter()
                .position(|(_, answers)| answers.is_at(reply_to))
        });
        let here = || {
            self.management
                .iter()
                .rposition(|(of, _)| Some(*of) == session)
        };
        let position = named.or_else(here)?;
        self.management
            .get_mut(position)
            .map(|(_, answers)| answers)
    }

    pub(super) fn on_too_large(
        &mut self,
        connection: &mut Connection,
        link: LinkId,
        owed: Option<DeliveryId>,
    ) {
        if self.hub.is_none() {
            return self.on_registration_too_large(connection, link, owed);
        }
        let hub = &self.shared.limits;
        let limit = match self.links.get_mut(link) {
            Some(Link::Telemetry(_)) => hub.telemetry_message_bytes,
            Some(Link::MethodAnswers(_)) => hub.method_payload_bytes as u64,
            Some(Link::ServiceSend) => hub.c2d_message_bytes,
            Some(Link::TwinRequests(_)) => limits::TWIN_REQUEST_BYTES,
            _ => limits::REQUEST_BYTES,
        };
        let error = telemetry::too_large(limit);
        let client = self.links.get_mut(link).and_then(|link| link.of_client());
        let of = client.map_or_else(String::new, |(_, owner)| owner.client.described());
        self.refused(Door::Message, &of, &error);
        if let (Some(hub), Some(Link::Telemetry(link))) = (&self.hub, self.links.get_mut(link)) {
            hub.emit(HubEvent::TelemetryRefused {
                client: link.client.clone(),
                code: ErrorCode::MESSAGE_TOO_LARGE,
            });
        }
        let asked = matches!(self.links.get_mut(link), Some(Link::TwinRequests(_)));
        let _ = match owed {
            Some(delivery) => {
                connection.settle(link, delivery, DeliveryState::Rejected(Some(error)))
            }
            // A client that waits for no outcome waits for an answer, which will not come.
            None if asked => connection.detach(link, true, Some(error)),
            None => Ok(()),
        };
    }

    pub(super) fn on_credit(
        &mut self,
        connection: &mut Connection,
        id: LinkId,
        drain: bool,
        now: Duration,
    ) {
        match self.links.get_mut(id) {
            Some(Link::Events(reader)) => {
                if drain {
                    reader.drain();
                }
                self.pump = true;
                return;
            }
            Some(Link::LockedDelivery(locked)) => {
                if drain {
                    locked.drain();
                }
                return self.hand_out(connection, id, now);
            }
            Some(Link::MethodCalls(calls)) => calls.flush(connection),
            Some(Link::TwinAnswers(link)) => link.answers.flush(connection),
            Some(Link::CbsAnswers) => {
                for answers in self.cbs.values_mut().filter(|answers| answers.link() == id) {
                    answers.flush(connection);
                }
            }
            Some(Link::RegistrationAnswers) => {
                let registration = self.registration.iter_mut();
                let all = registration.flat_map(|registration| registration.answers.values_mut());
                for answers in all.filter(|answers| answers.link() == id) {
                    answers.flush(connection);
                }
            }
            Some(Link::ManagementAnswers) => {
                let here = self.management.iter_mut();
                for (_, answers) in here.filter(|(_, answers)| answers.link() == id) {
                    answers.flush(connection);
                }
            }
            _ => {}
        }
        if drain {
            let _ = connection.drained(id);
        }
    }

    /// Sends events to all readers.
    pub(super) fn pump(&mut self, connection: &mut Connection, now: Duration) {
        self.pump = false;
        self.pump_at = None;
        let Some(hub) = &self.hub else { return };
        let mut failed = Vec::new();
        for (id, link) in self.links.iter_mut() {
            let Link::Events(reader) = link else { continue };
            match reader.pump(connection, hub) {
                Ok(Pumped::Idle) => {}
                Ok(Pumped::More) => {
                    self.pump_at = Some(now + Duration::from_millis(limits::READ_PAUSE_MS))
                }
                Err(error) => failed.push((id, error)),
            }
        }
        for (id, error) in failed {
            tracing::error!(hub = %hub.host(), %error, "events cannot be read");
            let error = Error::new(condition::INTERNAL_ERROR, error.to_string());
            let _ = connection.detach(id, true, Some(error));
        }
    }
}

/// The size of a message that was read, as the hub counts it.
fn size(encoded: &Bytes) -> usize {
    let counted = Message::decode(encoded).map_or(0, |message| counted_bytes(&message));
    usize::try_from(counted).unwrap_or(usize::MAX)
}

/// The hub's code in a refusal.
fn code_of(error: &Error) -> ErrorCode {
    let description = error.description.as_deref().unwrap_or_default();
    let code = ErrorDescription::parse(description).code;
    code.unwrap_or(ErrorCode::ARGUMENT_INVALID)
}

/// Whether a token renews an earlier one. A client without a link is connecting, regardless of its tokens.
fn is_renewal(access: &Access, links: &Links, grant: &Grant) -> bool {
    let is_attached = || match grant.principal.client() {
        None => true,
        Some(client) => links.iter().any(|(_, link)| {
            let of = link.of_client();
            of.is_some_and(|(_, owner)| owner.client == client)
        }),
    };
    access.has(grant) && is_attached()
}
