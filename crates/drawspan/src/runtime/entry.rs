//! One device as the shard keeps it: the pure machine, and what the shell must remember for it.

use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::Device;
use drawspan_bridge::device::Epoch;
use drawspan_client::{ConnectionKey, DeviceSession};
use drawspan_hub::{DeviceId, Failure};
use tokio::sync::oneshot;

use super::directory::Route;

/// Somebody who waits for the device to be connected.
#[derive(Debug)]
pub(super) struct Waiter {
    /// A route that did not work for the caller; another one is needed.
    pub(super) not: Option<u32>,
    pub(super) reply: oneshot::Sender<Result<Arc<Route>, Failure>>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: DeviceId,
    pub(super) machine: Device,
    pub(super) attempt: Option<Attempt>,
    pub(super) route: Option<Arc<Route>>,
    pub(super) waiters: Vec<Waiter>,
    /// The earliest timer that is set.
    pub(super) timer: Option<Duration>,
}

/// What was asked of a connection for the device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// Unique over all devices and attempts.
    pub(super) serial: u32,
    pub(super) epoch: Epoch,
    pub(super) connection: ConnectionKey,
    /// Once it is open.
    pub(super) session: Option<DeviceSession>,
}

impl Entry {
    pub(super) fn new(id: DeviceId, machine: Device) -> Self {
        Self {
            id,
            machine,
            attempt: None,
            route: None,
            waiters: Vec::new(),
            timer: None,
        }
    }

    /// The device is connected: who waits for a route gets it, but for those who had just this one.
    pub(super) fn answer_waiters(&mut self) {
        let Some(route) = &self.route else { return };
        for waiter in std::mem::take(&mut self.waiters) {
            if waiter.not == Some(route.serial) {
                self.waiters.push(waiter);
            } else {
                // The caller may have given up; nothing is owed then.
                let _ = waiter.reply.send(Ok(Arc::clone(route)));
            }
        }
    }

    pub(super) fn refuse_waiters(&mut self, failure: &Failure) {
        for waiter in std::mem::take(&mut self.waiters) {
            let _ = waiter.reply.send(Err(failure.clone()));
        }
    }
}
