//! The rates and the quota of a running hub.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drawspan_hub::ErrorCode;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::throttle::{
    Admission, ClassState, Now, OperationClass, QuotaState, RateLimits, Refusal, Throttle,
};
use tokio::sync::Notify;

use super::Hub;
use crate::limits::THROTTLED_BYTES_MAX;

/// The throttle of a hub, shared by its connections.
#[derive(Debug)]
pub(super) struct HeldThrottle {
    /// Whether anything is limited. Read without the lock, so that a hub without limits loses no time.
    on: AtomicBool,
    held: Mutex<Throttle>,
    /// Notified when the limits change.
    changed: Notify,
    /// Bytes of what waits.
    waiting_bytes: Arc<AtomicUsize>,
}

/// Room for the bytes of an operation that waits, until it is dropped.
pub struct Room {
    bytes: usize,
    of: Arc<AtomicUsize>,
}

/// What goes on at a hub that has limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottleState {
    /// The limits in force.
    pub limits: RateLimits,
    /// Classes of operations that have a limit.
    pub classes: Vec<ClassState>,
    /// The daily quota, if there is one.
    pub quota: Option<QuotaState>,
}

impl HeldThrottle {
    pub(super) fn new(limits: RateLimits, now: Now) -> Self {
        let throttle = Throttle::new(limits, now);
        Self {
            on: AtomicBool::new(!throttle.is_off()),
            held: Mutex::new(throttle),
            changed: Notify::new(),
            waiting_bytes: Arc::default(),
        }
    }

    fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    fn held(&self) -> MutexGuard<'_, Throttle> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// Whether anything is limited at the hub.
    pub fn is_throttled(&self) -> bool {
        self.throttle.is_on()
    }

    /// Asks whether operations of a class that come together may pass: now, at a time of [`Hub::elapsed`], or not at all. `cost`
    /// counts for the rate, the `sizes` of the data in bytes for the quota. A refusal is an event of `client`, if it is known.
    pub fn throttle(
        &self,
        client: Option<&ClientId>,
        class: OperationClass,
        cost: u64,
        sizes: impl IntoIterator<Item = usize>,
    ) -> Admission {
        if !self.throttle.is_on() {
            return Admission::Now;
        }
        let now = self.now();
        let admission = self.throttle.held().admit(class, cost, sizes, now);
        if let Admission::Refused(refusal) = admission {
            self.emit_throttled(client.cloned(), class, refusal.code);
        }
        admission
    }

    /// Waits until operations may pass, for callers that have nothing else to do. See [`Hub::throttle`].
    ///
    /// # Errors
    /// When they may not.
    pub async fn pass(
        &self,
        client: Option<&ClientId>,
        class: OperationClass,
        cost: u64,
        sizes: impl IntoIterator<Item = usize>,
    ) -> Result<(), Refusal> {
        match self.throttle(client, class, cost, sizes) {
            Admission::Now => Ok(()),
            Admission::At(at) => {
                self.until_due(at).await;
                Ok(())
            }
            Admission::Refused(refusal) => Err(refusal),
        }
    }

    /// Counts data of these sizes, in bytes, as messages of the daily quota.
    pub fn charge(&self, sizes: impl IntoIterator<Item = usize>) {
        if self.throttle.is_on() {
            let now = self.now();
            self.throttle.held().charge(sizes, now);
        }
    }

    /// Whether the hub's tier has operations of a class at all.
    ///
    /// # Errors
    /// The hub's code if not.
    pub fn has(&self, class: OperationClass) -> Result<(), ErrorCode> {
        match self.throttle.is_on() && !self.throttle.held().has(class) {
            true => Err(ErrorCode::OPERATION_NOT_AVAILABLE_IN_CURRENT_TIER),
            false => Ok(()),
        }
    }

    /// Takes room for the bytes of an operation that waits; `None` if too much waits already.
    pub fn room(&self, bytes: usize) -> Option<Room> {
        let of = Arc::clone(&self.throttle.waiting_bytes);
        let taken = of.fetch_update(Ordering::AcqRel, Ordering::Acquire, |all| {
            all.checked_add(bytes)
                .filter(|all| *all <= THROTTLED_BYTES_MAX)
        });
        taken.ok().map(|_| Room { bytes, of })
    }

    /// A refusal for lack of room for what waits, which is an event of the client.
    pub fn refuse_for_room(&self, client: &ClientId, class: OperationClass) -> Refusal {
        let code = ErrorCode::THROTTLE_BACKLOG_LIMIT_EXCEEDED;
        self.emit_throttled(Some(client.clone()), class, code);
        Refusal {
            code,
            retry_after: Duration::ZERO,
        }
    }

    /// Operations with this time and earlier ones have waited enough: the time, or any time if the hub has no limits any more.
    pub fn due_by(&self) -> Duration {
        match self.throttle.is_on() {
            true => self.elapsed(),
            false => Duration::MAX,
        }
    }

    /// Waits until [`Hub::due_by`] is `at` or later.
    pub async fn until_due(&self, at: Duration) {
        loop {
            // Before looking, so that no change slips in between.
            let mut changed = std::pin::pin!(self.throttle.changed.notified());
            changed.as_mut().enable();
            let due = self.due_by();
            if due >= at {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = self.clock.sleep(at - due) => {}
            }
        }
    }

    /// The limits in force, and what goes on under them.
    pub fn throttle_state(&self) -> ThrottleState {
        let (now, held) = (self.now(), self.throttle.held());
        ThrottleState {
            limits: held.limits().clone(),
            classes: held.classes(now),
            quota: held.quota(now),
        }
    }

    /// What `read` wants of the limits in force.
    pub fn rate_limits<T>(&self, read: impl FnOnce(&RateLimits) -> T) -> T {
        read(self.throttle.held().limits())
    }

    /// Puts other limits in force, at once. What waits keeps its time, or passes now if nothing is limited any more.
    pub fn set_rate_limits(&self, limits: RateLimits) {
        let now = self.now();
        let mut held = self.throttle.held();
        held.replace(limits, now);
        self.throttle.on.store(!held.is_off(), Ordering::Release);
        drop(held);
        self.throttle.changed.notify_waiters();
    }

    /// Time since the hub's clock was made, by which rates go.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn now(&self) -> Now {
        Now {
            elapsed: self.clock.elapsed(),
            unix_ms: self.clock.unix_ms(),
        }
    }

    fn emit_throttled(&self, client: Option<ClientId>, class: OperationClass, code: ErrorCode) {
        match code {
            ErrorCode::QUOTA_EXCEEDED => self.emit(HubEvent::QuotaExceeded { client, class }),
            // Of the tier, not of the rate.
            ErrorCode::OPERATION_NOT_AVAILABLE_IN_CURRENT_TIER => {}
            code => self.emit(HubEvent::Throttled {
                client,
                class,
                code,
            }),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({})", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::test_hub::{hub, hub_at};

    #[test]
    fn a_hub_without_limits_looks_at_nothing() {
        let hub = hub(&[]);
        let sizes = std::iter::from_fn(|| -> Option<usize> { panic!("it was looked at") });
        let admission = hub.throttle(None, OperationClass::D2c, 1, sizes);
        assert_eq!(admission, Admission::Now);
        hub.charge(std::iter::from_fn(|| panic!("it was looked at")));
        assert_eq!(hub.due_by(), Duration::MAX);
    }

    #[tokio::test]
    async fn a_wait_ends_at_its_time_or_with_the_limits() {
        let (clock, hand) = Clock::manual(1_000_000);
        let hub = hub_at(clock, &[]);
        let limits = |word: &str| {
            let mut limits = RateLimits::default();
            limits.apply(word).unwrap();
            hub.set_rate_limits(limits);
        };
        limits("d2c=1/s");
        let at = Duration::from_secs(2);
        let waits = tokio::spawn({
            let hub = Arc::clone(&hub);
            async move { hub.until_due(at).await }
        });
        tokio::task::yield_now().await;
        hand.advance(Duration::from_millis(1_999));
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        hand.advance(Duration::from_millis(1));
        waits.await.unwrap();
        let waits = tokio::spawn({
            let hub = Arc::clone(&hub);
            async move { hub.until_due(at * 100).await }
        });
        tokio::task::yield_now().await;
        // Others in force change nothing.
        limits("d2c=5/s");
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        limits("off");
        waits.await.unwrap();
    }
}
