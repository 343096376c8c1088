//! Signals from other tasks to a connection's task.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{DeliveryId, LinkId};
use drawspan_amqp::performative::DeliveryState;
use drawspan_emulator_hub::dps::requests::{Answer, Refusal};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::sessions::{CallFailure, MethodCall};
use tokio::sync::{mpsc, watch};

use crate::limits::PUSHES_MAX;

/// Asks a connection's task to look at what may have changed.
#[derive(Debug)]
pub(super) struct Wake;

/// When a connection is to be woken, by its hub's clock.
#[derive(Clone, Debug)]
pub(super) struct Alarm {
    pub(super) hub: Arc<Hub>,
    pub(super) at: Duration,
}

/// Signals and requests of others to a connection.
#[derive(Debug)]
pub(super) struct Signals {
    wake: mpsc::Sender<Wake>,
    /// The connection's number.
    connection: AtomicU64,
    stop: AtomicBool,
    notices: Mutex<Vec<Notice>>,
    pushes: Mutex<Vec<Push>>,
    stored: Mutex<Vec<Stored>>,
    /// When the connection is woken for what waits.
    alarm: watch::Sender<Option<Alarm>>,
    /// The answer of DPS to the one request that it carries out.
    registered: Mutex<Option<Result<Answer, Refusal>>>,
}

/// Something that happened to one of the connection's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    /// A newer link took the device over.
    DeviceTaken(LinkId),
    /// The device was disabled or deleted.
    DeviceChanged(LinkId),
    /// A message for the link could not be kept: its client must start again.
    Overrun(LinkId),
    /// Changes of twins that the connection made are stored, or not.
    TwinsStored(bool),
    /// A reader of epoch `by` took the partition over.
    ReaderTaken { link: LinkId, by: i64 },
    /// Something can be delivered.
    Waiting(LinkId),
}

/// A delivery on whose peer's word, or message, the store has made an end.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) link: LinkId,
    pub(super) delivery: DeliveryId,
    pub(super) word: Word,
}

/// The hub's last word on a delivery.
#[derive(Debug)]
pub(super) enum Word {
    /// On a message that it got.
    Receiver(DeliveryState),
    /// On a message that it sent.
    Sender(DeliveryState),
}

/// Something that is to go out over one of the connection's links.
#[derive(Debug)]
pub(super) enum Push {
    /// A method call for the device whose calls go over `link`.
    Call { link: LinkId, call: MethodCall },
    /// News of desired properties for the device whose twin answers go over `link`.
    Desired { link: LinkId, patch: Bytes },
}

impl Signals {
    pub(super) fn new(wake: mpsc::Sender<Wake>) -> Self {
        Self {
            wake,
            connection: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            notices: Mutex::default(),
            pushes: Mutex::default(),
            stored: Mutex::default(),
            registered: Mutex::default(),
            alarm: watch::Sender::new(None),
        }
    }

    /// Has the connection woken at a time.
    pub(super) fn set_alarm(&self, alarm: Option<Alarm>) {
        self.alarm.send_replace(alarm);
    }

    /// Wakes the connection at the times that are set, for ever.
    pub(super) async fn ring(&self) -> Infallible {
        let mut set = self.alarm.subscribe();
        loop {
            let alarm = set.borrow_and_update().clone();
            if let Some(Alarm { hub, at }) = alarm {
                tokio::select! {
                    () = hub.until_due(at) => self.wake(),
                    // The sender is held here, so that it cannot be gone.
                    _ = set.changed() => continue,
                }
            }
            let _ = set.changed().await;
        }
    }

    /// Has the task look at everything that may have changed.
    pub(super) fn wake(&self) {
        // Full means that a wake-up is pending already; closed, that the connection is gone.
        let _ = self.wake.try_send(Wake);
    }

    /// Takes note of the connection's number.
    pub(super) fn set_connection(&self, number: u64) {
        self.connection.store(number, Ordering::Relaxed);
    }

    /// The connection's number.
    pub(super) fn connection(&self) -> u64 {
        self.connection.load(Ordering::Relaxed)
    }

    /// The emulator stops.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) fn notify(&self, notice: Notice) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        // A device that changes often needs to be looked at once.
        if !notices.contains(&notice) {
            notices.push(notice);
        }
        drop(notices);
        self.wake();
    }

    pub(super) fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Queues a message for the connection. It is refused if too many wait already.
    pub(super) fn push(&self, push: Push) {
        let mut pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner);
        if pushes.len() >= PUSHES_MAX {
            drop(pushes);
            return self.refuse(push);
        }
        pushes.push(push);
        drop(pushes);
        self.wake();
    }

    /// Has a delivery answered. There are no more of these than deliveries under way, which credit bounds.
    pub(super) fn stored(&self, stored: Stored) {
        let mut all = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(stored);
        drop(all);
        self.wake();
    }

    pub(super) fn take_stored(&self) -> Vec<Stored> {
        std::mem::take(&mut *self.stored.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has a request to DPS answered.
    pub(super) fn registered(&self, answer: Result<Answer, Refusal>) {
        let mut registered = self
            .registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *registered = Some(answer);
        drop(registered);
        self.wake();
    }

    pub(super) fn take_registered(&self) -> Option<Result<Answer, Refusal>> {
        let mut registered = self
            .registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        registered.take()
    }

    pub(super) fn take_pushes(&self) -> Vec<Push> {
        std::mem::take(&mut *self.pushes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Refuses a push for lack of room.
    fn refuse(&self, push: Push) {
        match push {
            Push::Call { call, .. } => {
                // The caller may be gone.
                let _ = call.answer.send(Err(CallFailure::TooMany));
            }
            Push::Desired { link, .. } => self.notify(Notice::Overrun(link)),
        }
    }
}
