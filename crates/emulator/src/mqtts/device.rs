//! What a device or module of a hub has on its connection.

mod arrivals;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drawspan_emulator_hub::connections::{Connection, LinkLine, Report, TokenLine};
use drawspan_emulator_hub::faults::Faults;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::twin_refusal::TwinRefusal;
use drawspan_emulator_hub::waiting::Waiting;
use drawspan_hub::{DeviceId, ErrorCode, ModuleId};
use drawspan_hub_model::access::{Denied, Grant};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::DisconnectReason;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::x509::Presented;
use drawspan_mqtt::server::{Connect, Will};
use drawspan_mqtt::topic::Sender;
use drawspan_mqtt::user_name::HubUser;
use drawspan_mqtt::{HubTopic, Qos, Server, ServerError, Subscriptions, subscriptions};
use drawspan_segment_log::{AuthScope, NewRecord};
use tokio::sync::mpsc;

use super::c2d::Messages;
use super::device_session::{MqttSession, Push, Wake};
use super::methods::Methods;
use super::throttling::{Held, is_in_tier};
use super::twin;
use crate::limits;

/// A device or module that is connected.
pub(super) struct Device {
    pub(super) hub: Arc<Hub>,
    pub(super) id: ClientId,
    generation_id: Arc<str>,
    scope: AuthScope,
    grant: Grant,
    pub(super) session: Arc<MqttSession>,
    subscriptions: Subscriptions,
    /// Whether its subscriptions outlive the connection.
    keeps: bool,
    messages: Messages,
    methods: Methods,
    pub(super) will: Option<Will>,
    pub(super) model_id: Option<String>,
    /// What it sent, until it is stored together.
    pub(super) arrived: Vec<NewRecord>,
    /// To be acknowledged then.
    pub(super) owed: Vec<u16>,
    /// What waits because of the hub's rates.
    pub(super) waiting: Waiting<Held>,
    /// When the last of its messages that waits is due.
    pub(super) owed_at: Duration,
    /// What is stored later, because a fault is asked for, by when that is.
    slowed: BTreeMap<(Duration, u64), (NewRecord, Option<u16>)>,
    slowed_last: u64,
    faults: Arc<Faults>,
    connection: Arc<Connection>,
}

/// Why the hub closes a device's connection.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: DisconnectReason,
    pub(super) code: ErrorCode,
    pub(super) text: String,
}

impl Device {
    /// A client that may connect, or why it may not. Nothing has happened at the hub yet.
    pub(super) fn new(
        hub: Arc<Hub>,
        user: &HubUser<'_>,
        connect: &Connect,
        certificate: Option<&Arc<Presented>>,
        wake: mpsc::Sender<Wake>,
        (faults, connection): (&Arc<Faults>, &Arc<Connection>),
    ) -> Result<Self, Denied> {
        let id = ClientId {
            device: DeviceId::parse(user.device).map_err(|_| Denied::UnknownDevice)?,
            module: match user.module {
                Some(id) => Some(ModuleId::parse(id).map_err(|_| Denied::UnknownModule)?),
                None => None,
            },
        };
        let password = connect.password.as_deref().filter(|it| !it.is_empty());
        let grant = match (password, certificate) {
            (Some(token), _) => {
                let token = std::str::from_utf8(token).map_err(|_| Denied::Malformed)?;
                hub.authenticate(token)?
            }
            (None, Some(certificate)) => hub.authenticate_certificate(certificate, &id)?,
            (None, None) => return Err(Denied::NoToken),
        };
        let (scope, generation_id) = check(&hub, &id, &grant)?;
        Ok(Self {
            session: Arc::new(MqttSession::new(
                connection.protocol,
                connection.number,
                wake,
            )),
            hub,
            id,
            generation_id,
            scope,
            grant,
            subscriptions: Subscriptions::default(),
            keeps: !connect.clean_session,
            messages: Messages::default(),
            methods: Methods::default(),
            will: connect.will.clone(),
            model_id: user.model_id.clone(),
            arrived: Vec::new(),
            owed: Vec::new(),
            waiting: Waiting::default(),
            owed_at: Duration::ZERO,
            slowed: BTreeMap::new(),
            slowed_last: 0,
            faults: Arc::clone(faults),
            connection: Arc::clone(connection),
        })
    }

    /// Takes the device over. Says whether subscriptions of an earlier session go on.
    pub(super) fn attach(&mut self) -> bool {
        let before = self.hub.kept_subscriptions(&self.id);
        let before = before.filter(|_| self.keeps);
        self.subscriptions = before.unwrap_or_default();
        self.session
            .set_takes_calls(self.subscriptions.has(HubTopic::Methods));
        self.keep();
        if let Some(model) = &self.model_id {
            self.hub.set_model(&self.id, model);
        }
        self.hub.attach(&self.id, &self.session, |_| {});
        before.is_some()
    }

    /// Has its subscriptions kept for its next session, or nothing, if the session ends with the connection.
    fn keep(&self) {
        let kept = self.keeps.then_some(self.subscriptions);
        self.hub
            .keep_subscriptions(&self.id, &self.generation_id, kept);
    }

    /// Its connection is over.
    pub(super) fn leave(mut self, reason: DisconnectReason) {
        if let Some(will) = self.will.take() {
            self.publish_will(will);
        }
        self.hub.detach(&self.id, &self.session, reason, |_| true);
    }

    /// Subscribes to filters. Returns what is granted, filter by filter.
    pub(super) fn subscribe(&mut self, filters: &[(String, Qos)]) -> Vec<Option<Qos>> {
        let subscribe = |(filter, wanted): &(String, Qos)| {
            let topic = self.topic_of(filter)?;
            if !is_in_tier(&self.hub, topic) {
                return None;
            }
            let granted = subscriptions::granted(*wanted);
            self.subscriptions.set(topic, Some(granted));
            Some(granted)
        };
        let granted = filters.iter().map(subscribe).collect();
        self.subscribed();
        granted
    }

    /// Ends subscriptions.
    pub(super) fn unsubscribe(&mut self, filters: &[String]) {
        for filter in filters {
            if let Some(topic) = self.topic_of(filter) {
                self.subscriptions.set(topic, None);
            }
        }
        self.subscribed();
    }

    fn topic_of(&self, filter: &str) -> Option<HubTopic> {
        let ClientId { device, module } = &self.id;
        subscriptions::topic_of(
            filter,
            device.as_str(),
            module.as_ref().map(ModuleId::as_str),
        )
    }

    /// Whether a topic names this client.
    pub(super) fn is(&self, sender: &Sender<'_>) -> bool {
        let ClientId { device, module } = &self.id;
        sender.is(device.as_str(), module.as_ref().map(ModuleId::as_str))
    }

    fn subscribed(&self) {
        let calls = self.subscriptions.has(HubTopic::Methods);
        self.session.set_takes_calls(calls);
        self.keep();
        if calls {
            self.hub.takes_calls();
        }
    }

    /// The client has a message.
    pub(super) fn acknowledged(&mut self, server: &mut Server, packet_id: u16, now: Duration) {
        self.messages
            .acknowledged(&self.hub, &self.id.device, packet_id);
        self.hand_out(server, now);
    }

    // What the client gets.

    /// Hands out the messages that wait.
    pub(super) fn hand_out(&mut self, server: &mut Server, now: Duration) {
        if let Some(qos) = self.subscriptions.get(HubTopic::Messages) {
            self.messages
                .hand_out(server, &self.hub, &self.id.device, qos);
        }
        if self.messages.has_unheard() {
            let pause = Duration::from_millis(limits::READ_PAUSE_MS);
            self.messages.retry_at.get_or_insert(now + pause);
        }
    }

    /// Sends what others have for the device.
    pub(super) fn look(
        &mut self,
        server: &mut Server,
        now: Duration,
    ) -> Result<Vec<TwinRefusal>, Fault> {
        if self.hub.is_failing_over() {
            return Err(Fault {
                reason: DisconnectReason::FailingOver,
                code: ErrorCode::HUB_FAILING_OVER,
                text: "the hub is failing over to another region".to_owned(),
            });
        }
        self.release();
        let news = self.session.take_news();
        if news.replaced {
            return Err(Fault {
                reason: DisconnectReason::Replaced,
                code: ErrorCode::CONNECTION_FORCEFULLY_CLOSED_ON_NEW_CONNECTION,
                text: "another connection took the device over".to_owned(),
            });
        }
        if news.overrun {
            return Err(fault("the client does not take what it asked for"));
        }
        if news.identity_changed {
            self.check()?;
        }
        let mut refused = Vec::new();
        for push in news.pushes {
            self.push(server, push, &mut refused).map_err(broken)?;
        }
        if news.message_waits {
            self.hand_out(server, now);
        }
        if server.output_bytes() > limits::MQTT_OUTPUT_BYTES_MAX {
            return Err(fault("the client does not take what it asked for"));
        }
        Ok(refused)
    }

    fn push(
        &mut self,
        server: &mut Server,
        push: Push,
        refused: &mut Vec<TwinRefusal>,
    ) -> Result<(), ServerError> {
        match push {
            Push::Call(call) => self.methods.call(server, call, self.hub.limits()),
            Push::Desired(patch) if self.subscriptions.has(HubTopic::Desired) => {
                let version = twin::version_of(&patch).unwrap_or_default();
                self.hub.charge([patch.len()]);
                let topic = format!("$iothub/twin/PATCH/properties/desired/?$version={version}");
                server.publish(&topic, &patch)?;
            }
            Push::Twin(answer) => {
                refused.extend(answer.refused().cloned());
                if self.subscriptions.has(HubTopic::TwinAnswers) {
                    answer.send(server)?;
                }
            }
            Push::Desired(_) => {}
        }
        Ok(())
    }

    // Time.

    /// When something is due.
    pub(super) fn due(&self) -> Option<Duration> {
        let slowed = self.slowed.first_key_value().map(|((due, _), _)| *due);
        [self.messages.retry_at, slowed].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn on_time(&mut self, server: &mut Server, now: Duration) -> Result<(), Fault> {
        if self.messages.retry_at.is_some_and(|at| at <= now) {
            self.messages.retry(&self.hub, &self.id.device);
            self.hand_out(server, now);
        }
        while let Some(first) = self.slowed.first_entry()
            && first.key().0 <= now
        {
            let (record, packet_id) = first.remove();
            self.arrived.push(record);
            self.owed.extend(packet_id);
        }
        self.store(server)
    }

    /// Its subscriptions and what it proved itself by.
    pub(super) fn report(&self) -> Report {
        let topics = [
            HubTopic::Messages,
            HubTopic::Methods,
            HubTopic::TwinAnswers,
            HubTopic::Desired,
        ];
        let line = |topic: HubTopic| {
            let qos = self.subscriptions.get(topic)?;
            Some(LinkLine {
                client: Some(self.id.clone()),
                kind: format!("{topic:?} ({qos:?})"),
                credit: None,
            })
        };
        Report {
            links: topics.into_iter().filter_map(line).collect(),
            tokens: vec![TokenLine::of(Some(self.id.clone()), &self.grant)],
        }
    }

    /// Until when its token holds the connection, in the hub's time.
    pub(super) const fn holds_until(&self) -> Duration {
        self.grant.holds_until()
    }

    /// Whether the client may still be connected.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let allowed = match self.grant.is_current(self.hub.clock().elapsed()) {
            true => check(&self.hub, &self.id, &self.grant),
            false => Err(Denied::Expired),
        };
        let denied = match allowed {
            // Deleted, and created anew under the same name.
            Ok((_, generation)) if generation != self.generation_id => match self.id.module {
                None => Denied::UnknownDevice,
                Some(_) => Denied::UnknownModule,
            },
            Ok(_) => return Ok(()),
            Err(denied) => denied,
        };
        if denied == Denied::Expired {
            self.hub.token_expired(&self.id, &self.session);
        }
        Err(Fault {
            reason: match denied {
                Denied::Expired => DisconnectReason::TokenExpired,
                Denied::DeviceDisabled => DisconnectReason::DeviceDisabled,
                Denied::UnknownDevice => DisconnectReason::DeviceDeleted,
                Denied::UnknownModule => DisconnectReason::ModuleDeleted,
                _ => DisconnectReason::AccessRevoked,
            },
            code: match denied {
                Denied::Expired => ErrorCode::UNAUTHORIZED,
                _ => ErrorCode::UNAUTHORIZED_ACCESS,
            },
            text: denied.to_string(),
        })
    }
}

/// Whether a client may be connected with this grant. Says by whose credentials, and which of the clients of that name it is.
fn check(hub: &Hub, id: &ClientId, grant: &Grant) -> Result<(AuthScope, Arc<str>), Denied> {
    let path = id.path();
    let longer = format!("{path}/api-version=");
    // Old clients sign for a resource that goes on with their version.
    let path = match grant.resource().find(&longer) {
        Some(at) => grant.resource().get(at..).unwrap_or(&path),
        None => &path,
    };
    grant.allows(Right::DeviceConnect, hub.host(), path)?;
    hub.admit(grant, id)
}

/// The client did what a hub ends a connection for.
pub(super) fn fault(text: &str) -> Fault {
    Fault {
        reason: DisconnectReason::ClientFault,
        code: ErrorCode::ARGUMENT_INVALID,
        text: text.to_owned(),
    }
}

/// What is to be sent cannot be.
pub(super) fn broken(error: ServerError) -> Fault {
    fault(&error.to_string())
}
