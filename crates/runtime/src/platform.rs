//! The runtime's types that the controller passes on.

use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::controller::{self, Platform, Refusal, Response};
use drawspan_client::{C2dDelivery, Credentials, DeviceSession, HeldBytes, MethodRequestId};
use drawspan_gateway::{CallbackUrl, DeviceError, Held, Presence, Subscribed};
use drawspan_hub::{DeviceId, Failure, HostName};
use drawspan_store::StoreFault;
use tokio::sync::oneshot;

use super::errors::request_failed;
use super::routes::Route;

/// AMQP connections, HTTP callers and a store.
#[derive(Debug)]
pub(super) struct Runtime;

pub(super) type Controller = drawspan_bridge::Controller<Runtime>;
pub(super) type Input = controller::Input<Runtime>;
pub(super) type Action = controller::Action<Runtime>;
pub(super) type Profile = controller::Profile<ListedDevices>;
pub(super) type Location = controller::Location<DeviceSession>;

impl Platform for Runtime {
    type Session = DeviceSession;
    type Delivery = C2dDelivery;
    type MethodRequest = MethodRequestId;
    type Share = HeldBytes;
    type Callback = CallbackUrl;
    type Route = Arc<Route>;
    type Caller = Caller;
    type Listing = ListedDevices;
    type StoreFault = StoreFault;
}

impl controller::Route for Route {
    fn last_use(&self) -> Option<Duration> {
        self.last_use()
    }

    fn serial(&self) -> u32 {
        self.serial
    }
}

/// The list of devices, which may be exchanged while it is in use.
#[derive(Debug, Clone)]
pub(super) struct ListedDevices(pub(super) Arc<Credentials>);

impl controller::Listing for ListedDevices {
    fn hub_of(&self, device: &DeviceId) -> Option<HostName> {
        self.0.listed_hub(device)
    }
}

/// The receiver of an answer. The caller may have given up, which is fine.
pub(super) type Reply<T> = oneshot::Sender<Result<T, DeviceError>>;

/// The waiter for an answer, by kind of request.
#[derive(Debug)]
pub(super) enum Caller {
    /// A route.
    Route(oneshot::Sender<Result<Arc<Route>, Refusal>>, Presence),
    /// A registration.
    Registration(oneshot::Sender<Result<(), Failure>>, Presence),
    /// A subscription.
    Subscription(Reply<Subscribed>),
    /// A message.
    Message(Reply<Option<Held>>),
    /// A list that was read again.
    Relisted(oneshot::Sender<controller::Relisted>),
    /// An answer without a value.
    Done(Reply<()>),
}

impl controller::Caller for Caller {
    fn is_gone(&self) -> bool {
        match self {
            Self::Route(reply, _) => reply.is_closed(),
            Self::Registration(reply, _) => reply.is_closed(),
            Self::Subscription(reply) => reply.is_closed(),
            Self::Message(reply) => reply.is_closed(),
            Self::Relisted(reply) => reply.is_closed(),
            Self::Done(reply) => reply.is_closed(),
        }
    }

    fn has_hung_up(&self) -> bool {
        match self {
            Self::Route(_, presence) | Self::Registration(_, presence) => presence.has_hung_up(),
            Self::Subscription(_) | Self::Message(_) | Self::Relisted(_) | Self::Done(_) => false,
        }
    }
}

impl Caller {
    pub(super) fn answer(self, answer: Response<Runtime>) {
        match (self, answer) {
            (Self::Route(reply, _), Response::Connected(route)) => _ = reply.send(Ok(route)),
            (Self::Route(reply, _), Response::NotConnected(refusal)) => {
                _ = reply.send(Err(refusal))
            }
            (Self::Registration(reply, _), Response::Registered(answer)) => _ = reply.send(answer),
            (Self::Subscription(reply), Response::Subscribed(subscription, status)) => {
                _ = reply.send(Ok((subscription, status)));
            }
            (Self::Message(reply), Response::Message(held)) => {
                _ = reply.send(Ok(held.map(|held| *held)));
            }
            (Self::Relisted(reply), Response::Relisted(relisted)) => _ = reply.send(relisted),
            (Self::Done(reply), Response::Done) => _ = reply.send(Ok(())),
            (Self::Subscription(reply), Response::Error(error)) => {
                _ = reply.send(Err(request_failed(error)))
            }
            (Self::Message(reply), Response::Error(error)) => {
                _ = reply.send(Err(request_failed(error)))
            }
            (Self::Done(reply), Response::Error(error)) => {
                _ = reply.send(Err(request_failed(error)))
            }
            (caller, answer) => {
                debug_assert!(false, "{caller:?} does not wait for {answer:?}");
            }
        }
    }
}
