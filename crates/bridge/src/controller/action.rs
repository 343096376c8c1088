//! Actions that the controller requests.

use std::time::Duration;

use bytes::Bytes;
use drawspan_fleet::{News, Paces, ServiceId};
use drawspan_hub::{
    AttemptId, ConnectionKey, DeviceId, Failure, HostName, Link, Outcome, SubscriptionType,
    UtcTime, Wants, WhichKey,
};

use super::desired_marks::Mark;
use super::hub_cache::StoredHub;
use super::input::Then;
use super::platform::Platform;
use super::response::Response;
use crate::delivery;
use crate::events::{Content, Post};
use crate::history::Change;
use crate::subscriptions::{Row, Scope};

/// Something to do. In the order in which they come.
#[derive(Debug)]
pub enum Action<P: Platform> {
    /// Answer a caller.
    Answer(P::Caller, Response<P>),
    /// Open a device on a connection, which is started if it is not there. Answered by
    /// [`SessionEvent::Opened`](super::SessionEvent::Opened) or [`Ended`](super::SessionEvent::Ended).
    Open(Box<Open>),
    /// Close a device; without a session, one that is still being opened. Answered by
    /// [`SessionEvent::Closed`](super::SessionEvent::Closed).
    Close(Location<Option<P::Session>>),
    /// Change which links a device has, and try those again that were refused.
    Want(Location<P::Session>, Wants),
    /// Ask for one cloud-to-device message.
    Pull(Location<P::Session>),
    /// Answer a direct method.
    AnswerMethod {
        /// The device.
        place: Location<P::Session>,
        /// The method.
        request: P::MethodRequest,
        /// As in HTTP.
        status: i32,
        /// JSON; `null` when absent.
        payload: Option<Bytes>,
    },
    /// Write a dead letter, if there is one, and when it is on disk tell the hub what became of a message. Answered by
    /// [`Input::Settled`](super::Input::Settled).
    Settle {
        /// The device.
        place: Location<P::Session>,
        /// The message.
        delivery: P::Delivery,
        /// Its outcome; without its letter, [`Outcome::Leave`].
        outcome: Outcome,
        /// The letter.
        letter: Option<Box<DeadLetter<P::Callback>>>,
        /// The caller to answer, if there is one.
        caller: Option<P::Caller>,
    },
    /// Read a twin. Answered by [`Input::TwinRead`](super::Input::TwinRead).
    ReadTwin {
        /// The device.
        place: Location<P::Session>,
        /// When an answer is due, monotonic.
        deadline: Duration,
    },
    /// Let go of a connection: no device is on it any more.
    Drop(ServiceId, ConnectionKey),
    /// The device is connected: requests may use its route.
    Publish(DeviceId, P::Route),
    /// It is not any more.
    Withdraw(DeviceId),
    /// A service is in use.
    Service(ServiceId, HostName),
    /// A service changed; the last failure that it had.
    ServiceNews(ServiceId, News, Option<Failure>),
    /// Register a device at DPS. Answered by [`Input::Registered`](super::Input::Registered).
    Register(Box<Registration>),
    /// Make a request to a receiver. Answered by [`Input::Answered`](super::Input::Answered).
    Post(Box<Post<P::Callback>>),
    /// Keep an event that was not taken, as well as may be.
    Bury(Box<DeadLetter<P::Callback>>),
    /// Remove a dead letter: its event was taken after all.
    Exhume(String),
    /// Store a change of a subscription, or its removal (`None`), in the order of these actions. Answered by
    /// [`Input::Written`](super::Input::Written).
    Store {
        /// Whose.
        scope: Scope,
        /// Which.
        kind: SubscriptionType,
        /// The subscription to store; `None` removes it.
        row: Option<Row<P::Callback>>,
        /// To be repeated in the answer.
        then: Then<P>,
    },
    /// Read what is stored of a scope's subscriptions. Answered by [`Input::Rows`](super::Input::Rows).
    ReadRows(Scope),
    /// Remember, as best effort, the version that a device's receiver has; `None` to forget it.
    StoreMark(DeviceId, Option<Mark>),
    /// Change the stored hub cache, as well as may be.
    StoreHub(HubChange),
    /// A device's connection changed: tell those who follow that.
    Changed {
        /// The device.
        device: DeviceId,
        /// Its name at its hub, if that is another one.
        assigned: Option<DeviceId>,
        /// The change.
        change: Change,
    },
    /// Ask a hub what time it is there. Answered by [`Input::ClockSeen`](super::Input::ClockSeen).
    LookAtClock(ServiceId, HostName),
    /// Say something in the log.
    Note(Note),
}

/// The connection and session of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location<S> {
    /// Its attempt.
    pub attempt: AttemptId,
    /// Its hub.
    pub hub: ServiceId,
    /// The connection that the device is on.
    pub connection: ConnectionKey,
    /// Its session there.
    pub session: S,
}

/// A device to open.
#[derive(Debug, Clone)]
pub struct Open {
    /// Where.
    pub place: Location<()>,
    /// The host of its hub.
    pub host: HostName,
    /// Its id at the hub.
    pub device: DeviceId,
    /// The id that it registered by, if that is another one: a group's key for it is derived from this.
    pub registration: Option<DeviceId>,
    /// Key that signs the device's token. Ignored, as is `token_life_s`, when a policy signs.
    pub key: WhichKey,
    /// Life of its tokens.
    pub token_life_s: u32,
    /// The links it should have.
    pub wants: Wants,
}

/// A device to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// To be repeated in the answer.
    pub number: u64,
    /// The device.
    pub device: DeviceId,
    /// Whether the device needs it to connect; otherwise a caller asked for it.
    pub connects: bool,
    /// JSON for the allocation policy.
    pub payload: Option<String>,
    /// When an answer is due, monotonic.
    pub deadline: Duration,
    /// The key to try first.
    pub key: WhichKey,
}

/// An event that was not taken.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter<C> {
    /// The device of the event.
    pub device: DeviceId,
    /// The receiver.
    pub callback: C,
    /// Names the event.
    pub webhook_id: String,
    /// When it came.
    pub received_at: UtcTime,
    /// The contents.
    pub content: Content,
    /// Why it was not taken.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub failed_at: UtcTime,
}

/// A change of the stored hub cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubChange {
    /// A device belongs to a hub.
    Put(StoredHub),
    /// A device goes by another name.
    Forget(DeviceId),
    /// These are in use; entries that were unused for long may go.
    Renew(Vec<DeviceId>, u64),
}

/// Something for the log.
#[derive(Debug, Clone)]
pub enum Note {
    /// A device's public status changed.
    Status(DeviceId, Change),
    /// A hub does not let a device have a link.
    LinkRefused(DeviceId, Link, Failure),
    /// A hub, or DPS, refuses a device.
    DeviceRefused(DeviceId, HostName, Failure),
    /// A connection ended with devices on it.
    ConnectionEnded(HostName, usize, Failure),
    /// Devices leave a connection on which departed devices hold most slots.
    Draining(usize),
    /// A device with a subscription cannot be connected.
    NotConnectable(DeviceId, Failure),
    /// A change of a device's connection had no room.
    NoRoomForStatus(DeviceId),
    /// Events that wait for a receiver take up its share of the memory.
    ShareUsedUp(std::sync::Arc<str>),
    /// An event was not taken: device, kind, origin, reason.
    NotTaken(DeviceId, SubscriptionType, std::sync::Arc<str>, String),
    /// The answer of a receiver to a method cannot be read: device, origin, reason, what the method's caller gets.
    Unread(DeviceId, std::sync::Arc<str>, &'static str, i32),
    /// A receiver of events changed its state.
    Receiver(delivery::News),
    /// Devices that were stored in several spellings are one each now: some of the others, and what they are called.
    Spellings(usize, Vec<(DeviceId, DeviceId)>),
}

/// The paces of a hub's devices, shared with requests that pass the controller.
pub type SharedPaces = std::sync::Arc<Paces>;
