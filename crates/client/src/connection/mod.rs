//! One AMQP connection to a hub, in one task, with many devices on it.

pub(crate) mod cbs;
mod command;
#[cfg(test)]
mod counts;
pub(crate) mod device;
mod device_close;
mod device_open;
mod dispatch;
mod handler;
mod links;
pub(crate) mod pending_sends;
pub(crate) mod renewal_schedule;
pub(crate) mod reply;
mod room;
pub(crate) mod send_queue;
mod task;
#[cfg(test)]
pub(crate) mod tests;
mod token_renewal;

use std::sync::Arc;

use drawspan_hub::{AttemptId, ConnectionKey, HostName, Wants};
use drawspan_net::{Clock, Connector, Transport};
use tokio::sync::mpsc;

use crate::credentials::Credentials;
use crate::inbox::Inbox;
use crate::session::DeviceSession;
use crate::status::StatusMailbox;
use links::TwinReply;
use reply::Reply;
use room::{Permit, Permits, Room};

pub(crate) use handler::failure_of;
pub(crate) use task::failure_of as failure_of_end;

pub use command::{
    C2dOutcome, MethodAnswer, Open, Send, SendFailure, TwinAnswer, TwinOperation, TwinRequest,
};

/// The configuration that all connections of a pool share.
#[derive(Debug)]
pub struct ConnectionConfig {
    /// The pool's number, which identifies it in reports of its connections.
    pub pool: u16,
    /// The hub.
    pub host: HostName,
    /// The credentials. A policy's token serves a whole connection; otherwise each device gets its own token.
    pub credentials: Arc<Credentials>,
    /// How to get there.
    pub connector: Connector,
    /// How AMQP is carried.
    pub transport: Transport,
    /// Time.
    pub clock: Clock,
    /// The mailbox for reports.
    pub mailbox: Arc<StatusMailbox>,
    /// The inbox for what devices receive.
    pub inbox: Arc<Inbox>,
}

/// Handle of a connection. The connection closes when all handles are gone.
#[derive(Debug, Clone)]
pub struct HubConnection {
    commands: mpsc::Sender<Command>,
    room: Arc<Room>,
}

/// Commands to a connection's task. A permit is held until the task has taken the command.
enum Command {
    Open(Open),
    Close {
        attempt: AttemptId,
        session: Option<DeviceSession>,
    },
    Send(Send, Reply),
    Want {
        attempt: AttemptId,
        session: DeviceSession,
        wants: Wants,
        _permit: Permit,
    },
    Pull {
        attempt: AttemptId,
        session: DeviceSession,
        _permit: Permit,
    },
    Twin(TwinRequest, TwinReply),
    Answer(MethodAnswer, Permit),
    Settle(C2dOutcome, Reply),
    #[cfg(test)]
    Count(tokio::sync::oneshot::Sender<counts::Counts>),
}

impl HubConnection {
    /// Starts connecting. Must be called within a runtime. All further events are reported to the mailbox.
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
        let (commands, receiver) = mpsc::channel(Room::QUEUE);
        let connection = Self {
            commands,
            room: Arc::default(),
        };
        (connection, receiver)
    }

    /// Opens a device. False if the connection is over, which the mailbox reports.
    pub fn open(&self, open: Open) -> bool {
        self.commands.try_send(Command::Open(open)).is_ok()
    }

    /// Closes a device; without a session, one that is still being opened. [`Status::Closed`](crate::Status::Closed) always
    /// follows. An unsettled cloud-to-device message returns to the hub. False as for [`open`](Self::open).
    pub fn close(&self, attempt: AttemptId, session: Option<DeviceSession>) -> bool {
        self.commands
            .try_send(Command::Close { attempt, session })
            .is_ok()
    }

    /// Changes what an open device receives, in place, and tries again what was refused.
    /// [`Status::Linked`](crate::Status::Linked) follows if other links are there then, after a
    /// [`Status::LinkRefused`](crate::Status::LinkRefused) for each that the hub does not take. False as for
    /// [`open`](Self::open), and while several such changes of the device wait already.
    pub fn want(&self, attempt: AttemptId, session: DeviceSession, wants: Wants) -> bool {
        let Some(place) = self.room.wants.take(session.0.channel()) else {
            return false;
        };
        let command = Command::Want {
            attempt,
            session,
            wants,
            _permit: place,
        };
        self.commands.try_send(command).is_ok()
    }

    /// Asks for one cloud-to-device message, where they come [on demand](drawspan_hub::Receive::OnDemand). Nothing happens while one
    /// is under way, or was asked for already. False as for [`open`](Self::open).
    pub fn pull(&self, attempt: AttemptId, session: DeviceSession) -> bool {
        match self.room.pulls.take(session.0.channel()) {
            Some(place) => {
                let pull = Command::Pull {
                    attempt,
                    session,
                    _permit: place,
                };
                self.commands.try_send(pull).is_ok()
            }
            // One is on its way to the task, which does for both.
            None => !self.commands.is_closed(),
        }
    }

    /// Sends a message and waits for the hub's answer, at most until its deadline.
    ///
    /// # Errors
    /// [`SendFailure`] says whether the hub may have the message.
    pub async fn send(&self, send: Send) -> Result<(), SendFailure> {
        let of = send.session;
        self.ask(&self.room.sends, of, |reply| Command::Send(send, reply))
            .await
    }

    /// Asks a device's twin something and waits for the hub's answer, at most until its deadline. Several may be under way
    /// at once.
    ///
    /// # Errors
    /// [`SendFailure`] says whether the hub may have done it.
    pub async fn twin(&self, request: TwinRequest) -> Result<TwinAnswer, SendFailure> {
        let of = request.session;
        self.ask(&self.room.sends, of, |reply| Command::Twin(request, reply))
            .await
    }

    /// Answers a direct method. Where the hub has stopped waiting, or the device is gone, nothing happens. False when there
    /// is no connection any more, or more answers wait than there were requests.
    pub fn answer_method(&self, answer: MethodAnswer) -> bool {
        let Some(place) = self.room.outcomes.take(answer.session.0.channel()) else {
            return false;
        };
        self.commands
            .try_send(Command::Answer(answer, place))
            .is_ok()
    }

    /// Sends the outcome of a cloud-to-device message to the hub, and waits for its confirmation, for at most
    /// [`SETTLE_TIMEOUT_MS`](crate::limits::SETTLE_TIMEOUT_MS). The next message may come then; with `Outcome::Leave`, which is not
    /// sent, once its lock has ended.
    ///
    /// # Errors
    /// [`SendFailure::Stale`] when the message is the device's no more; [`SendFailure::Refused`] when the hub did not take
    /// the outcome, for instance because its lock had ended. The hub delivers the message again in both cases.
    pub async fn settle_c2d(&self, outcome: C2dOutcome) -> Result<(), SendFailure> {
        let of = outcome.session;
        let settle = |reply| Command::Settle(outcome, reply);
        self.ask(&self.room.outcomes, of, settle).await
    }

    async fn ask<T>(
        &self,
        places: &Arc<Permits>,
        of: DeviceSession,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, SendFailure> {
        let Some(place) = places.take(of.0.channel()) else {
            return Err(SendFailure::Full);
        };
        let (reply, answer) = Reply::new(Some(place));
        if self.commands.try_send(command(reply)).is_err() {
            return Err(SendFailure::Stale);
        }
        // A reply answers in any case, if only when it is dropped.
        answer.await.unwrap_or(Err(SendFailure::FateUnknown))
    }

    /// Counts of what the connection holds.
    #[cfg(test)]
    async fn counts(&self) -> counts::Counts {
        let (to, counts) = tokio::sync::oneshot::channel();
        assert!(
            self.commands.try_send(Command::Count(to)).is_ok(),
            "it is over"
        );
        counts.await.unwrap_or_default()
    }
}
