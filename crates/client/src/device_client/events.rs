//! Events for a device's program.

use bytes::Bytes;
use drawspan_hub::{C2dMessage, Failure, Outcome};
use tokio::sync::mpsc;

use super::Route;
use crate::connection::{C2dOutcome, MethodAnswer, SendFailure};
use crate::downlink::{C2dDelivery, Incoming, MethodRequestId};

/// An event for a device's program.
#[derive(Debug)]
pub enum DeviceEvent {
    /// A service calls a method.
    Method(MethodCall),
    /// A cloud-to-device message came. The next one comes after its outcome.
    Message(ReceivedMessage),
    /// Desired properties were changed: a JSON object with `$version`.
    Desired(Bytes),
    /// Desired properties may have changed: the twin tells.
    DesiredMissed,
    /// The device is connected again. Changes of the twin that happened meanwhile are not reported.
    Connected,
    /// The connection was lost.
    Disconnected(Failure),
}

/// Events for a device's program, in order.
#[derive(Debug)]
pub struct DeviceEvents(mpsc::Receiver<DeviceEvent>);

/// A direct method.
#[derive(Debug)]
pub struct MethodCall {
    name: String,
    payload: Bytes,
    request: MethodRequestId,
    route: Route,
}

/// A cloud-to-device message.
#[derive(Debug)]
pub struct ReceivedMessage {
    message: Box<C2dMessage>,
    delivery: C2dDelivery,
    route: Route,
}

impl DeviceEvents {
    pub(super) const fn new(events: mpsc::Receiver<DeviceEvent>) -> Self {
        Self(events)
    }

    /// Waits for the next event. `None` once the device is closed, or its connection is permanently lost. Events that are not taken
    /// stay at the hub as far as possible; methods are answered with 503 when too many wait.
    pub async fn next(&mut self) -> Option<DeviceEvent> {
        self.0.recv().await
    }
}

impl DeviceEvent {
    pub(super) fn of(incoming: Incoming, route: &Route) -> Self {
        let route = route.clone();
        match incoming {
            Incoming::Method {
                request,
                name,
                payload,
                ..
            } => Self::Method(MethodCall {
                name,
                payload,
                request,
                route,
            }),
            Incoming::C2d {
                delivery, message, ..
            } => Self::Message(ReceivedMessage {
                message,
                delivery,
                route,
            }),
            Incoming::Desired { body, .. } => Self::Desired(body),
            Incoming::DesiredMissed { .. } => Self::DesiredMissed,
        }
    }

    pub(super) const fn is_of_connection(&self) -> bool {
        matches!(self, Self::Connected | Self::Disconnected(_))
    }
}

impl MethodCall {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// JSON, or nothing.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Answers the caller; `payload` is JSON, `null` when absent. Nothing happens when the caller has stopped waiting.
    pub fn answer(self, status: i32, payload: Option<Bytes>) {
        let Route {
            connection,
            session,
            ..
        } = self.route;
        // One that is not taken is missed by the caller, after its time.
        connection.answer_method(MethodAnswer {
            session,
            request: self.request,
            status,
            payload,
        });
    }
}

impl ReceivedMessage {
    /// The message.
    #[must_use]
    pub fn message(&self) -> &C2dMessage {
        &self.message
    }

    /// Sends its outcome to the hub, and waits for the confirmation.
    ///
    /// # Errors
    /// As [`HubConnection::settle_c2d`](crate::HubConnection::settle_c2d).
    pub async fn settle(self, outcome: Outcome) -> Result<(), SendFailure> {
        let Route {
            connection,
            session,
            ..
        } = self.route;
        let outcome = C2dOutcome {
            session,
            delivery: self.delivery,
            outcome,
        };
        connection.settle_c2d(outcome).await
    }
}
