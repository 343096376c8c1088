//! A device's session over MQTT, and how the hub reaches the task of its connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use drawspan_emulator_hub::sessions::{CallFailure, DeviceSession, MethodCall};
use drawspan_hub_model::event::Protocol;
use tokio::sync::mpsc;

use super::twin::Answer;
use crate::limits::PUSHES_MAX;

/// Asks a connection's task to look at what may have changed.
#[derive(Debug)]
pub(super) struct Wake;

/// A device's session. What happens to it waits here for the connection's task.
#[derive(Debug)]
pub(super) struct MqttSession {
    protocol: Protocol,
    connection: u64,
    wake: mpsc::Sender<Wake>,
    takes_calls: AtomicBool,
    news: Mutex<News>,
}

/// What the connection's task has to look at.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The device has another session now.
    pub(super) replaced: bool,
    /// The device may not be allowed any more.
    pub(super) identity_changed: bool,
    /// There is a message for the device.
    pub(super) message_waits: bool,
    /// What is to be sent, in its order.
    pub(super) pushes: Vec<Push>,
    /// Too much waited to be sent: something is lost.
    pub(super) overrun: bool,
}

/// Something that is to be sent to the device.
#[derive(Debug)]
pub(super) enum Push {
    Call(MethodCall),
    /// A patch of desired properties.
    Desired(Bytes),
    /// The answer to a request about the twin.
    Twin(Answer),
}

impl MqttSession {
    /// On the connection of that number.
    pub(super) fn new(protocol: Protocol, connection: u64, wake: mpsc::Sender<Wake>) -> Self {
        Self {
            protocol,
            connection,
            wake,
            takes_calls: AtomicBool::new(false),
            news: Mutex::default(),
        }
    }

    /// Whether the device takes method calls from now on.
    pub(super) fn set_takes_calls(&self, takes: bool) {
        self.takes_calls.store(takes, Ordering::Release);
    }

    /// What has happened since the last time.
    pub(super) fn take_news(&self) -> News {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn push(&self, push: Push) {
        self.note(|news| {
            if news.pushes.len() < PUSHES_MAX {
                news.pushes.push(push);
                return;
            }
            match push {
                // The caller may have given up.
                Push::Call(call) => _ = call.answer.send(Err(CallFailure::TooMany)),
                Push::Desired(_) | Push::Twin(_) => news.overrun = true,
            }
        });
    }

    fn note(&self, note: impl FnOnce(&mut News)) {
        note(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
        // Full means that a wake-up waits already; closed, that there is no connection any more.
        let _ = self.wake.try_send(Wake);
    }
}

impl DeviceSession for MqttSession {
    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn connection(&self) -> u64 {
        self.connection
    }

    fn replaced(&self) {
        self.note(|news| news.replaced = true);
    }

    fn identity_changed(&self) {
        self.note(|news| news.identity_changed = true);
    }

    fn message_waits(&self) {
        self.note(|news| news.message_waits = true);
    }

    fn desired(&self, patch: &Bytes) {
        self.push(Push::Desired(patch.clone()));
    }

    fn takes_calls(&self) -> bool {
        self.takes_calls.load(Ordering::Acquire)
    }

    fn call(&self, call: MethodCall) -> Result<(), MethodCall> {
        if !self.takes_calls() {
            return Err(call);
        }
        self.push(Push::Call(call));
        Ok(())
    }
}
