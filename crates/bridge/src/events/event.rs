//! An event, and its outcome.

use std::time::Duration;

use bytes::Bytes;
use drawspan_hub::{
    C2dMessage, ConnectionStatus, ConnectionStatusReason, DeviceId, SubscriptionType, UtcTime,
};

/// An event for a subscriber. `C` is its destination, `T` the owner's data for when it is finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<C, T> {
    /// The device of the event, by the name that callers use.
    pub device: DeviceId,
    /// The receiver.
    pub callback: C,
    /// The same for each attempt, and after a restart where the hub delivers again.
    pub webhook_id: String,
    /// When it came.
    pub received_at: UtcTime,
    /// The same, monotonic: deadlines count from here.
    pub received: Duration,
    /// The contents.
    pub content: Content,
    /// For the owner.
    pub correlation: T,
}

/// The contents of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// The device's connection changed.
    Status {
        /// Its status from now on.
        status: ConnectionStatus,
        /// Why.
        reason: ConnectionStatusReason,
        /// Changes before this one that were left out, because too many waited.
        skipped: u32,
    },
    /// Desired properties changed.
    Desired {
        /// JSON object with `$version`: the change, or all of them.
        properties: Bytes,
        /// Whether it is all of them.
        full_state: bool,
    },
    /// A direct method.
    Method {
        /// Its name.
        name: String,
        /// JSON, or nothing.
        payload: Bytes,
    },
    /// A cloud-to-device message.
    C2d(Box<C2dMessage>),
    /// An event as it was once made, sent again from the dead letters.
    Replay {
        /// The kind of events.
        kind: SubscriptionType,
        /// The JSON.
        event: Bytes,
    },
}

/// A finished event.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedEvent<C, T> {
    /// The event.
    pub event: Event<C, T>,
    /// How often it was tried.
    pub attempts: u32,
    /// Its outcome.
    pub outcome: DeliveryOutcome,
}

/// The possible outcomes of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryOutcome {
    /// The receiver answered 2xx.
    Taken {
        /// The body of its answer, cut off at [`MAX_CALLBACK_ANSWER_BYTES`](crate::limits::MAX_CALLBACK_ANSWER_BYTES).
        answer: Bytes,
    },
    /// The receiver said that it will not take it: a status that is not worth another attempt.
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// It was tried in vain for as long, or as often, as it may be.
    Failed {
        /// The last failure, one line without secrets.
        reason: String,
    },
    /// It was not tried at all within its time, or is not wanted any more.
    Untried,
}

impl Content {
    /// To whose subscription it belongs.
    #[must_use]
    pub const fn kind(&self) -> SubscriptionType {
        match self {
            Self::Status { .. } => SubscriptionType::ConnectionStatus,
            Self::Desired { .. } => SubscriptionType::DesiredProperties,
            Self::Method { .. } => SubscriptionType::Methods,
            Self::C2d(_) => SubscriptionType::C2dMessages,
            Self::Replay { kind, .. } => *kind,
        }
    }
}
