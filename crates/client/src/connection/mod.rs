//! One AMQP connection to a hub, in one task, with many devices on it.

mod cbs;
mod device;
mod handler;
mod opening;
mod sending;
mod sends;
mod task;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::SessionId;
use drawspan_hub::{DeviceId, Failure, HostName};
use drawspan_net::{Clock, Connector, Transport};
use tokio::sync::{mpsc, oneshot};

use crate::board::{Owner, StatusBoard};
use crate::credentials::{Credentials, WhichKey};
use crate::ledger::ConnectionKey;
use crate::limits;

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
}

/// A device to open.
#[derive(Debug, Clone)]
pub struct Open {
    /// Whose it is.
    pub owner: Owner,
    /// Its id at the hub.
    pub device: DeviceId,
    /// Which of its own keys signs. Of no meaning with a policy, nor is what follows.
    pub key: WhichKey,
    /// Life of its tokens, in seconds; at least [`limits::TOKEN_LIFE_MIN_S`]. They are renewed in place until the device is
    /// closed.
    pub token_life_s: u32,
}

/// An open device on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSession(SessionId);

/// One message to send.
#[derive(Debug)]
pub struct Send {
    /// The device.
    pub session: DeviceSession,
    /// The encoded message.
    pub message: Bytes,
    /// Time of the connection's clock at which an answer is due, whatever it is.
    pub deadline: Duration,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// The device is not open there any more; nothing was sent.
    #[error("the device is not open on this connection")]
    Stale,
    /// Too much is on its way already; nothing was sent.
    #[error("too many messages wait for the hub")]
    Full,
    /// The deadline came before the hub gave credit; nothing was sent.
    #[error("the hub gave no credit in time")]
    NotSent,
    /// Sent, but no answer came: the hub may have it or not.
    #[error("the hub did not tell whether it accepted the message")]
    Unsettled,
    /// The hub refused it.
    #[error("the hub refused the message: {0}")]
    Refused(Failure),
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
    Send(Send, oneshot::Sender<Result<(), SendFailure>>),
}

impl HubConnection {
    /// Starts connecting. Must be called within a runtime. Everything that follows is told to the board.
    pub fn start(config: Arc<ConnectionConfig>, key: ConnectionKey) -> Self {
        let (commands, receiver) =
            mpsc::channel(limits::SENDS_PER_CONNECTION + limits::CONTROL_PER_CONNECTION);
        tokio::spawn(task::run(config, key, receiver));
        Self {
            commands,
            sends: Arc::default(),
        }
    }

    /// As [`start`](Self::start), on a stream that stands already.
    #[cfg(test)]
    fn on_stream(
        config: Arc<ConnectionConfig>,
        key: ConnectionKey,
        stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + std::marker::Send + 'static,
    ) -> Self {
        let (commands, receiver) = mpsc::channel(limits::CONTROL_PER_CONNECTION);
        tokio::spawn(task::run_on(config, key, stream, receiver));
        Self {
            commands,
            sends: Arc::default(),
        }
    }

    /// Opens a device. False when the connection is over: that was told to the board, or will be.
    pub fn open(&self, open: Open) -> bool {
        self.commands.try_send(Command::Open(open)).is_ok()
    }

    /// Closes a device; without a session, one that is still being opened. [`Status::Closed`](crate::Status::Closed) always
    /// follows. False as for [`open`](Self::open).
    pub fn close(&self, owner: Owner, session: Option<DeviceSession>) -> bool {
        self.commands
            .try_send(Command::Close { owner, session })
            .is_ok()
    }

    /// Sends a message and waits for the hub's answer, at most until its deadline.
    pub async fn send(&self, send: Send) -> Result<(), SendFailure> {
        let Some(_permit) = SendPermit::take(&self.sends) else {
            return Err(SendFailure::Full);
        };
        let (reply, answer) = oneshot::channel();
        if self.commands.try_send(Command::Send(send, reply)).is_err() {
            return Err(SendFailure::Stale);
        }
        // The task is gone only with its connection, and then nobody knows what the hub made of it.
        answer.await.unwrap_or(Err(SendFailure::Unsettled))
    }
}

/// Keeps sends below their bound, so that control commands always find room.
struct SendPermit<'a>(&'a AtomicUsize);

impl<'a> SendPermit<'a> {
    fn take(count: &'a AtomicUsize) -> Option<Self> {
        let permit = Self(count);
        let before = count.fetch_add(1, Ordering::Relaxed);
        (before < limits::SENDS_PER_CONNECTION).then_some(permit)
    }
}

impl Drop for SendPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
