//! Responses to callers.

use std::time::Duration;

use drawspan_hub::{C2dMessage, Failure, UtcTime};

use super::platform::Platform;
use crate::subscriptions::{Subscription, SubscriptionStatus};

/// The answer to a [`Request`](super::Request).
#[derive(Debug)]
pub enum Response<P: Platform> {
    /// The device is connected.
    Connected(P::Route),
    /// It is not, and waiting on would not help.
    NotConnected(Refusal),
    /// DPS said so.
    Registered(Result<(), Failure>),
    /// The subscription is there, and survives the end of the process.
    Subscribed(Subscription<P::Callback>, Option<SubscriptionStatus>),
    /// The device's next message, or no message.
    Message(Option<Box<Held>>),
    /// The changes that another list of devices made.
    Relisted(Relisted),
    /// It is done.
    Done,
    /// It is not.
    Error(RequestError<P::StoreFault>),
}

/// Why there is no route, and when the device is tried again, as far as that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The failure.
    pub failure: Failure,
    /// When a request makes the device try again.
    pub retry_in: Option<Duration>,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq)]
pub enum RequestError<F> {
    /// The hub said no, or the device cannot be connected.
    Refused(Failure),
    /// Too many wait already.
    QueueFull,
    /// The device's messages go to its subscription.
    Subscribed,
    /// The message is not held any more.
    LockLost,
    /// It was sent, and no answer came.
    FateUnknown,
    /// Such events have no subscription.
    NoSubscription,
    /// It could not be stored.
    NotStored(Option<F>),
}

/// A message that is held for its device.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Names it in its outcome.
    pub lock_token: String,
    /// Until when its outcome is taken; later the hub delivers it again.
    pub locked_until: UtcTime,
    /// When it came.
    pub received_at: UtcTime,
    /// The message.
    pub message: C2dMessage,
}

/// The effects of another list of devices on those in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relisted {
    /// Devices that belong to another hub now.
    pub moved: usize,
    /// Devices that are not on the list any more.
    pub gone: usize,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            retry_in: None,
        }
    }
}
