//! What is done with a connection's events: which hub, which links, which answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{
    AcceptOptions, Connection, Credit, DeliveryId, Event, LinkId, SessionId,
};
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::{
    Attach, DeliveryState, Error, SaslCode, SenderSettleMode, condition,
};
use drawspan_hub::address::Entity;
use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_net::Handler;

use super::access::Access;
use super::answers::Answers;
use super::error::{denied, refusal};
use super::events::{Pumped, Reader};
use super::links::{self, Link, Links, Wanted, event_path, not_found};
use super::presence::{Presences, Signals};
use super::telemetry::{self, Arrivals, TelemetryLink};
use super::{cbs, filter, management, redirect, sasl};
use crate::clock;
use crate::hub::Hub;
use crate::hub_set::{HubSet, Served};
use crate::limits;
use crate::log::{AuthKind, AuthScope, MessageSource, Origin};
use crate::model::access::Principal;
use crate::model::policy::Right;

/// Asks a connection's task to look at what may have changed.
#[derive(Debug)]
pub(super) struct Wake;

/// Everything that the emulator keeps about one AMQP connection.
pub(super) struct Head {
    hubs: HubSet,
    sni: Option<Arc<str>>,
    port: u16,
    presences: Arc<Presences>,
    signals: Arc<Signals>,
    hub: Option<Arc<Hub>>,
    access: Access,
    links: Links,
    /// By session and node: where a client takes answers.
    cbs: HashMap<SessionId, Answers>,
    management: Vec<(SessionId, Answers)>,
    arrivals: Arrivals,
    pump: bool,
    pump_at: Option<Duration>,
    sweep_at: Option<Duration>,
}

impl Head {
    pub(super) fn new(
        hubs: HubSet,
        sni: Option<Arc<str>>,
        port: u16,
        presences: Arc<Presences>,
        signals: Arc<Signals>,
    ) -> Self {
        Self {
            hubs,
            sni,
            port,
            presences,
            signals,
            hub: None,
            access: Access::default(),
            links: Links::default(),
            cbs: HashMap::new(),
            management: Vec::new(),
            arrivals: Arrivals::default(),
            pump: false,
            pump_at: None,
            sweep_at: None,
        }
    }

    /// The connection is over: its devices are not connected any more.
    pub(super) fn leave(&self) {
        let Some(hub) = &self.hub else { return };
        for (id, link) in self.links.iter() {
            if let Link::Telemetry(link) = link {
                self.presences.leave(hub, &link.device, &self.signals, id);
            }
        }
    }

    // === Who it is for ===

    fn on_sasl(
        &mut self,
        connection: &mut Connection,
        mechanism: &drawspan_amqp::Symbol,
        response: &[u8],
        now: Duration,
    ) {
        let code = if sasl::is_plain(mechanism) {
            self.plain(response)
        } else {
            SaslCode::Ok
        };
        connection.sasl_outcome(code, now);
    }

    fn plain(&mut self, response: &[u8]) -> SaslCode {
        let Served::Hub(hub) = self.hubs.select(None, self.sni.as_deref()) else {
            return SaslCode::SysPerm;
        };
        let Some((user, token)) =
            sasl::plain(response).filter(|(user, _)| sasl::is_for(user, hub.host()))
        else {
            return SaslCode::Auth;
        };
        match hub.authenticate(token) {
            Ok(grant) => self
                .access
                .put(grant)
                .map_or(SaslCode::SysPerm, |()| SaslCode::Ok),
            Err(reason) => {
                tracing::info!(hub = %hub.host(), %user, %reason, "a token was refused");
                SaslCode::Auth
            }
        }
    }

    fn on_opened(&mut self, connection: &mut Connection, hostname: Option<&str>, now: Duration) {
        match self.hubs.select(hostname, self.sni.as_deref()) {
            Served::Hub(hub) => self.hub = Some(hub),
            Served::Dps => {
                let text = "the emulator does not serve DPS over AMQP yet";
                connection.close(Some(Error::new(condition::NOT_IMPLEMENTED, text)), now);
            }
            Served::Nothing => {
                let text = format!("there is no hub {} here", hostname.unwrap_or_default());
                let error = refusal(condition::NOT_FOUND, ErrorCode::HUB_NOT_FOUND, &text);
                connection.close(Some(error), now);
            }
        }
    }

    // === Links ===

    fn on_attach(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        id: LinkId,
        attach: &Attach,
        now: Duration,
    ) {
        let Some(hub) = self.hub.clone() else { return };
        let done = links::wanted(attach).and_then(|wanted| match wanted {
            Wanted::CbsRequests => Ok((Link::CbsRequests, requests())),
            Wanted::CbsAnswers => {
                self.cbs.insert(session, Answers::new(id, None));
                Ok((Link::CbsAnswers, AcceptOptions::default()))
            }
            Wanted::ManagementRequests => {
                self.check_events(
                    &hub,
                    &Entity::Named(hub.entity().to_owned()),
                    "/$management",
                )?;
                Ok((Link::ManagementRequests, requests()))
            }
            Wanted::ManagementAnswers => {
                self.check_events(
                    &hub,
                    &Entity::Named(hub.entity().to_owned()),
                    "/$management",
                )?;
                let reply_to = attach
                    .target
                    .as_ref()
                    .and_then(|target| target.address.clone());
                self.management.push((session, Answers::new(id, reply_to)));
                Ok((Link::ManagementAnswers, AcceptOptions::default()))
            }
            Wanted::Telemetry(device) => self.telemetry(&hub, id, device),
            Wanted::Events {
                entity,
                group,
                partition,
            } => self.events(&hub, id, attach, &entity, &group, partition),
            Wanted::Redirect => {
                self.check_events(&hub, &Entity::BuiltIn, "/$management")?;
                Err(redirect::to_event_endpoint(&hub, self.port))
            }
        });
        // An error of the engine means that the link is gone already, of which an event tells.
        let _ = match done {
            Ok((link, options)) => {
                self.links.insert(id, link);
                connection.accept(id, options)
            }
            Err(error) => {
                tracing::info!(hub = %hub.host(), condition = error.condition.as_str(), "a link was refused");
                connection.refuse(id, error)
            }
        };
        self.sweep_at
            .get_or_insert(now + Duration::from_millis(limits::TOKEN_SWEEP_MS));
    }

    fn telemetry(
        &mut self,
        hub: &Arc<Hub>,
        id: LinkId,
        device: DeviceId,
    ) -> Result<(Link, AcceptOptions), Error> {
        let path = format!("/devices/{device}/messages/events");
        let grant = self.access.check(
            Right::DeviceConnect,
            hub.host(),
            &path,
            Some(&device),
            unix_s(),
        );
        let grant = grant.map_err(denied)?;
        let registered = hub.enabled_device(&device).map_err(denied)?;
        let scope = match grant.principal {
            Principal::Policy(_) => AuthScope::Hub,
            Principal::Device(_) => AuthScope::Device,
        };
        let origin = Origin {
            scope,
            kind: AuthKind::Sas,
            generation_id: registered.generation_id.clone(),
            source: MessageSource::Telemetry,
        };
        self.presences.enter(hub, &device, &self.signals, id);
        Ok((
            Link::Telemetry(Box::new(TelemetryLink { device, origin })),
            telemetry::accept_options(),
        ))
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
        self.check_events(
            hub,
            entity,
            &format!("/ConsumerGroups/{group}/Partitions/{partition}"),
        )?;
        if let Entity::Named(name) = entity
            && !name.eq_ignore_ascii_case(hub.entity())
        {
            return Err(missing_entity(name));
        }
        if hub.consumer_group(group).is_none() {
            return Err(missing_entity(&format!("{}:{group}", hub.entity())));
        }
        let source = attach.source.as_deref().cloned().unwrap_or_default();
        let position =
            filter::position(&source).map_err(|text| Error::new(condition::INVALID_FIELD, text))?;
        let settled = attach.snd_settle_mode != SenderSettleMode::Unsettled;
        let number = u16::try_from(partition).unwrap_or(u16::MAX);
        match Reader::new(hub, number, position, id, settled, &self.signals) {
            Ok(Some(reader)) => Ok((Link::Events(Box::new(reader)), AcceptOptions::default())),
            Ok(None) => Err(not_found(&format!("there is no partition {partition}"))),
            Err(error) => Err(Error::new(
                condition::RESOURCE_LIMIT_EXCEEDED,
                error.to_string(),
            )),
        }
    }

    fn check_events(&self, hub: &Hub, entity: &Entity, rest: &str) -> Result<(), Error> {
        let path = event_path(entity, rest);
        self.access
            .check(Right::ServiceConnect, hub.host(), &path, None, unix_s())
            .map(|_| ())
            .map_err(denied)
    }

    fn on_detached(&mut self, id: LinkId) {
        match self.links.remove(id) {
            Some(Link::Telemetry(link)) => {
                if let Some(hub) = &self.hub {
                    self.presences.leave(hub, &link.device, &self.signals, id);
                }
            }
            Some(Link::CbsAnswers) => self.cbs.retain(|_, answers| answers.link() != id),
            Some(Link::ManagementAnswers) => {
                self.management.retain(|(_, answers)| answers.link() != id)
            }
            _ => {}
        }
    }

    fn on_session_ended(&mut self, connection: &Connection, session: SessionId) {
        self.cbs.remove(&session);
        self.management.retain(|(of, _)| *of != session);
        let gone: Vec<_> = self
            .links
            .iter()
            .map(|(id, _)| id)
            .filter(|id| connection.session_of(*id).is_none())
            .collect();
        for id in gone {
            self.on_detached(id);
        }
    }

    // === Messages ===

    fn on_delivery(&mut self, connection: &mut Connection, arrived: &Arrived) {
        let Some(hub) = self.hub.clone() else { return };
        let at = (!arrived.settled).then_some((arrived.link, arrived.delivery));
        match self.links.get_mut(arrived.link) {
            Some(Link::Telemetry(link)) => {
                let taken = self
                    .arrivals
                    .take(link, at, arrived.message_format, &arrived.payload);
                if let (Err(error), Some((link, delivery))) = (taken, at) {
                    let _ = connection.settle(link, delivery, DeliveryState::Rejected(Some(error)));
                }
            }
            Some(Link::CbsRequests) => {
                // Settled before it is answered: the C client takes it for lost otherwise.
                accept(connection, at);
                let Ok(request) = Message::decode(&arrived.payload) else {
                    return;
                };
                let answer = cbs::answer(&request, &hub, &mut self.access);
                let Some(session) = connection.session_of(arrived.link) else {
                    return;
                };
                if let Some(answers) = self.cbs.get_mut(&session) {
                    answers.send(connection, answer);
                }
            }
            Some(Link::ManagementRequests) => {
                accept(connection, at);
                let Ok(request) = Message::decode(&arrived.payload) else {
                    return;
                };
                let answer = management::answer(&request, &hub);
                let session = connection.session_of(arrived.link);
                if let Some(answers) = self.management_answers(session, &request) {
                    answers.send(connection, answer);
                }
            }
            _ => {}
        }
    }

    /// Where the client wants the answer: at its `reply-to`, or on the link of the same session.
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

    fn on_too_large(
        &mut self,
        connection: &mut Connection,
        link: LinkId,
        delivery: DeliveryId,
        settled: bool,
    ) {
        if !settled {
            let _ = connection.settle(link, delivery, telemetry::too_large());
        }
    }

    fn on_credit(&mut self, connection: &mut Connection, id: LinkId, drain: bool) {
        match self.links.get_mut(id) {
            Some(Link::Events(reader)) => {
                if drain {
                    reader.drain();
                }
                self.pump = true;
                return;
            }
            Some(Link::CbsAnswers) => {
                for answers in self.cbs.values_mut().filter(|answers| answers.link() == id) {
                    answers.flush(connection);
                }
            }
            Some(Link::ManagementAnswers) => {
                for (_, answers) in self
                    .management
                    .iter_mut()
                    .filter(|(_, answers)| answers.link() == id)
                {
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
    fn pump(&mut self, connection: &mut Connection, now: Duration) {
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
            let _ = connection.detach(
                id,
                true,
                Some(Error::new(condition::INTERNAL_ERROR, error.to_string())),
            );
        }
    }

    // === Others, and time ===

    fn look(&mut self, connection: &mut Connection, now: Duration) {
        if self.signals.is_stopping() {
            let error = Error::new(condition::CONNECTION_FORCED, "the emulator is stopping");
            connection.close(Some(error), now);
            return;
        }
        for link in self.signals.take_stolen() {
            let error = refusal(
                condition::LINK_STOLEN,
                ErrorCode::LINK_CREATION_CONFLICT,
                "another connection took the device over",
            );
            let _ = connection.detach(link, true, Some(error));
        }
        self.pump = true;
    }

    fn sweep_tokens(&mut self, connection: &mut Connection, now: Duration) {
        self.sweep_at = self
            .access
            .next_expiry_unix_s()
            .map(|_| now + Duration::from_millis(limits::TOKEN_SWEEP_MS));
        let had_tokens = self.sweep_at.is_some();
        let (expired, left) = self.access.expire(unix_s());
        if had_tokens && !left {
            // Node's client wedges when links are detached and the connection is closed at once: close only.
            let error = refusal(
                condition::UNAUTHORIZED_ACCESS,
                ErrorCode::UNAUTHORIZED,
                "the token has expired",
            );
            connection.close(Some(error), now);
            return;
        }
        let gone: Vec<_> = self
            .links
            .iter()
            .filter(
                |(_, link)| matches!(link, Link::Telemetry(link) if expired.contains(&link.device)),
            )
            .map(|(id, _)| id)
            .collect();
        for id in gone {
            let error = refusal(
                condition::UNAUTHORIZED_ACCESS,
                ErrorCode::UNAUTHORIZED,
                "the token has expired",
            );
            let _ = connection.detach(id, true, Some(error));
        }
    }
}

struct Arrived {
    link: LinkId,
    delivery: DeliveryId,
    message_format: u32,
    settled: bool,
    payload: Bytes,
}

impl Handler for Head {
    type Command = Wake;

    fn on_event(&mut self, connection: &mut Connection, event: Event, now: Duration) {
        match event {
            Event::SaslInit {
                mechanism,
                initial_response,
            } => {
                self.on_sasl(
                    connection,
                    &mechanism,
                    initial_response.as_deref().unwrap_or_default(),
                    now,
                );
            }
            Event::Opened(open) => self.on_opened(connection, open.hostname.as_deref(), now),
            Event::AttachRequested {
                session,
                link,
                attach,
            } => {
                self.on_attach(connection, session, link, &attach, now);
            }
            Event::Detached { link, .. } => self.on_detached(link),
            Event::SessionEnded { session, .. } => self.on_session_ended(connection, session),
            Event::Delivery {
                link,
                delivery,
                message_format,
                settled,
                payload,
                ..
            } => {
                self.on_delivery(
                    connection,
                    &Arrived {
                        link,
                        delivery,
                        message_format,
                        settled,
                        payload,
                    },
                );
            }
            Event::DeliveryTooLarge {
                link,
                delivery,
                settled,
            } => {
                self.on_too_large(connection, link, delivery, settled);
            }
            Event::Credit { link, drain, .. } => self.on_credit(connection, link, drain),
            Event::SessionBegan { .. }
            | Event::Attached { .. }
            | Event::Outcome { .. }
            | Event::SettledBySender { .. }
            | Event::Closed(_) => {}
        }
    }

    fn on_command(&mut self, connection: &mut Connection, Wake: Wake, now: Duration) {
        self.look(connection, now);
    }

    fn on_batch_end(&mut self, connection: &mut Connection, now: Duration) {
        if let Some(hub) = &self.hub {
            self.arrivals.store(connection, hub);
        }
        if self.pump {
            self.pump(connection, now);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        [self.pump_at, self.sweep_at].into_iter().flatten().min()
    }

    fn on_deadline(&mut self, connection: &mut Connection, now: Duration) {
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep_tokens(connection, now);
        }
        if self.pump_at.is_some_and(|at| at <= now) {
            self.pump = true;
        }
    }
}

fn accept(connection: &mut Connection, at: Option<(LinkId, DeliveryId)>) {
    if let Some((link, delivery)) = at {
        let _ = connection.settle(link, delivery, DeliveryState::Accepted);
    }
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

fn unix_s() -> u64 {
    clock::unix_ms() / 1000
}
