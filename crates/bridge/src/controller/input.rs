//! Inputs of the controller.

use bytes::Bytes;
use drawspan_fleet::{CallerId, ServiceId};
use drawspan_hub::{
    AttemptId, C2dMessage, ConnectionKey, DeviceId, Failure, HostName, Link, Links, Outcome,
    SubscriptionType, WhichKey,
};

use super::context::Waiter;
use super::platform::Platform;
use super::response::RequestError;
use crate::delivery;
use crate::subscriptions::{Row, Scope};

/// Something that happened.
#[derive(Debug)]
pub enum Input<P: Platform> {
    /// A caller asks for something.
    Request(Request<P>),
    /// A connection that devices share.
    Connection {
        /// Whose.
        hub: ServiceId,
        /// Which.
        key: ConnectionKey,
        /// The event.
        event: ConnectionEvent,
    },
    /// A hub did not answer a request of a connected device; `None`: it answered one again.
    Unanswered(ServiceId, Option<Failure>),
    /// A hub refused a connected device's message for its daily quota; `None`: it accepted one again.
    MessageQuota(ServiceId, Option<Failure>),
    /// A hub refuses messages of a connected device: for its quota, or because they are too many. It may be said of one that it did
    /// not get, because an earlier one was refused.
    MessagesRefused {
        /// As its caller calls it.
        device: DeviceId,
        /// The serial of the attempt that connected it.
        serial: u32,
        /// Why.
        failure: Failure,
    },
    /// A hub accepts messages of a connected device again, which it refused because they were too many.
    MessagesTaken {
        /// As its caller calls it.
        device: DeviceId,
        /// The serial of the attempt that connected it.
        serial: u32,
    },
    /// What time it is at a hub: how many seconds this machine's clock is ahead of it, negative if it is behind. `None` if the hub did
    /// not say.
    ClockSeen(ServiceId, Option<i64>),
    /// A device's own session. What comes for an attempt that is over changes nothing.
    Session {
        /// The device's attempt.
        attempt: AttemptId,
        /// The event.
        event: SessionEvent<P>,
    },
    /// A command could not be given to a connection, which is over or has too much to do.
    Busy(AttemptId, Command),
    /// DPS answered a registration, which goes on.
    DpsAnswers,
    /// A registration at DPS is over.
    Registered {
        /// As in [`Action::Register`](super::Action::Register).
        number: u64,
        /// The key that signed.
        key: WhichKey,
        /// The answer of DPS.
        answer: Result<Assigned, Failure>,
    },
    /// A twin was read; its JSON, or `None` if that failed.
    TwinRead(AttemptId, Option<Bytes>),
    /// The outcome of a message is confirmed, or is not.
    Settled {
        /// The device's attempt.
        attempt: AttemptId,
        /// The hub's answer.
        result: Result<(), RequestError<P::StoreFault>>,
        /// The caller to answer, if there is one.
        caller: Option<P::Caller>,
    },
    /// A request to a receiver is over.
    Answered {
        /// As in [`Post`](crate::events::Post).
        attempt: delivery::DeliveryAttempt,
        /// The result of the attempt.
        answer: delivery::AttemptOutcome,
        /// The body of the receiver's answer.
        body: Bytes,
    },
    /// A change of a subscription is stored, or is not.
    Written {
        /// Whose.
        scope: Scope,
        /// `Err` if it is not.
        result: Result<(), Option<P::StoreFault>>,
        /// As in [`Action::Store`](super::Action::Store).
        then: Then<P>,
    },
    /// The stored subscriptions of a scope were read, or could not be read.
    Rows {
        /// Whose.
        scope: Scope,
        /// All stored subscriptions of the scope.
        rows: Option<Vec<(SubscriptionType, Row<P::Callback>)>>,
    },
}

/// A request of a caller.
#[derive(Debug)]
pub enum Request<P: Platform> {
    /// A route to a device, connecting it if need be.
    Connect {
        /// The device.
        device: DeviceId,
        /// The caller.
        waiter: Waiter<P>,
    },
    /// A registration at DPS, whether the device is known or not.
    Register {
        /// The device.
        device: DeviceId,
        /// In whose turn it goes.
        who: CallerId,
        /// JSON for the allocation policy.
        payload: Option<String>,
        /// When the caller's time is up, monotonic.
        deadline: std::time::Duration,
        /// The caller.
        caller: P::Caller,
    },
    /// Another attempt, now.
    Resync(DeviceId),
    /// Forget a device.
    Forget {
        /// The device.
        device: DeviceId,
        /// The caller.
        caller: P::Caller,
    },
    /// A subscription to make or to replace.
    Subscribe {
        /// The devices of the subscription.
        scope: Scope,
        /// Which.
        kind: SubscriptionType,
        /// The receiver.
        callback: P::Callback,
        /// Whether devices of a prefix stay connected for it.
        keep_connected: bool,
        /// Whether the caller may reach only some devices.
        limited: bool,
        /// The caller.
        caller: P::Caller,
    },
    /// To have one no more.
    Unsubscribe {
        /// The devices of the subscription.
        scope: Scope,
        /// Which.
        kind: SubscriptionType,
        /// The caller.
        caller: P::Caller,
    },
    /// A device's next message.
    Receive {
        /// The device.
        device: DeviceId,
        /// Whether to wait for one longer than the hub takes to send it.
        patience: bool,
        /// The caller.
        caller: P::Caller,
    },
    /// Settle a message.
    Settle {
        /// The device.
        device: DeviceId,
        /// Names the message.
        token: String,
        /// Its outcome.
        outcome: Outcome,
        /// The caller.
        caller: P::Caller,
    },
    /// A dead letter that is to be sent again.
    Replay {
        /// The letter.
        letter: Letter,
        /// The caller.
        caller: P::Caller,
    },
    /// Renames a device to the id that DPS has for it, unless it is in use.
    RenameAsAssigned {
        /// The device.
        device: DeviceId,
        /// The caller.
        caller: P::Caller,
    },
    /// The list of devices, or the keys, are others.
    Relist(P::Caller),
}

/// An event of a connection.
#[derive(Debug, Clone)]
pub enum ConnectionEvent {
    /// The hub answers: it can take devices.
    Ready,
    /// It is over, and every device on it with it.
    Ended(Failure),
}

/// An event of a device's session.
#[derive(Debug)]
pub enum SessionEvent<P: Platform> {
    /// The device can send.
    Opened {
        /// Its session.
        session: P::Session,
        /// The way to it.
        route: P::Route,
    },
    /// The hub refused the device's token, and counts no token for it on this connection unless it accepted an earlier one.
    TokenRefused(Failure),
    /// The hub refused the device for another reason, or ended it.
    Ended(Failure),
    /// It is closed, as asked.
    Closed,
    /// Every link that it wants is there by now, or refused: these are there.
    Linked(Links),
    /// The hub did not take a link. The rest of the device works on.
    LinkRefused(Link, Failure),
    /// A direct method.
    Method {
        /// The session.
        session: P::Session,
        /// Names it in the answer.
        request: P::MethodRequest,
        /// Name of the method.
        name: String,
        /// JSON, or nothing.
        payload: Bytes,
    },
    /// A cloud-to-device message.
    C2d {
        /// The session.
        session: P::Session,
        /// Names it in its outcome.
        delivery: P::Delivery,
        /// The message.
        message: Box<C2dMessage>,
        /// Its share of the memory for messages.
        share: P::Share,
    },
    /// A change of desired properties: JSON with `$version`.
    Desired(Bytes),
    /// Changes of desired properties came for which there was no room.
    DesiredMissed,
}

/// A command to a connection that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// [`Action::Open`](super::Action::Open).
    Open,
    /// [`Action::Close`](super::Action::Close).
    Close,
    /// [`Action::Want`](super::Action::Want).
    Want,
}

/// The hub that DPS assigned to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The hub.
    pub hub: HostName,
    /// The device's id there.
    pub device: DeviceId,
}

/// A dead letter, as far as sending it again needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Names its event.
    pub webhook_id: String,
    /// The device of the event.
    pub device: DeviceId,
    /// The kind of events.
    pub kind: SubscriptionType,
    /// The JSON.
    pub event: Bytes,
}

/// The caller to answer once a change of a subscription is stored.
#[derive(Debug)]
pub enum Then<P: Platform> {
    /// The caller that made this subscription, even if it was changed since.
    Subscribed(SubscriptionType, Row<P::Callback>, P::Caller),
    /// The caller that removed some, if this was the last of them.
    Removed(Option<P::Caller>),
}
