//! Events that a connection gives to its embedder, and the keys they use.

use bytes::Bytes;

use crate::performative::{Attach, DeliveryState, DeliveryTag, Error, Open};
use crate::value::Symbol;

/// A session of one connection. Never reused for another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// A link of one connection. Never reused for another link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// A delivery on its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryId(pub u32);

/// Small dense number of a session, for tables outside the engine: its channel.
impl SessionId {
    /// The channel number; used again after the session ended.
    pub fn channel(self) -> usize {
        self.index as usize
    }
}

impl LinkId {
    /// Small dense number of a link; used again after the link is gone.
    pub fn slot(self) -> usize {
        self.index as usize
    }
}

/// Events, in the order of the wire.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A client started SASL. Answer with [`sasl_outcome`](crate::Connection::sasl_outcome); nothing more is read before.
    SaslInit {
        /// Mechanism that the client chose, among those offered.
        mechanism: Symbol,
        /// Its first answer: may hold a credential.
        initial_response: Option<Bytes>,
    },
    /// The peer's open arrived; sessions may begin.
    Opened(Box<Open>),
    /// A session is up: begun by the peer, or our begin was answered.
    SessionBegan {
        /// Session.
        session: SessionId,
        /// Begun by the peer.
        by_peer: bool,
    },
    /// A session and all its links are gone.
    SessionEnded {
        /// Session.
        session: SessionId,
        /// The peer's reason.
        error: Option<Error>,
    },
    /// The peer wants a link: answer with [`accept`](crate::Connection::accept) or [`refuse`](crate::Connection::refuse).
    AttachRequested {
        /// Session.
        session: SessionId,
        /// Link, from now on.
        link: LinkId,
        /// The peer's attach.
        attach: Box<Attach>,
    },
    /// The peer took a link of ours.
    Attached {
        /// Link.
        link: LinkId,
        /// The peer's attach.
        attach: Box<Attach>,
    },
    /// A link is gone.
    Detached {
        /// Link.
        link: LinkId,
        /// Session it was on.
        session: SessionId,
        /// Closed, as opposed to suspended.
        closed: bool,
        /// The peer's reason.
        error: Option<Error>,
    },
    /// The peer changed the credit of a link on which we send.
    Credit {
        /// Link.
        link: LinkId,
        /// Messages that may be sent now.
        credit: u32,
        /// Send what there is, then call [`drained`](crate::Connection::drained).
        drain: bool,
    },
    /// A session has room for messages again, after [`has_room`](crate::Connection::has_room) returned false.
    Room {
        /// Session.
        session: SessionId,
    },
    /// A whole message.
    Delivery {
        /// Link.
        link: LinkId,
        /// Names it when settling.
        delivery: DeliveryId,
        /// Tag chosen by the sender.
        tag: DeliveryTag,
        /// 0, or a vendor's format.
        message_format: u32,
        /// Nothing is owed to the sender.
        settled: bool,
        /// The encoded message.
        payload: Bytes,
    },
    /// A message over the link's `max_message_bytes` came; its bytes were thrown away, its sender waits for an outcome.
    DeliveryTooLarge {
        /// Link.
        link: LinkId,
        /// Names it when settling.
        delivery: DeliveryId,
        /// Nothing is owed to the sender.
        settled: bool,
    },
    /// The receiver sent the outcome of a delivery of ours.
    Outcome {
        /// Link.
        link: LinkId,
        /// Delivery.
        delivery: DeliveryId,
        /// The embedder's value for the delivery.
        context: u64,
        /// Outcome; `None` if the receiver settled without one.
        state: Option<DeliveryState>,
        /// Done. If not, the receiver waits for [`settle_sent`](crate::Connection::settle_sent).
        settled: bool,
    },
    /// The sender settled a delivery whose outcome we had sent unsettled.
    SettledBySender {
        /// Link.
        link: LinkId,
        /// Delivery.
        delivery: DeliveryId,
        /// The sender's result.
        state: Option<DeliveryState>,
    },
    /// The connection is over. What is left to write should be written; nothing more will come.
    Closed(Closed),
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq)]
pub enum Closed {
    /// We closed and the peer agreed.
    ByUs,
    /// The peer closed.
    ByPeer(Option<Error>),
    /// The peer violated the protocol; we have sent it the error.
    Violation(Error),
    /// SASL was refused.
    SaslRefused(crate::performative::SaslCode),
    /// The peer offers no mechanism that we want.
    NoSaslMechanism(Vec<Symbol>),
    /// The peer speaks another protocol.
    WrongProtocol([u8; 8]),
    /// The peer was silent for too long.
    Silent,
    /// The peer did not finish opening or closing in time.
    TimedOut,
    /// The peer does not read what it asks for.
    PeerDoesNotRead,
}

/// Why a command did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Before open, or after close.
    #[error("the connection is not open")]
    NotOpen,
    /// Ended, or of another connection.
    #[error("no such session")]
    UnknownSession,
    /// Detached, or of another connection.
    #[error("no such link")]
    UnknownLink,
    /// Settled already, or of another session.
    #[error("no such unsettled delivery")]
    UnknownDelivery,
    /// For example sending on a receiver.
    #[error("the link is in a state or role that does not allow this")]
    WrongState,
    /// The peer's channel-max or ours is reached.
    #[error("no channel is left for another session")]
    TooManySessions,
    /// The peer's handle-max or our limit is reached.
    #[error("no handle is left for another link")]
    TooManyLinks,
    /// The receiver gave no credit.
    #[error("the receiver has given no credit")]
    NoCredit,
    /// The receiver's max-message-size is smaller.
    #[error("the message is larger than the receiver allows")]
    MessageTooLarge,
    /// Too much waits to be written.
    #[error("too much is waiting to be written")]
    QueueFull,
}
