//! What the simulations call their own things.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::controller;
use drawspan_bridge::subscriptions::Callback;
use drawspan_hub::{DeviceId, HostName};

/// Numbers instead of sockets.
#[derive(Debug)]
pub(crate) struct Sim;

impl controller::Platform for Sim {
    type Session = u32;
    type Delivery = u64;
    type MethodRequest = u64;
    type Share = ();
    type Callback = Receiver;
    type Route = Route;
    type Caller = Caller;
    type Listing = Nobody;
    type StoreFault = ();
}

/// A receiver, by its number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Receiver {
    pub(crate) number: usize,
    origin: Arc<str>,
}

impl Receiver {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            origin: format!("http://r{number}").into(),
        }
    }
}

impl Callback for Receiver {
    fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    fn without_query(&self) -> &str {
        &self.origin
    }

    fn with_origin(self, _: &Arc<str>) -> Self {
        self
    }
}

/// The way to a device.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    serial: u32,
    used: Rc<Cell<Option<Duration>>>,
}

impl Route {
    pub(crate) fn new(serial: u32) -> Self {
        Self {
            serial,
            used: Rc::default(),
        }
    }

    /// A request passes the controller.
    pub(crate) fn use_at(&self, now: Duration) {
        self.used.set(Some(now));
    }
}

impl controller::Route for Route {
    fn last_use(&self) -> Option<Duration> {
        self.used.get()
    }

    fn serial(&self) -> u32 {
        self.serial
    }
}

/// A caller, who may hang up.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) number: u64,
    /// The device that it asks for.
    pub(crate) device: usize,
    pub(crate) is_gone: Rc<Cell<bool>>,
}

impl controller::Caller for Caller {
    fn is_gone(&self) -> bool {
        self.is_gone.get()
    }
}

/// Devices are not listed here.
#[derive(Debug, Clone)]
pub(crate) struct Nobody;

impl controller::Listing for Nobody {
    fn hub_of(&self, _: &DeviceId) -> Option<HostName> {
        None
    }
}
