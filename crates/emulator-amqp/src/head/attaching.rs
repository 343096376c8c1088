//! Attaching and detaching links.

use std::sync::Arc;
use std::time::Duration;

use drawspan_amqp::engine::{AcceptOptions, Connection, Credit, LinkId, SessionId};
use drawspan_amqp::performative::{Attach, Error, SenderSettleMode, condition};
use drawspan_emulator_hub::faults::Operation;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::address::Entity;
use drawspan_hub_model::access::Denied;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::{DisconnectReason, HubEvent};
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::throttle::OperationClass;
use drawspan_segment_log::{AuthScope, MessageSource, Origin};

use super::Head;
use super::refusing::link_of;
use super::throttling::{Turn, class_of};
use crate::answers::Answers;
use crate::device_session::{AmqpSession, DeviceLink, Owner};
use crate::error::{ARGUMENT_ERROR, denied, throttled};
use crate::events::{self, Reader};
use crate::faulted::faulted;
use crate::limits;
use crate::links::{self, Link, Wanted, event_path, not_found};
use crate::locked_delivery::{LockedDelivery, Queue};
use crate::methods::{self, MethodCalls};
use crate::readers;
use crate::telemetry::{self, TelemetryLink};
use crate::twin::{self, TwinAnswers};
use crate::{feedback, file_notification, filter, redirect, service_send};

impl Head {
    pub(super) fn on_attach(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        id: LinkId,
        attach: &Attach,
        now: Duration,
    ) {
        let Some(hub) = self.hub.clone().filter(|_| !self.is_to_register(attach)) else {
            return self.on_registration_attach(connection, session, id, attach);
        };
        self.release(connection, now);
        let turn = match self.fault_refuses(&hub, attach) {
            Some(error) => Turn::Refused(error),
            None => self.attach_turn(&hub, session, id, attach),
        };
        match turn {
            Turn::Now => self.attach_now(connection, &hub, (session, id), attach, now),
            Turn::Waits => {}
            Turn::Refused(error) => {
                self.refused(Door::Attach, &link_of(attach), &error);
                let _ = connection.refuse(id, error);
            }
        }
    }

    /// Accepts or refuses a link whose turn has come.
    pub(super) fn attach_now(
        &mut self,
        connection: &mut Connection,
        hub: &Arc<Hub>,
        (session, id): (SessionId, LinkId),
        attach: &Attach,
        now: Duration,
    ) {
        let taken = links::wanted(attach)
            .and_then(|wanted| self.take_link(hub, session, id, attach, wanted));
        // An error of the engine means that the link is gone already, of which an event tells.
        let _ = match taken {
            Ok((link, options)) => {
                if let Some((_, owner)) = link.of_client()
                    && self.shared.faults.stalls(hub.host(), &owner.client)
                {
                    let (client, why) = (owner.client.to_string(), "a fault is asked for");
                    self.refused_with(Door::Session, &client, "stall", why);
                    // Before the link's credit, which would let the device send.
                    let _ = connection.shut_window(session);
                }
                self.links.insert(id, link);
                connection.accept(id, options)
            }
            Err(error) => {
                // The way to the event endpoint is no refusal.
                if error.condition != condition::LINK_REDIRECT {
                    self.refused(Door::Attach, &link_of(attach), &error);
                }
                connection.refuse(id, error)
            }
        };
        self.sweep_when_due(now);
    }

    fn take_link(
        &mut self,
        hub: &Arc<Hub>,
        session: SessionId,
        id: LinkId,
        attach: &Attach,
        wanted: Wanted,
    ) -> Result<(Link, AcceptOptions), Error> {
        match wanted {
            Wanted::CbsRequests => Ok((Link::CbsRequests, requests())),
            Wanted::CbsAnswers => {
                self.cbs.insert(session, Answers::new(id, None));
                Ok((Link::CbsAnswers, AcceptOptions::default()))
            }
            Wanted::ManagementRequests => {
                self.check_management(hub)?;
                Ok((Link::ManagementRequests, requests()))
            }
            Wanted::ManagementAnswers => {
                self.check_management(hub)?;
                let target = attach.target.as_ref();
                let reply_to = target.and_then(|target| target.address.clone());
                self.management.push((session, Answers::new(id, reply_to)));
                Ok((Link::ManagementAnswers, AcceptOptions::default()))
            }
            Wanted::Client(client, kind) => {
                self.client_link(hub, session, id, attach, client, kind)
            }
            Wanted::ServiceSend => {
                self.check_service(hub, service_send::PATH)
                    .map_err(|reason| deny(hub, None, reason))?;
                hub.has(OperationClass::C2dSends).map_err(throttled)?;
                Ok((
                    Link::ServiceSend,
                    service_send::accept_options(hub.limits()),
                ))
            }
            Wanted::Feedback => {
                self.check_service(hub, feedback::PATH)
                    .map_err(|reason| deny(hub, None, reason))?;
                hub.has(OperationClass::C2dSends).map_err(throttled)?;
                let place = self.shared.feedback.enter(hub.host(), &self.signals, id);
                Ok(locked_delivery(id, attach, Queue::Feedback(place)))
            }
            Wanted::FileNotifications => {
                self.check_service(hub, file_notification::PATH)
                    .map_err(|reason| deny(hub, None, reason))?;
                let receivers = &self.shared.file_notifications;
                let place = receivers.enter(hub.host(), &self.signals, id);
                Ok(locked_delivery(id, attach, Queue::FileNotifications(place)))
            }
            Wanted::Events {
                entity,
                group,
                partition,
            } => self.events(hub, id, attach, &entity, &group, partition),
            Wanted::Redirect => {
                self.check_events(hub, &event_path(&Entity::BuiltIn, "/$management"))?;
                Err(redirect::to_event_endpoint(hub, self.port))
            }
        }
    }

    fn client_link(
        &mut self,
        hub: &Arc<Hub>,
        session: SessionId,
        id: LinkId,
        attach: &Attach,
        client: ClientId,
        kind: DeviceLink,
    ) -> Result<(Link, AcceptOptions), Error> {
        let (scope, generation_id) = self
            .access
            .certify(hub, &client)
            .and_then(|()| self.check_client(hub, &client, kind))
            .map_err(|reason| deny(hub, Some(&client), reason))?;
        hub.has(class_of(kind)).map_err(throttled)?;
        let session_of_client = self
            .clients
            .entry(client.clone())
            .or_insert_with(|| Arc::new(AmqpSession::new(&self.signals, self.protocol)));
        hub.attach(&client, session_of_client, |session| session.add(kind, id));
        let auth_kind = self.access.kind_of(&client);
        let owner = Owner {
            client,
            generation_id,
        };
        Ok(match kind {
            DeviceLink::Telemetry => {
                let origin = Origin {
                    scope,
                    kind: auth_kind,
                    generation_id: owner.generation_id,
                    source: MessageSource::Telemetry,
                };
                let client = owner.client;
                let model_id = telemetry::model_id(attach);
                if let Some(model) = &model_id {
                    hub.set_model(&client, model);
                }
                let link = TelemetryLink {
                    client,
                    origin,
                    model_id,
                };
                (
                    Link::Telemetry(Box::new(link)),
                    telemetry::accept_options(hub.limits()),
                )
            }
            DeviceLink::MethodCalls => {
                self.pair(session, &owner, kind, id);
                let calls = MethodCalls::new(owner, id, hub.limits());
                (Link::MethodCalls(Box::new(calls)), AcceptOptions::default())
            }
            DeviceLink::TwinAnswers => {
                self.pair(session, &owner, kind, id);
                let answers = TwinAnswers::new(owner, id);
                (
                    Link::TwinAnswers(Box::new(answers)),
                    AcceptOptions::default(),
                )
            }
            DeviceLink::TwinRequests => {
                (Link::TwinRequests(Box::new(owner)), twin::accept_requests())
            }
            DeviceLink::MethodAnswers => (
                Link::MethodAnswers(Box::new(owner)),
                methods::accept_answers(hub.limits()),
            ),
            DeviceLink::Messages => locked_delivery(id, attach, Queue::Device(owner)),
        })
    }

    /// The refusal of a client's first link here, if a fault asks for that.
    fn fault_refuses(&self, hub: &Hub, attach: &Attach) -> Option<Error> {
        let faults = &self.shared.faults;
        if !faults.is_any() {
            return None;
        }
        let Ok(Wanted::Client(client, _)) = links::wanted(attach) else {
            return None;
        };
        if self.clients.contains_key(&client) {
            return None;
        }
        let code = faults.refusal(Operation::Connects, hub.host(), Some(&client));
        code.map(faulted)
    }

    /// Whether a device or module may have such a link now. Says by whose token, and which of the clients of that name it is.
    pub(super) fn check_client(
        &self,
        hub: &Hub,
        client: &ClientId,
        kind: DeviceLink,
    ) -> Result<(AuthScope, Arc<str>), Denied> {
        let path = links::client_path(client, kind);
        let right = Right::DeviceConnect;
        let grant = self.access.check(
            right,
            hub.host(),
            &path,
            Some(client),
            self.shared.clock.elapsed(),
        )?;
        hub.admit(grant, client)
    }

    fn events(
        &mut self,
        hub: &Arc<Hub>,
        id: LinkId,
        attach: &Attach,
        entity: &Entity,
        group: &str,
        partition: u32,
    ) -> Result<(Link, AcceptOptions), Error> {
        let rest = format!("/ConsumerGroups/{group}/Partitions/{partition}");
        let path = event_path(entity, &rest);
        self.check_events(hub, &path)?;
        if let Entity::Named(name) = entity
            && !name.eq_ignore_ascii_case(hub.entity())
        {
            return Err(missing_entity(name));
        }
        let Some(group) = hub.consumer_group(group) else {
            return Err(missing_entity(&format!("{}:{group}", hub.entity())));
        };
        let number = u16::try_from(partition).ok();
        let bounds = number.and_then(|number| Some((number, hub.partition(number)?)));
        let Some((number, bounds)) = bounds else {
            return Err(not_found(&format!("there is no partition {partition}")));
        };
        let source = attach.source.as_deref().cloned().unwrap_or_default();
        let position =
            filter::position(&source).map_err(|text| Error::new(condition::INVALID_FIELD, text))?;
        position
            .check(&bounds)
            .map_err(|beyond| Error::new(ARGUMENT_ERROR, beyond.to_string()))?;
        let wish = readers::Wish {
            epoch: readers::epoch(attach)?,
            signals: &self.signals,
            link: id,
        };
        let place = self.shared.readers.take(hub, group, number, &wish)?;
        let metric = events::wants_metric(attach);
        let options = events::accept_options(metric);
        let reader = Reader::new(
            hub,
            number,
            position,
            events::Of {
                link: id,
                path,
                settled: attach.snd_settle_mode != SenderSettleMode::Unsettled,
                metric,
                place,
            },
            &self.signals,
        );
        match reader {
            Ok(reader) => Ok((Link::Events(Box::new(reader)), options)),
            Err(error) => Err(Error::new(
                condition::RESOURCE_LIMIT_EXCEEDED,
                error.to_string(),
            )),
        }
    }

    fn check_management(&self, hub: &Hub) -> Result<(), Error> {
        let entity = Entity::Named(hub.entity().to_owned());
        self.check_events(hub, &event_path(&entity, "/$management"))
    }

    fn check_events(&self, hub: &Hub, path: &str) -> Result<(), Error> {
        self.check_service(hub, path)
            .map_err(|reason| deny(hub, None, reason))
    }

    /// Whether a service may use `path` now.
    pub(super) fn check_service(&self, hub: &Hub, path: &str) -> Result<(), Denied> {
        let right = Right::ServiceConnect;
        let now = self.shared.clock.elapsed();
        let grant = self.access.check(right, hub.host(), path, None, now);
        grant.map(|_| ())
    }

    pub(super) fn on_detached(&mut self, session: SessionId, id: LinkId) {
        let Some(link) = self.links.remove(id) else {
            return;
        };
        match link {
            Link::CbsAnswers => self.cbs.retain(|_, answers| answers.link() != id),
            Link::ManagementAnswers => self.management.retain(|(_, answers)| answers.link() != id),
            Link::RegistrationAnswers => {
                if let Some(registration) = &mut self.registration {
                    registration
                        .answers
                        .retain(|_, answers| answers.link() != id);
                }
            }
            // A reader gives its place up when it is dropped, and calls under way tell their callers.
            link => {
                self.left(id, &link, DisconnectReason::ClientClosed);
                self.unpair(session, id, &link);
            }
        }
    }

    fn pair(&mut self, session: SessionId, owner: &Owner, kind: DeviceLink, id: LinkId) {
        self.pairs.insert((session, owner.client.clone(), kind), id);
    }

    fn unpair(&mut self, session: SessionId, id: LinkId, link: &Link) {
        let Some((kind, owner)) = link.of_client() else {
            return;
        };
        let pair = (session, owner.client, kind);
        if self.pairs.get(&pair) == Some(&id) {
            self.pairs.remove(&pair);
        }
    }

    /// A link is gone: its client has one less. `reason` counts unless the hub has detached the link.
    pub(super) fn left(&mut self, id: LinkId, link: &Link, reason: DisconnectReason) {
        let reason = self.ending.remove(&id).unwrap_or(reason);
        let (Some(hub), Some((kind, owner))) = (&self.hub, link.of_client()) else {
            return;
        };
        let Some(session) = self.clients.get(&owner.client) else {
            return;
        };
        hub.detach(&owner.client, session, reason, |session| {
            session.remove(kind, id)
        });
        if session.is_empty() {
            self.clients.remove(&owner.client);
        }
    }

    pub(super) fn on_session_ended(&mut self, connection: &Connection, session: SessionId) {
        self.cbs.remove(&session);
        self.management.retain(|(of, _)| *of != session);
        let gone: Vec<_> = self
            .links
            .iter()
            .map(|(id, _)| id)
            .filter(|id| connection.session_of(*id).is_none())
            .collect();
        for id in gone {
            self.on_detached(session, id);
        }
    }
}

/// Refuses a link because of what its owner may do.
fn deny(hub: &Hub, client: Option<&ClientId>, reason: Denied) -> Error {
    hub.emit(HubEvent::AccessDenied {
        client: client.cloned(),
        reason,
    });
    denied(reason)
}

/// A link over which messages are handed out.
fn locked_delivery(id: LinkId, attach: &Attach, queue: Queue) -> (Link, AcceptOptions) {
    let settled = attach.snd_settle_mode == SenderSettleMode::Settled;
    let locked = LockedDelivery::new(id, queue, settled);
    (
        Link::LockedDelivery(Box::new(locked)),
        AcceptOptions::default(),
    )
}

/// How a link for requests is accepted.
fn requests() -> AcceptOptions {
    AcceptOptions {
        max_message_bytes: Some(limits::REQUEST_BYTES),
        credit: Some(Credit::Auto(limits::REQUEST_CREDIT)),
        ..AcceptOptions::default()
    }
}

/// Event Hubs' own words, which its clients look for.
fn missing_entity(name: &str) -> Error {
    Error::new(
        condition::NOT_FOUND,
        format!("The messaging entity '{name}' could not be found."),
    )
}
