//! One device on its own connection, for programs that are a single device.
//!
//! A [`DeviceClient`] sends, reads its twin and reports properties; [`DeviceEvents`] is what it receives. Both share one task that
//! keeps the connection and reconnects if requested.

mod backoff;
mod events;
mod supervisor;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_hub::{DeviceConnectionString, Failure, FailureKind, Telemetry, Wants};
use drawspan_net::{Clock, Connector, Transport};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::connection::{HubConnection, Send, SendFailure, TwinAnswer, TwinOperation, TwinRequest};
use crate::session::DeviceSession;
use crate::{limits, message};
use supervisor::Supervisor;

pub use events::{DeviceEvent, DeviceEvents, MethodCall, ReceivedMessage};

/// The identity of a device, and how it connects.
#[derive(Debug, Clone)]
pub struct DeviceOptions {
    /// Hub, device and key.
    pub connection_string: DeviceConnectionString,
    /// How to get there.
    pub connector: Connector,
    /// How AMQP is carried.
    pub transport: Transport,
    /// The links it has from the start.
    pub wants: Wants,
    /// Reconnects whenever the connection is lost, indefinitely, after waits of 0.1 to 10 s. Without it, a client whose connection
    /// is lost cannot be used any more.
    pub reconnect: bool,
    /// Time that each operation may take, waiting for a connection included.
    pub timeout: Duration,
}

impl DeviceOptions {
    /// Receives nothing, does not reconnect, AMQP over TLS, operations of [`limits::OPERATION_TIMEOUT_MS`] at most.
    #[must_use]
    pub fn new(connection_string: DeviceConnectionString, connector: Connector) -> Self {
        Self {
            connection_string,
            connector,
            transport: Transport::Amqps,
            wants: Wants::default(),
            reconnect: false,
            timeout: Duration::from_millis(limits::OPERATION_TIMEOUT_MS),
        }
    }
}

/// A connected device. Cheap to clone; when the last one is gone the device is closed.
#[derive(Debug, Clone)]
pub struct DeviceClient {
    state: watch::Receiver<State>,
    wants: Arc<watch::Sender<Wants>>,
    close: mpsc::Sender<oneshot::Sender<()>>,
    clock: Clock,
    timeout: Duration,
}

/// The state of the device's connection.
#[derive(Debug, Clone)]
enum State {
    Down,
    Up(Route),
    /// And it will not come again.
    Over,
}

/// The route for sending.
#[derive(Debug, Clone)]
struct Route {
    connection: HubConnection,
    session: DeviceSession,
    /// Distinguishes it from earlier and later ones.
    attempt: u32,
}

impl DeviceClient {
    /// Connects. Must be called within a runtime.
    ///
    /// # Errors
    /// When the hub cannot be reached or does not take the device. This is not tried again, whatever the options say.
    pub async fn connect(options: DeviceOptions) -> Result<(Self, DeviceEvents), Failure> {
        Self::connect_by(options, Box::new(HubConnection::start)).await
    }

    async fn connect_by(
        options: DeviceOptions,
        start: supervisor::Start,
    ) -> Result<(Self, DeviceEvents), Failure> {
        let clock = Clock::start();
        let timeout = options.timeout;
        let (state, seen) = watch::channel(State::Down);
        let (wants, wanted) = watch::channel(options.wants);
        let (close, closes) = mpsc::channel(1);
        let (events, received) = mpsc::channel(limits::EVENTS);
        let (first, connected) = oneshot::channel();
        let supervisor = Supervisor::new(options, start, clock, state, wanted, events);
        tokio::spawn(supervisor.run(closes, first));
        let gone = || Failure::local(FailureKind::ConnectionLost, "the client has ended");
        connected.await.map_err(|_| gone())??;
        let client = Self {
            state: seen,
            wants: Arc::new(wants),
            close,
            clock,
            timeout,
        };
        Ok((client, DeviceEvents::new(received)))
    }

    /// Sends a message; `Ok` when the hub has it. One of unknown fate is not sent again: that is for the caller to decide.
    ///
    /// # Errors
    /// [`SendFailure`] says whether the hub may have it.
    pub async fn send(&self, telemetry: &Telemetry) -> Result<(), SendFailure> {
        let message = message::encode(telemetry);
        let deadline = self.deadline();
        let mut not = None;
        loop {
            let route = self.route(not, deadline).await?;
            let send = Send {
                session: route.session,
                message: message.clone(),
                deadline: self.clock.now() + deadline.saturating_duration_since(Instant::now()),
            };
            match route.connection.send(send).await {
                Err(SendFailure::Stale) => not = Some(route.attempt),
                sent => return sent,
            }
        }
    }

    /// Reads the twin: a JSON object with `desired` and `reported`.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn twin(&self) -> Result<Bytes, SendFailure> {
        let answer = self.ask_twin(TwinOperation::Get).await?;
        Ok(answer.body)
    }

    /// Merges a JSON object into the reported properties. Returns their new version, if the hub says it.
    ///
    /// # Errors
    /// [`SendFailure`] says whether the hub may have done it.
    pub async fn report(&self, patch: impl Into<Bytes>) -> Result<Option<i64>, SendFailure> {
        let operation = TwinOperation::Report(patch.into());
        Ok(self.ask_twin(operation).await?.version)
    }

    async fn ask_twin(&self, operation: TwinOperation) -> Result<TwinAnswer, SendFailure> {
        let deadline = self.deadline();
        let mut not = None;
        loop {
            let route = self.route(not, deadline).await?;
            let request = TwinRequest {
                session: route.session,
                operation: operation.clone(),
                deadline: self.clock.now() + deadline.saturating_duration_since(Instant::now()),
            };
            match route.connection.twin(request).await {
                Err(SendFailure::Stale) => not = Some(route.attempt),
                answered => return answered,
            }
        }
    }

    /// Changes what the device receives, from now on and on every later connection.
    pub fn want(&self, wants: Wants) {
        self.wants.send_replace(wants);
    }

    /// Closes the device, and waits for the hub's confirmation, for at most [`limits::CLOSE_TIMEOUT_MS`]. An unsettled
    /// cloud-to-device message returns to the hub.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.close.send(done).await.is_ok() {
            // Gone without an answer is closed, too.
            let _ = closed.await;
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Waits for a connection other than `not`.
    async fn route(&self, not: Option<u32>, deadline: Instant) -> Result<Route, SendFailure> {
        let mut state = self.state.clone();
        loop {
            match &*state.borrow_and_update() {
                State::Up(route) if Some(route.attempt) != not => return Ok(route.clone()),
                State::Over => return Err(SendFailure::Stale),
                State::Up(_) | State::Down => {}
            }
            match timeout_at(deadline, state.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(SendFailure::Stale),
                Err(_) => return Err(SendFailure::NotSent),
            }
        }
    }
}
