//! The task behind a device client: connects, passes events on, and reconnects.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use drawspan_hub::{AttemptId, ConnectionKey, Failure, FailureKind, Wants, WhichKey};
use drawspan_net::Clock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use super::backoff::backoff;
use super::{DeviceEvent, DeviceOptions, Route, State};
use crate::connection::{ConnectionConfig, HubConnection, Open};
use crate::credentials::{Credentials, KeyPair, Keys, ListedDevice};
use crate::inbox::Inbox;
use crate::limits;
use crate::session::DeviceSession;
use crate::status::{Status, StatusMailbox};

/// How a connection is started.
pub(super) type Start =
    Box<dyn Fn(Arc<ConnectionConfig>, ConnectionKey) -> HubConnection + std::marker::Send>;

type Closes = mpsc::Receiver<oneshot::Sender<()>>;

pub(super) struct Supervisor {
    options: DeviceOptions,
    credentials: Arc<Credentials>,
    start: Start,
    clock: Clock,
    state: watch::Sender<State>,
    wants: watch::Receiver<Wants>,
    events: mpsc::Sender<DeviceEvent>,
    /// Events that wait until they are taken.
    waiting: VecDeque<DeviceEvent>,
    attempt: u32,
}

/// A connection that was started, and where it tells.
struct Started {
    connection: HubConnection,
    attempt: AttemptId,
    mailbox: Arc<StatusMailbox>,
    inbox: Arc<Inbox>,
}

/// How a connection ended.
enum ConnectionEnd {
    Lost(Failure),
    /// On request; the sender gets a confirmation.
    Closed(Option<oneshot::Sender<()>>),
}

impl Supervisor {
    pub(super) fn new(
        options: DeviceOptions,
        start: Start,
        clock: Clock,
        state: watch::Sender<State>,
        wants: watch::Receiver<Wants>,
        events: mpsc::Sender<DeviceEvent>,
    ) -> Self {
        let string = &options.connection_string;
        let listed = ListedDevice {
            hub: string.host.clone(),
            keys: KeyPair::single(string.key.clone()),
        };
        let keys = Keys::Explicit([(string.device_id.clone(), listed)].into());
        Self {
            credentials: Arc::new(Credentials::new(keys)),
            options,
            start,
            clock,
            state,
            wants,
            events,
            waiting: VecDeque::new(),
            attempt: 0,
        }
    }

    /// Runs until the device is closed, or permanently lost. `first` gets the result of the first attempt.
    pub(super) async fn run(
        mut self,
        mut closes: Closes,
        first: oneshot::Sender<Result<(), Failure>>,
    ) {
        let mut first = Some(first);
        let mut failures = 0;
        let chance = RandomState::new();
        let end = loop {
            let started = Instant::now();
            let end = self.once(&mut closes, &mut first).await;
            self.state.send_replace(State::Down);
            let failure = match end {
                ConnectionEnd::Closed(_) => break end,
                ConnectionEnd::Lost(failure) => failure,
            };
            if let Some(first) = first.take() {
                let _ = first.send(Err(failure));
                return;
            }
            self.tell_connection(DeviceEvent::Disconnected(failure));
            if !self.options.reconnect {
                break ConnectionEnd::Closed(None);
            }
            if started.elapsed() >= Duration::from_millis(limits::RECONNECT_MAX_MS) {
                failures = 0;
            }
            failures += 1;
            let wait = backoff(failures, chance.hash_one(self.attempt));
            if let Some(end) = self.pause(wait, &mut closes).await {
                break end;
            }
        };
        self.state.send_replace(State::Over);
        if let ConnectionEnd::Closed(Some(done)) = end {
            let _ = done.send(());
        }
        // Remaining listeners get the reason, and then the end.
        deliver(&self.events, &mut self.waiting).await;
    }

    /// One connection, from its start to its end.
    async fn once(
        &mut self,
        closes: &mut Closes,
        first: &mut Option<oneshot::Sender<Result<(), Failure>>>,
    ) -> ConnectionEnd {
        let started = self.begin();
        let session = loop {
            tokio::select! {
                news = started.mailbox.take() => match progress(news) {
                    Some(Ok(session)) => break session,
                    Some(Err(failure)) => return ConnectionEnd::Lost(failure),
                    None => {}
                },
                done = closes.recv() => return ConnectionEnd::Closed(done),
                () = deliver(&self.events, &mut self.waiting), if !self.waiting.is_empty() => {}
            }
        };
        let route = Route {
            connection: started.connection.clone(),
            session,
            attempt: started.attempt.serial,
        };
        self.state.send_replace(State::Up(route.clone()));
        match first.take() {
            Some(first) => {
                let _ = first.send(Ok(()));
            }
            None => self.tell_connection(DeviceEvent::Connected),
        }
        self.serve(&started, &route, closes).await
    }

    fn begin(&mut self) -> Started {
        self.attempt += 1;
        let (mailbox, inbox) = (
            Arc::new(StatusMailbox::default()),
            Arc::new(Inbox::default()),
        );
        let string = &self.options.connection_string;
        let config = ConnectionConfig {
            pool: 0,
            host: string.host.clone(),
            credentials: Arc::clone(&self.credentials),
            connector: self.options.connector.clone(),
            transport: self.options.transport,
            clock: self.clock,
            mailbox: Arc::clone(&mailbox),
            inbox: Arc::clone(&inbox),
        };
        let attempt = AttemptId {
            device: 0,
            serial: self.attempt,
        };
        let connection = (self.start)(Arc::new(config), ConnectionKey(self.attempt));
        // A connection that is over already says so on the mailbox.
        connection.open(Open {
            attempt,
            device: string.device_id.clone(),
            registration: None,
            key: WhichKey::Primary,
            token_life_s: u32::try_from(limits::TOKEN_LIFE_S).unwrap_or(u32::MAX),
            wants: *self.wants.borrow_and_update(),
        });
        Started {
            connection,
            attempt,
            mailbox,
            inbox,
        }
    }

    /// Passes events on until the connection ends. Events that are not taken stay in the inbox, which makes the hub wait.
    async fn serve(
        &mut self,
        started: &Started,
        route: &Route,
        closes: &mut Closes,
    ) -> ConnectionEnd {
        let mut wanted = true;
        loop {
            tokio::select! {
                news = started.mailbox.take() => {
                    if let Some(Err(failure)) = progress(news) {
                        return ConnectionEnd::Lost(failure);
                    }
                }
                done = closes.recv() => {
                    close(started, route.session).await;
                    return ConnectionEnd::Closed(done);
                }
                changed = self.wants.changed(), if wanted => {
                    wanted = changed.is_ok();
                    let wants = *self.wants.borrow_and_update();
                    if !started.connection.want(started.attempt, route.session, wants) {
                        // Its task has several changes to take up first; or it is over, and says so on the mailbox.
                        self.wants.mark_changed();
                        tokio::task::yield_now().await;
                    }
                }
                incoming = started.inbox.take(), if self.waiting.is_empty() && !self.events.is_closed() => {
                    let incoming = incoming.into_iter();
                    self.waiting.extend(incoming.map(|one| DeviceEvent::of(one, route)));
                }
                () = deliver(&self.events, &mut self.waiting), if !self.waiting.is_empty() => {}
            }
        }
    }

    /// Waits, but not for somebody who wants to close.
    async fn pause(&mut self, time: Duration, closes: &mut Closes) -> Option<ConnectionEnd> {
        let until = Instant::now() + time;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return None,
                done = closes.recv() => return Some(ConnectionEnd::Closed(done)),
                () = deliver(&self.events, &mut self.waiting), if !self.waiting.is_empty() => {}
            }
        }
    }

    /// Only the last word on the connection is worth telling.
    fn tell_connection(&mut self, event: DeviceEvent) {
        self.waiting.retain(|event| !event.is_of_connection());
        self.waiting.push_back(event);
    }
}

/// Passes on what waits, as it is taken.
async fn deliver(events: &mpsc::Sender<DeviceEvent>, waiting: &mut VecDeque<DeviceEvent>) {
    while !waiting.is_empty() {
        let Ok(permit) = events.reserve().await else {
            // No listener is left.
            return waiting.clear();
        };
        if let Some(event) = waiting.pop_front() {
            permit.send(event);
        }
    }
}

async fn close(started: &Started, session: DeviceSession) {
    if !started.connection.close(started.attempt, Some(session)) {
        return;
    }
    let closed = async {
        loop {
            let news = started.mailbox.take().await;
            let over =
                |status: &Status| matches!(status, Status::Closed(_) | Status::ConnectionEnded(..));
            if news.iter().any(over) {
                return;
            }
        }
    };
    // A hub that does not answer is left alone.
    let _ = timeout(Duration::from_millis(limits::CLOSE_TIMEOUT_MS), closed).await;
}

/// What status reports say about the one device: that it is open, or no longer open.
fn progress(news: Vec<Status>) -> Option<Result<DeviceSession, Failure>> {
    let mut progress = None;
    for status in news {
        match status {
            Status::Opened(_, session) => progress = Some(Ok(session)),
            Status::TokenRefused(_, failure)
            | Status::OpenFailed(_, failure)
            | Status::Lost(_, failure)
            // A stand-alone device has what its program asks for, or retries.
            | Status::LinkRefused(_, _, failure)
            | Status::ConnectionEnded(.., failure) => return Some(Err(failure)),
            Status::Closed(_) => {
                let text = "the device is closed";
                return Some(Err(Failure::local(FailureKind::ConnectionLost, text)));
            }
            Status::ConnectionReady(..) | Status::Linked(..) => {}
        }
    }
    progress
}
