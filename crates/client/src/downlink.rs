//! Messages, methods and property changes that devices receive.

use std::fmt;

use bytes::Bytes;
use drawspan_amqp::engine::{DeliveryId, LinkId};
use drawspan_amqp::message::MessageId;
use drawspan_hub::{AttemptId, C2dMessage};

use crate::session::DeviceSession;

/// Something for a device.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// A direct method: [`HubConnection::answer_method`](crate::HubConnection::answer_method) is due.
    Method {
        /// The device's attempt.
        attempt: AttemptId,
        /// The device, where the answer goes.
        session: DeviceSession,
        /// Names it in the answer.
        request: MethodRequestId,
        /// Name of the method.
        name: String,
        /// JSON, or nothing.
        payload: Bytes,
    },
    /// A cloud-to-device message. The next one comes after
    /// [`HubConnection::settle_c2d`](crate::HubConnection::settle_c2d).
    C2d {
        /// The device's attempt.
        attempt: AttemptId,
        /// The device, where its outcome goes.
        session: DeviceSession,
        /// Names it in the outcome.
        delivery: C2dDelivery,
        /// The message.
        message: Box<C2dMessage>,
    },
    /// Desired properties were changed.
    Desired {
        /// The device's attempt.
        attempt: AttemptId,
        /// The device.
        session: DeviceSession,
        /// The change, a JSON object with `$version`.
        body: Bytes,
    },
    /// Changes of desired properties were not kept, for want of room: only the twin itself tells what they are.
    DesiredMissed {
        /// The device's attempt.
        attempt: AttemptId,
    },
}

/// Names a method request in its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MethodRequestId(pub(crate) MessageId);

/// As the hub shows it: a uuid, as a rule.
impl fmt::Display for MethodRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a cloud-to-device message in its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct C2dDelivery {
    pub(crate) link: LinkId,
    pub(crate) delivery: DeliveryId,
}

impl Incoming {
    /// Bytes that it holds, more or less.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Method { name, payload, .. } => name.len() + payload.len(),
            Self::C2d { message, .. } => message.size_bytes(),
            Self::Desired { body, .. } => body.len(),
            Self::DesiredMissed { .. } => 0,
        }
    }
}
