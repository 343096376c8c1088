//! The executor of the controller's actions. It decides nothing.

use std::collections::HashMap;
use std::sync::Arc;

use drawspan_bridge::controller::{Command, Open};
use drawspan_client::{
    ConnectionConfig, Credentials, HubConnection, Inbox, MethodAnswer, StatusMailbox,
    TwinOperation, TwinRequest, clock_skew,
};
use drawspan_fleet::{News, ServiceId};
use drawspan_gateway::ConnectionFeed;
use drawspan_hub::{ConnectionKey, Failure, HostName};
use drawspan_net::Mailbox;
use drawspan_net::{Clock, Connector, Transport};
use drawspan_webhooks::Webhooks;

use super::dead_letters::Letters;
use super::health::Health;
use super::log;
use super::platform::{Action, Input, Location};
use super::registrations::Registrations;
use super::routes::RouteTable;
use super::stores::Stores;

/// The connections, stores and channels with which actions are executed.
#[derive(Debug)]
pub(super) struct Executor {
    pub(super) credentials: Arc<Credentials>,
    pub(super) connector: Connector,
    pub(super) transport: Transport,
    pub(super) clock: Clock,
    pub(super) mailbox: Arc<StatusMailbox>,
    /// Of all connections.
    pub(super) inbox: Arc<Inbox>,
    /// The mailbox for results of tasks.
    pub(super) completions: Arc<Mailbox<Input>>,
    pub(super) routes: Arc<RouteTable>,
    pub(super) feed: Arc<ConnectionFeed>,
    pub(super) health: Arc<Health>,
    pub(super) registrations: Registrations,
    pub(super) stores: Stores,
    pub(super) letters: Letters,
    pub(super) webhooks: Webhooks,
    pub(super) connections: HashMap<(ServiceId, ConnectionKey), HubConnection>,
    pub(super) configs: HashMap<ServiceId, Arc<ConnectionConfig>>,
}

impl Executor {
    /// Does it. What comes back at once is returned.
    pub(super) fn execute(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::Answer(caller, answer) => caller.answer(answer),
            Action::Open(open) => return self.open(*open),
            Action::Close(place) => {
                let attempt = place.attempt;
                let connection = self.connection(place.hub, place.connection);
                let closes = connection.is_some_and(|it| it.close(attempt, place.session));
                return (!closes).then_some(Input::Busy(attempt, Command::Close));
            }
            Action::Want(place, wants) => {
                let connection = self.at(place);
                let takes =
                    connection.is_some_and(|it| it.want(place.attempt, place.session, wants));
                return (!takes).then_some(Input::Busy(place.attempt, Command::Want));
            }
            Action::Pull(place) => {
                // One that is too busy is asked with the next request.
                if let Some(connection) = self.at(place) {
                    connection.pull(place.attempt, place.session);
                }
            }
            Action::AnswerMethod {
                place,
                request,
                status,
                payload,
            } => {
                // If the connection is too busy, the hub's caller gets no answer.
                if let Some(connection) = self.at(place) {
                    connection.answer_method(MethodAnswer {
                        session: place.session,
                        request,
                        status,
                        payload,
                    });
                }
            }
            Action::Settle {
                place,
                delivery,
                outcome,
                letter,
                caller,
            } => {
                let connection = self.at(place).cloned();
                let settling = (place, delivery, outcome);
                let completions = &self.completions;
                self.letters
                    .settle(connection, settling, letter, caller, completions);
            }
            Action::ReadTwin { place, deadline } => self.read_twin(place, deadline),
            Action::Drop(hub, key) => {
                // The connection closes with its last handle.
                self.connections.remove(&(hub, key));
            }
            Action::Publish(device, route) => self.routes.insert(&device, route),
            Action::Withdraw(device) => self.routes.remove(&device),
            Action::Service(service, host) => self.health.add(service, &host),
            Action::ServiceNews(service, news, failure) => {
                self.news(service, news, failure.as_ref());
            }
            Action::Register(registration) => self.registrations.register(*registration),
            Action::Post(post) => self.webhooks.send(*post),
            Action::Bury(letter) => self.letters.keep(*letter),
            Action::Exhume(webhook_id) => self.letters.remove(&webhook_id),
            Action::Store {
                scope,
                kind,
                row,
                then,
            } => self.stores.store(scope, kind, row, then, &self.completions),
            Action::ReadRows(scope) => self.stores.read(scope, &self.completions),
            Action::StoreMark(device, mark) => self.stores.mark(device, mark),
            Action::StoreHub(change) => self.stores.hub(change),
            Action::Changed {
                device,
                assigned,
                change,
            } => self.feed.push(device, assigned, change),
            Action::LookAtClock(hub, host) => self.look_at_clock(hub, host),
            Action::Note(note) => log::write(&note),
        }
        None
    }

    pub(super) fn connection(&self, hub: ServiceId, key: ConnectionKey) -> Option<&HubConnection> {
        self.connections.get(&(hub, key))
    }

    fn at(&self, place: Location) -> Option<&HubConnection> {
        self.connection(place.hub, place.connection)
    }

    fn open(&mut self, open: Open) -> Option<Input> {
        let place = open.place;
        let config = Arc::clone(self.config(place.hub, &open.host));
        let connection = self
            .connections
            .entry((place.hub, place.connection))
            .or_insert_with(|| HubConnection::start(config, place.connection));
        let opens = connection.open(drawspan_client::Open {
            attempt: place.attempt,
            registration: open.registration,
            device: open.device,
            key: open.key,
            token_life_s: open.token_life_s,
            wants: open.wants,
        });
        (!opens).then_some(Input::Busy(place.attempt, Command::Open))
    }

    fn config(&mut self, hub: ServiceId, host: &HostName) -> &Arc<ConnectionConfig> {
        self.configs.entry(hub).or_insert_with(|| {
            Arc::new(ConnectionConfig {
                pool: hub.number(),
                host: host.clone(),
                credentials: Arc::clone(&self.credentials),
                connector: self.connector.clone(),
                transport: self.transport,
                clock: self.clock,
                mailbox: Arc::clone(&self.mailbox),
                inbox: Arc::clone(&self.inbox),
            })
        })
    }

    fn read_twin(&self, place: Location, deadline: std::time::Duration) {
        let attempt = place.attempt;
        let Some(connection) = self.at(place).cloned() else {
            return self.completions.post(Input::TwinRead(attempt, None));
        };
        let completions = Arc::clone(&self.completions);
        let request = TwinRequest {
            session: place.session,
            operation: TwinOperation::Get,
            deadline,
        };
        tokio::spawn(async move {
            let answer = connection.twin(request).await;
            let twin = answer.ok().map(|answer| answer.body);
            completions.post(Input::TwinRead(attempt, twin));
        });
    }

    /// Asks a hub for its time, for the controller.
    fn look_at_clock(&self, hub: ServiceId, host: HostName) {
        let (connector, completions) = (self.connector.clone(), Arc::clone(&self.completions));
        tokio::spawn(async move {
            let skew = clock_skew::skew(&connector, &host).await;
            let ahead_s = skew.map(clock_skew::Skew::ahead_s);
            completions.post(Input::ClockSeen(hub, ahead_s));
        });
    }

    fn news(&self, service: ServiceId, news: News, failure: Option<&Failure>) {
        self.health.news(service, news, failure);
        let Some(host) = self.health.host(service) else {
            return;
        };
        log::write_news(&host, news, failure);
        let refuses = matches!(news, News::RefusesCredentials | News::RefusesEveryone);
        if refuses && service != ServiceId::DPS {
            tokio::spawn(look_at_clock(self.connector.clone(), host));
        }
    }
}

/// Logs which fault it is: the clock, or else the key or its rights. (DPS writes the time into each of its answers, which show it
/// themselves.)
async fn look_at_clock(connector: Connector, host: HostName) {
    match clock_skew::skew(&connector, &host).await {
        Some(skew) if skew.matters() => {
            tracing::error!("this machine's clock is {skew} that of {host}: set it");
        }
        Some(_) => tracing::error!(
            "the clocks of this machine and {host} agree: look at the key and, if it is a policy's, at its right DeviceConnect"
        ),
        None => tracing::error!(
            "look at the key for {host} (and, if it is a policy's, at its right DeviceConnect), and at this machine's clock"
        ),
    }
}
