//! One AMQP connection to a hub, in one task, with many devices on it.

pub(crate) mod cbs;
pub(crate) mod device;
mod handler;
mod links;
mod opening;
mod receiving;
mod requests;
pub(crate) mod sending;
pub(crate) mod sends;
mod task;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use drawspan_hub::{ConnectionKey, HostName, Wants};
use drawspan_net::{Clock, Connector, Transport};
use tokio::sync::{mpsc, oneshot};

use crate::board::{Owner, StatusBoard};
use crate::credentials::Credentials;
use crate::inbox::Inbox;
use crate::limits;
use links::TwinReply;
use sends::Reply;

pub(crate) use handler::failure_of;
pub(crate) use task::failure_of as failure_of_end;

pub use requests::{
    C2dOutcome, DeviceSession, MethodAnswer, Open, Send, SendFailure, TwinAnswer, TwinOperation,
    TwinRequest,
};

/// What all connections of a pool share.
#[derive(Debug)]
pub struct ConnectionConfig {
    /// The pool's number, which is told with news of its connections.
    pub pool: u16,
    /// The hub.
    pub host: HostName,
    /// Who signs. A policy's token serves a whole connection; otherwise each device gets one of its own.
    pub credentials: Arc<Credentials>,
    /// How to get there.
    pub connector: Connector,
    /// How AMQP is carried.
    pub transport: Transport,
    /// Time.
    pub clock: Clock,
    /// Where news go.
    pub board: Arc<StatusBoard>,
    /// Where goes what devices receive.
    pub inbox: Arc<Inbox>,
}

/// Handle of a connection. The connection closes when all handles are gone.
#[derive(Debug, Clone)]
pub struct HubConnection {
    commands: mpsc::Sender<Command>,
    sends: Arc<AtomicUsize>,
}

enum Command {
    Open(Open),
    Close {
        owner: Owner,
        session: Option<DeviceSession>,
    },
    Send(Send, Reply),
    Want {
        owner: Owner,
        session: DeviceSession,
        wants: Wants,
    },
    Pull {
        owner: Owner,
        session: DeviceSession,
    },
    Twin(TwinRequest, TwinReply),
    Answer(MethodAnswer, Permit<Arc<AtomicUsize>>),
    Settle(C2dOutcome, Reply),
}

impl HubConnection {
    /// Starts connecting. Must be called within a runtime. Everything that follows is told to the board.
    pub fn start(config: Arc<ConnectionConfig>, key: ConnectionKey) -> Self {
        let (connection, commands) = Self::new();
        tokio::spawn(task::run(config, key, commands));
        connection
    }

    /// As [`start`](Self::start), on a stream that stands already.
    #[cfg(test)]
    pub(crate) fn on_stream(
        config: Arc<ConnectionConfig>,
        key: ConnectionKey,
        stream: tokio::io::DuplexStream,
    ) -> Self {
        let (connection, commands) = Self::new();
        tokio::spawn(task::run_on(config, key, stream, commands));
        connection
    }

    fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) =
            mpsc::channel(limits::SENDS_PER_CONNECTION + limits::CONTROL_PER_CONNECTION);
        let connection = Self {
            commands,
            sends: Arc::default(),
        };
        (connection, receiver)
    }

    /// Opens a device. False when the connection is over: that was told to the board, or will be.
    pub fn open(&self, open: Open) -> bool {
        self.commands.try_send(Command::Open(open)).is_ok()
    }

    /// Closes a device; without a session, one that is still being opened. [`Status::Closed`](crate::Status::Closed) always
    /// follows. A cloud-to-device message whose outcome was not told goes back to the hub. False as for
    /// [`open`](Self::open).
    pub fn close(&self, owner: Owner, session: Option<DeviceSession>) -> bool {
        self.commands
            .try_send(Command::Close { owner, session })
            .is_ok()
    }

    /// Changes what an open device receives, in place, and tries again what was refused.
    /// [`Status::Linked`](crate::Status::Linked) follows if other links are there then, after a
    /// [`Status::LinkRefused`](crate::Status::LinkRefused) for each that the hub does not take. False as for
    /// [`open`](Self::open).
    pub fn want(&self, owner: Owner, session: DeviceSession, wants: Wants) -> bool {
        let command = Command::Want {
            owner,
            session,
            wants,
        };
        self.commands.try_send(command).is_ok()
    }

    /// Asks for one cloud-to-device message, where they come [on demand](Receive::OnDemand). Nothing happens while one is under
    /// way, or was asked for already. False as for [`open`](Self::open), and when too much is on its way.
    pub fn pull(&self, owner: Owner, session: DeviceSession) -> bool {
        let pull = Command::Pull { owner, session };
        // Control commands keep their room.
        self.commands.capacity() > limits::CONTROL_PER_CONNECTION
            && self.commands.try_send(pull).is_ok()
    }

    /// Sends a message and waits for the hub's answer, at most until its deadline.
    ///
    /// # Errors
    /// [`SendFailure`] says whether the hub may have the message.
    pub async fn send(&self, send: Send) -> Result<(), SendFailure> {
        self.ask(|reply| Command::Send(send, reply)).await
    }

    /// Asks a device's twin something and waits for the hub's answer, at most until its deadline. Several may be under way
    /// at once.
    ///
    /// # Errors
    /// [`SendFailure`] says whether the hub may have done it.
    pub async fn twin(&self, request: TwinRequest) -> Result<TwinAnswer, SendFailure> {
        self.ask(|reply| Command::Twin(request, reply)).await
    }

    /// Answers a direct method. Where the hub has stopped waiting, or the device is gone, nothing happens. False when there
    /// is no connection any more, or it has too much to do.
    pub fn answer_method(&self, answer: MethodAnswer) -> bool {
        let Some(permit) = Permit::take(Arc::clone(&self.sends)) else {
            return false;
        };
        self.commands
            .try_send(Command::Answer(answer, permit))
            .is_ok()
    }

    /// Tells the hub what became of a cloud-to-device message, and waits until it has confirmed that, for
    /// [`SETTLE_TIMEOUT_MS`](limits::SETTLE_TIMEOUT_MS) at most. The next message may come then; with [`Outcome::Leave`], about
    /// which the hub hears nothing, once its lock has ended.
    ///
    /// # Errors
    /// [`SendFailure::Stale`] when the message is the device's no more; [`SendFailure::Refused`] when the hub did not take
    /// the outcome, for instance because its lock had ended. The hub delivers the message again in both cases.
    pub async fn settle_c2d(&self, outcome: C2dOutcome) -> Result<(), SendFailure> {
        self.ask(|reply| Command::Settle(outcome, reply)).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, SendFailure>>) -> Command,
    ) -> Result<T, SendFailure> {
        let Some(_permit) = Permit::take(&*self.sends) else {
            return Err(SendFailure::Full);
        };
        let (reply, answer) = oneshot::channel();
        if self.commands.try_send(command(reply)).is_err() {
            return Err(SendFailure::Stale);
        }
        // The task is gone only with its connection, and then nobody knows what the hub made of it.
        answer.await.unwrap_or(Err(SendFailure::Unsettled))
    }
}

/// Keeps sends below their bound, so that control commands always find room.
struct Permit<C: Deref<Target = AtomicUsize>>(C);

impl<C: Deref<Target = AtomicUsize>> Permit<C> {
    fn take(count: C) -> Option<Self> {
        let permit = Self(count);
        let before = permit.0.fetch_add(1, Ordering::Relaxed);
        (before < limits::SENDS_PER_CONNECTION).then_some(permit)
    }
}

impl<C: Deref<Target = AtomicUsize>> Drop for Permit<C> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
