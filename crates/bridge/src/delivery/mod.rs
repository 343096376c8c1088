//! Delivery of events to receivers: when each event is tried, and when it is finished.
//!
//! Events of one device and kind are a *lane*: their order is kept, and one of them is in progress at a time. A receiver is
//! identified by its *origin* (scheme, host, port), which has a limited number of concurrent attempts, shared by its lanes in turn;
//! origins take turns as well. After repeated failures, only an occasional probe is sent to an origin (`breaker`); events that wait
//! for it meanwhile count as untried, and their time runs.
//!
//! All events share a bounded memory, of which the events of one origin may take as much as is free: a receiver that hangs leaves
//! room for the events of others. [`NoRoom`] says when an event that was refused is worth offering again.
//!
//! Every accepted event comes out once, as a [`Finished`], except an event that a newer one replaced ([`Offered::Merged`]). Lanes
//! and origins exist while they have an event that waits or is in progress, so idle devices cost nothing.
//!
//! The owner calls [`tick`](Deliveries::tick), begins attempts until [`begin`](Deliveries::begin) returns `None`, collects
//! [`finished`](Deliveries::finished) events, and comes back when the next step is [`due`](Deliveries::due).

mod attempts;
mod breaker;
mod event;
mod lane;
mod origin;
mod pending_events;
mod schedule;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use drawspan_fleet::Chance;
use drawspan_hub::{DeviceId, SubscriptionType};

use crate::limits;

pub use breaker::OriginNews;
pub use event::{
    AttemptFailure, AttemptOutcome, Deadline, DeliveryAttempt, Finished, Job, News, NoRoom,
    Offered, Outcome, Start, Terms,
};
pub use schedule::{RetryClass, retry_class};

use lane::{Lane, LaneId};
use origin::Origins;
use timers::{Timer, Timers};

/// The owner of a lane's events.
pub type LaneName = (DeviceId, SubscriptionType);

/// The configuration of deliveries.
#[derive(Debug, Clone)]
pub struct DeliveryConfig {
    /// Attempts after the first one.
    pub retry_limit: u32,
    /// Events of one lane, the one under way included.
    pub events_per_lane: usize,
    /// Attempts under way at one origin.
    pub attempts_per_origin: usize,
    /// Attempts under way in all.
    pub attempts: usize,
    /// Bytes of all events, but for those that were taken in without room.
    pub bytes: usize,
    /// Origins that something waits for.
    pub origins: usize,
    /// For the spread of waits.
    pub seed: u64,
}

/// Events on their way. See the module.
#[derive(Debug)]
pub struct Deliveries<J> {
    config: DeliveryConfig,
    index: HashMap<LaneName, LaneId>,
    /// Boxed: the table has room for up to twice as many as there are.
    lanes: HashMap<LaneId, Box<Lane<J>>>,
    origins: Origins,
    timers: Timers,
    /// Lanes that changed since they were last looked at for what to wake them up for.
    touched: Vec<LaneId>,
    finished: VecDeque<Finished<J>>,
    news: VecDeque<News>,
    under_way: usize,
    bytes: usize,
    /// Of lanes, and of turns: never used twice.
    next_serial: u64,
    chance: Chance,
}

/// Counts of current events, attempts and origins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Events that wait or are under way.
    pub events: usize,
    /// Their bytes, according to [`Terms::size_bytes`].
    pub bytes: usize,
    /// Bytes of the origin whose events take most of the shared memory.
    pub most_bytes: usize,
    /// Attempts under way.
    pub under_way: usize,
    /// Origins that are tried now and then only.
    pub left_alone: usize,
}

impl DeliveryConfig {
    /// The limits of this crate.
    #[must_use]
    pub const fn new(retry_limit: u32, seed: u64) -> Self {
        Self {
            retry_limit,
            seed,
            events_per_lane: limits::EVENTS_PER_LANE,
            attempts_per_origin: limits::ATTEMPTS_PER_ORIGIN,
            attempts: limits::ATTEMPTS,
            bytes: limits::EVENT_BYTES,
            origins: limits::ORIGINS,
        }
    }

    /// With so many attempts in all. One origin gets half of them at most, so that one that hangs leaves some to the others.
    #[must_use]
    pub fn with_attempts(self, attempts: usize) -> Self {
        Self {
            attempts,
            attempts_per_origin: self.attempts_per_origin.min((attempts / 2).max(1)),
            ..self
        }
    }
}

impl<J: Job> Deliveries<J> {
    /// No event waits yet.
    #[must_use]
    pub fn new(config: DeliveryConfig) -> Self {
        Self {
            index: HashMap::new(),
            lanes: HashMap::new(),
            origins: Origins::new(config.attempts_per_origin, config.origins),
            timers: Timers::default(),
            touched: Vec::new(),
            finished: VecDeque::new(),
            news: VecDeque::new(),
            under_way: 0,
            bytes: 0,
            next_serial: 0,
            chance: Chance::new(config.seed),
            config,
        }
    }

    /// Events that finished other than by the end of an attempt. Call this until it returns `None`.
    pub fn finished(&mut self) -> Option<Finished<J>> {
        self.finished.pop_front()
    }

    /// Changes of origins. Call this until it returns `None`.
    pub fn news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// Whether nothing of this lane waits or is under way.
    #[must_use]
    pub fn is_idle(&self, name: &LaneName) -> bool {
        !self.index.contains_key(name)
    }

    /// Whether anything is for this origin, or remembered of it.
    #[must_use]
    pub fn knows(&self, origin: &str) -> bool {
        self.origins.knows(origin)
    }

    /// Whether nothing waits, is under way, or is remembered.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.lanes.is_empty()
            && self.index.is_empty()
            && self.origins.len() == 0
            && (self.under_way, self.bytes) == (0, 0)
    }

    /// Attempts under way.
    #[must_use]
    pub const fn under_way(&self) -> usize {
        self.under_way
    }

    /// Bytes of all events, according to [`Terms::size_bytes`].
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts of current events, attempts and origins. Visits every origin.
    #[must_use]
    pub fn load(&self) -> Load {
        let mut load = Load {
            bytes: self.bytes,
            under_way: self.under_way,
            ..Load::default()
        };
        self.origins.add_to(&mut load);
        load
    }

    /// Does what time brings: waits end, and what is late is over. Before [`begin`](Self::begin).
    pub fn tick(&mut self, now: Duration) {
        while let Some((at, timer)) = self.timers.pop_due(now) {
            match timer {
                Timer::Lane(id) => self.wake_lane(id, at, now),
                Timer::Origin(id) => self.origins.wake(id, at, now),
            }
        }
    }

    /// When to come back, at the latest.
    pub fn due(&mut self, now: Duration) -> Option<Duration> {
        for id in std::mem::take(&mut self.touched) {
            self.arm(id, now);
        }
        self.origins.arm(&mut self.timers);
        let (lanes, origins) = (&self.lanes, &self.origins);
        self.timers
            .tidy(lanes.len() + origins.len(), |at, timer| match timer {
                Timer::Lane(id) => lanes.get(&id).is_some_and(|lane| lane.timer == Some(at)),
                Timer::Origin(id) => origins.waits_for(id, at),
            });
        self.shrink();
        self.timers.next()
    }

    fn serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    /// Gives memory back after a burst.
    fn shrink(&mut self) {
        let idle =
            |len: usize, capacity: usize| capacity > limits::KEPT_CAPACITY && len < capacity / 8;
        if idle(self.lanes.len(), self.lanes.capacity()) {
            self.lanes.shrink_to(self.lanes.len() * 2);
            self.index.shrink_to(self.index.len() * 2);
        }
        if self.finished.is_empty() && self.finished.capacity() > limits::KEPT_CAPACITY {
            self.finished = VecDeque::new();
        }
        self.origins.shrink();
    }
}
