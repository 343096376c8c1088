//! Types that the controller passes on without inspecting them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use drawspan_hub::{DeviceId, HostName};

use crate::subscriptions::Callback;

/// The types that the owner of a controller chooses. The controller stores and returns them; it uses only what their traits offer.
pub trait Platform: fmt::Debug + 'static {
    /// A device's session on a connection.
    type Session: Copy + PartialEq + fmt::Debug;
    /// A cloud-to-device message on its link, to be named in its outcome.
    type Delivery: Copy + fmt::Debug;
    /// A direct method, to be named in its answer. Its text is the hub's id of the request.
    type MethodRequest: Clone + fmt::Debug + fmt::Display;
    /// A message's share of the memory that messages may hold. It is given back when this is dropped.
    type Share: fmt::Debug;
    /// The receiver of events.
    type Callback: Callback;
    /// The way to a connected device.
    type Route: Route + Clone;
    /// A caller that waits for an answer.
    type Caller: Caller;
    /// The list of devices, where each is listed with its hub.
    type Listing: Listing;
    /// Why something could not be stored.
    type StoreFault: Copy + PartialEq + fmt::Debug;
}

/// The way to a connected device, by which requests pass the controller.
pub trait Route: fmt::Debug {
    /// When the last request used it, monotonic. `None` until a request has used the route. A route that exists only because of a
    /// subscription stays `None`.
    fn last_use(&self) -> Option<Duration>;

    /// The attempt by which the device was connected, see [`AttemptId`](drawspan_hub::AttemptId).
    fn serial(&self) -> u32;
}

impl<R: Route> Route for Arc<R> {
    fn last_use(&self) -> Option<Duration> {
        R::last_use(self)
    }

    fn serial(&self) -> u32 {
        R::serial(self)
    }
}

/// A caller that waits for an answer.
pub trait Caller: fmt::Debug {
    /// Whether the caller has hung up, so that an answer would not arrive.
    fn is_gone(&self) -> bool;

    /// Whether the caller says nothing more: it has most likely hung up, but an answer may still be read. Those who stay go
    /// before it.
    fn has_hung_up(&self) -> bool {
        false
    }
}

/// Devices that are listed one by one.
pub trait Listing: fmt::Debug {
    /// The hub that a device belongs to; `None` if it is not listed.
    fn hub_of(&self, device: &DeviceId) -> Option<HostName>;
}
