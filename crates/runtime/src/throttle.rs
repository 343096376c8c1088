//! Requests that wait for their turn at a hub of known size.
//!
//! Almost all go at once, for the price of an atomic. When a hub's rate binds, requests wait in a [`FairQueue`], and a task lets them
//! go, at the hub's rate, until none is left.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drawspan_client::TwinOperation;
use drawspan_fleet::fair_limiter::{Admission, FairLimiter};
use drawspan_fleet::fair_queue::FairQueue;
use drawspan_fleet::{Paces, ServiceId};
use drawspan_gateway::DeviceError;
use drawspan_net::Clock;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::operation::Operation;
use super::routes::Route;
use crate::limits::{QUEUE_PATIENCE_S, TURN_STEP_MS};

/// What has a rate of its own at a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Send,
    TwinRead,
    TwinUpdate,
}

impl Kind {
    const fn of(operation: &Operation) -> Self {
        match operation {
            Operation::Send(..) => Self::Send,
            Operation::Twin(TwinOperation::Get) => Self::TwinRead,
            Operation::Twin(TwinOperation::Report(_)) => Self::TwinUpdate,
        }
    }

    const fn limiter(self, paces: &Paces) -> &FairLimiter {
        match self {
            Self::Send => &paces.sends,
            Self::TwinRead => &paces.twin_reads,
            Self::TwinUpdate => &paces.twin_updates,
        }
    }
}

/// The requests that wait, by hub and kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<(ServiceId, Kind), Queue>>>);

type Queue = Arc<Mutex<FairQueue<oneshot::Sender<()>>>>;

impl Turns {
    /// Waits for the device's turn at its hub.
    ///
    /// # Errors
    /// [`DeviceError::Throttled`] when the queue is as long as it may be, this device has its share of it already, or its turn did
    /// not come in time.
    pub(super) async fn wait(
        &self,
        route: &Route,
        operation: &Operation,
        clock: Clock,
        deadline: Instant,
    ) -> Result<(), DeviceError> {
        let kind = Kind::of(operation);
        let limiter = kind.limiter(&route.paces);
        if !limiter.is_limited() {
            return Ok(());
        }
        let queued = route.queued.load(Ordering::Relaxed) > 0;
        let within_share = match limiter.admit(&route.share, queued, clock.now()) {
            Admission::Goes => return Ok(()),
            Admission::Waits { within_share } => within_share,
        };
        let turn = self.push(
            (route.hub, &route.paces),
            (kind, route.serial, within_share),
            clock,
        )?;
        let _queued = Queued::new(route);
        let patience = Instant::now() + Duration::from_secs(QUEUE_PATIENCE_S);
        match timeout_at(deadline.min(patience), turn).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(throttled(limiter.interval())),
        }
    }

    fn push(
        &self,
        (hub, paces): (ServiceId, &Arc<Paces>),
        (kind, device, within_share): (Kind, u32, bool),
        clock: Clock,
    ) -> Result<oneshot::Receiver<()>, DeviceError> {
        let limiter = kind.limiter(paces);
        let queue = self.queue(hub, kind, limiter);
        let (go, turn) = oneshot::channel();
        let mut waiting = held(&queue);
        let was_empty = waiting.is_empty();
        waiting.push(device, within_share, go).map_err(|full| {
            let turns = u32::try_from(full.turns).unwrap_or(u32::MAX);
            throttled(limiter.interval().saturating_mul(turns))
        })?;
        limiter.note_waiting(waiting.len());
        drop(waiting);
        if was_empty {
            tokio::spawn(let_go(queue, Arc::clone(paces), kind, clock));
        }
        Ok(turn)
    }

    fn queue(&self, hub: ServiceId, kind: Kind, limiter: &FairLimiter) -> Queue {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most =
            Duration::from_secs(QUEUE_PATIENCE_S).as_nanos() / limiter.interval().as_nanos().max(1);
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        let queue = queues
            .entry((hub, kind))
            .or_insert_with(|| Arc::new(Mutex::new(FairQueue::new(most))));
        Arc::clone(queue)
    }
}

/// Lets the requests of a queue go as the hub's rate allows, until none is left.
async fn let_go(queue: Queue, paces: Arc<Paces>, kind: Kind, clock: Clock) {
    let limiter = kind.limiter(&paces);
    loop {
        let now = clock.now();
        let wait = {
            let mut waiting = held(&queue);
            let permit = match waiting.next_is_first() {
                true => limiter.take_first(now),
                false => limiter.take_turn(now),
            };
            if permit.is_ok() {
                // A permit that none takes is lost, which costs one interval.
                if let Some(go) = waiting.pop(oneshot::Sender::is_closed) {
                    let _ = go.send(());
                }
                limiter.note_waiting(waiting.len());
            }
            if waiting.is_empty() {
                return;
            }
            permit.err()
        };
        if let Some(wait) = wait {
            // One that is within its device's share may come meanwhile, and go earlier.
            let step = limiter.interval().max(Duration::from_millis(TURN_STEP_MS));
            sleep(wait.min(step)).await;
        }
    }
}

fn held(queue: &Queue) -> MutexGuard<'_, FairQueue<oneshot::Sender<()>>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

fn throttled(wait: Duration) -> DeviceError {
    DeviceError::Throttled {
        retry_after_s: wait.as_secs() + 1,
    }
}

/// A request of a device that waits.
struct Queued<'a>(&'a Route);

impl<'a> Queued<'a> {
    fn new(route: &'a Route) -> Self {
        route.queued.fetch_add(1, Ordering::Relaxed);
        Self(route)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drawspan_hub::limits::HubSize;
    use tokio::task::JoinSet;

    const HUB: ServiceId = ServiceId::of(1);

    /// Uses up what may go at once.
    fn exhaust(paces: &Paces, clock: Clock) {
        while paces.sends.take_first(clock.now()).is_ok() {}
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_goes_at_the_rate_and_devices_take_turns() {
        let paces = Arc::new(Paces::of(Some(HubSize::S1)));
        let (turns, clock) = (Turns::default(), Clock::start());
        exhaust(&paces, clock);
        let began = clock.now();
        let mut going = JoinSet::new();
        let noisy = std::iter::repeat_n(7, 64);
        for device in noisy.chain(1..=5) {
            let kind = (Kind::Send, device, false);
            let turn = turns.push((HUB, &paces), kind, clock).unwrap();
            going.spawn(async move {
                turn.await.unwrap();
                (device, clock.now())
            });
        }
        let full = turns.push((HUB, &paces), (Kind::Send, 7, false), clock);
        assert!(matches!(
            full,
            Err(DeviceError::Throttled { retry_after_s: 1 })
        ));
        let mut others = Vec::new();
        let mut last = began;
        while let Some(Ok((device, at))) = going.join_next().await {
            last = last.max(at);
            others.extend((device != 7).then_some(at - began));
        }
        // Half a second's worth comes back first: it is for those who send little.
        let all = last - began;
        let expected = Duration::from_millis(500 + 690);
        assert!(all >= expected.mul_f64(0.95), "{all:?}");
        assert!(all <= expected.mul_f64(1.2), "{all:?}");
        assert_eq!(others.len(), 5);
        assert!(others.iter().all(|at| *at < Duration::from_millis(700)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_within_its_share_does_not_wait_for_the_others() {
        let paces = Arc::new(Paces::of(Some(HubSize::S1)));
        let (turns, clock) = (Turns::default(), Clock::start());
        exhaust(&paces, clock);
        let push = |device, within_share| {
            let kind = (Kind::Send, device, within_share);
            turns.push((HUB, &paces), kind, clock).unwrap()
        };
        let noisy: Vec<_> = (0..60).map(|_| push(7, false)).collect();
        sleep(Duration::from_millis(1)).await;
        let began = clock.now();
        push(1, true).await.unwrap();
        assert!(clock.now() - began <= Duration::from_millis(25));
        drop(noisy);
        // Those who gave up take no turn, and the queue ends.
        sleep(Duration::from_secs(2)).await;
        let began = clock.now();
        push(2, false).await.unwrap();
        assert!(clock.now() - began <= Duration::from_millis(25));
    }
}
