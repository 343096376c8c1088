//! Origins: receivers identified by scheme, host and port.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use drawspan_fleet::mutation::{Mutation, planted};

use super::Load;
use super::breaker::{Breaker, OriginNews, Sign};
use super::lane::LaneId;
use super::timers::{Timer, Timers};
use crate::limits;

/// Names an origin for as long as something is for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct OriginId(u64);

#[derive(Debug)]
pub(super) struct Origins {
    by_name: HashMap<Arc<str>, OriginId>,
    origins: HashMap<OriginId, Origin>,
    /// Origins where an attempt may begin, in order.
    turns: BTreeMap<u64, OriginId>,
    /// Origins whose wake-up must be set again.
    touched: Vec<OriginId>,
    next: u64,
    attempts_each: usize,
    most: usize,
    /// Of all of them.
    charged_bytes: usize,
}

#[derive(Debug)]
struct Origin {
    name: Arc<str>,
    breaker: Breaker,
    /// Events for it, wherever they are in their lanes.
    events: usize,
    /// The memory used by these events.
    charged_bytes: usize,
    under_way: usize,
    /// Lanes whose turn it is, in their order.
    ready: BTreeMap<u64, LaneId>,
    /// Its place in the turns.
    turn: Option<u64>,
    /// The earliest moment that is set for it.
    timer: Option<Duration>,
}

impl Origins {
    pub(super) fn new(attempts_each: usize, most: usize) -> Self {
        Self {
            by_name: HashMap::new(),
            origins: HashMap::new(),
            turns: BTreeMap::new(),
            touched: Vec::new(),
            next: 0,
            attempts_each,
            most,
            charged_bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.origins.len()
    }

    /// Whether an event of this size is within the share of its origin, where `most_bytes` are for all events. An origin may take
    /// as much as a part of what is free, so that it leaves room for others however long its events wait.
    pub(super) fn has_share(&self, name: &str, size_bytes: usize, most_bytes: usize) -> bool {
        let free = most_bytes.saturating_sub(self.charged_bytes);
        let id = self.by_name.get(name);
        let origin = id.and_then(|id| self.origins.get(id));
        let taken = origin.map_or(0, |origin| origin.charged_bytes);
        let share = free.saturating_mul(limits::ORIGIN_SHARE_PERCENT) / 100;
        let is_within = taken.saturating_add(size_bytes) <= share;
        size_bytes <= free && (is_within || planted(Mutation::OneTakesAll))
    }

    /// Adds an event to this origin. `None` if there are too many origins.
    pub(super) fn add_event(&mut self, name: &Arc<str>, charged_bytes: usize) -> Option<OriginId> {
        let id = match self.by_name.get(name) {
            Some(id) => *id,
            None => self.add(name)?,
        };
        let origin = self.origins.get_mut(&id)?;
        origin.events += 1;
        origin.charged_bytes = origin.charged_bytes.saturating_add(charged_bytes);
        self.charged_bytes = self.charged_bytes.saturating_add(charged_bytes);
        Some(id)
    }

    fn add(&mut self, name: &Arc<str>) -> Option<OriginId> {
        if self.origins.len() >= self.most {
            return None;
        }
        self.next += 1;
        let id = OriginId(self.next);
        let origin = Origin {
            name: Arc::clone(name),
            breaker: Breaker::Closed { failures: 0 },
            events: 0,
            charged_bytes: 0,
            under_way: 0,
            ready: BTreeMap::new(),
            turn: None,
            timer: None,
        };
        self.by_name.insert(Arc::clone(name), id);
        self.origins.insert(id, origin);
        Some(id)
    }

    /// An event fewer.
    pub(super) fn remove_event(&mut self, id: OriginId, charged_bytes: usize) {
        if let Some(origin) = self.origins.get_mut(&id) {
            origin.events = origin.events.saturating_sub(1);
            origin.charged_bytes = origin.charged_bytes.saturating_sub(charged_bytes);
            self.charged_bytes = self.charged_bytes.saturating_sub(charged_bytes);
        }
        self.settle(id);
    }

    /// It is a lane's turn, in that place.
    pub(super) fn enqueue(&mut self, id: OriginId, place: u64, lane: LaneId, now: Duration) {
        if let Some(origin) = self.origins.get_mut(&id) {
            origin.ready.insert(place, lane);
        }
        self.enlist(id, now);
    }

    /// It is not that lane's turn any more.
    pub(super) fn dequeue(&mut self, id: OriginId, place: u64) {
        if let Some(origin) = self.origins.get_mut(&id) {
            origin.ready.remove(&place);
        }
    }

    /// The lane whose turn it is, at the origin whose turn it is.
    pub(super) fn next_turn(&mut self, now: Duration) -> Option<LaneId> {
        while let Some((_, id)) = self.turns.pop_first() {
            let Some(origin) = self.origins.get_mut(&id) else {
                continue;
            };
            origin.turn = None;
            if !origin.may_begin(self.attempts_each, now) {
                self.touched.push(id);
                continue;
            }
            if let Some((_, lane)) = origin.ready.pop_first() {
                return Some(lane);
            }
        }
        None
    }

    /// An attempt begins.
    pub(super) fn begins(&mut self, id: OriginId, serial: u64, now: Duration) {
        if let Some(origin) = self.origins.get_mut(&id) {
            origin.under_way += 1;
            origin.breaker.begins(serial);
        }
        self.enlist(id, now);
    }

    /// An attempt is over. The origin's name, if there is news of it.
    pub(super) fn ends(
        &mut self,
        id: OriginId,
        serial: u64,
        sign: Sign,
        now: Duration,
    ) -> Option<(Arc<str>, OriginNews)> {
        let origin = self.origins.get_mut(&id)?;
        origin.under_way = origin.under_way.saturating_sub(1);
        let news = origin.breaker.ends(serial, sign, now);
        let news = news.map(|news| (Arc::clone(&origin.name), news));
        self.enlist(id, now);
        news
    }

    /// An attempt that did not begin after all makes room for the next.
    pub(super) fn again(&mut self, id: OriginId, now: Duration) {
        self.enlist(id, now);
    }

    pub(super) fn name(&self, id: OriginId) -> Option<&Arc<str>> {
        self.origins.get(&id).map(|origin| &origin.name)
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Adds what is known of each.
    pub(super) fn add_to(&self, load: &mut Load) {
        for origin in self.origins.values() {
            load.events += origin.events;
            load.left_alone += usize::from(!origin.breaker.is_closed());
            load.most_bytes = load.most_bytes.max(origin.charged_bytes);
        }
    }

    /// Whether attempts begin there as they come.
    pub(super) fn is_closed(&self, id: OriginId) -> bool {
        let origin = self.origins.get(&id);
        origin.is_none_or(|origin| origin.breaker.is_closed())
    }

    /// Lanes that wait for it.
    pub(super) fn ready(&self, id: OriginId) -> impl Iterator<Item = LaneId> {
        let origin = self.origins.get(&id);
        origin
            .into_iter()
            .flat_map(|origin| origin.ready.values().copied())
    }

    pub(super) fn wake(&mut self, id: OriginId, at: Duration, now: Duration) {
        let Some(origin) = self.origins.get_mut(&id) else {
            return;
        };
        if origin.timer != Some(at) {
            return;
        }
        origin.timer = None;
        if origin.is_idle() && origin.remembered_until().is_none_or(|until| until <= now) {
            self.forget(id);
        } else {
            self.enlist(id, now);
        }
    }

    pub(super) fn waits_for(&self, id: OriginId, at: Duration) -> bool {
        self.origins
            .get(&id)
            .is_some_and(|origin| origin.timer == Some(at))
    }

    /// Sets the moments that those which changed wait for.
    pub(super) fn arm(&mut self, timers: &mut Timers) {
        for id in std::mem::take(&mut self.touched) {
            let Some(origin) = self.origins.get_mut(&id) else {
                continue;
            };
            let Some(at) = origin.next_timer() else {
                continue;
            };
            if origin.timer.is_none_or(|set| at < set) {
                origin.timer = Some(at);
                timers.set(at, Timer::Origin(id));
            }
        }
    }

    pub(super) fn shrink(&mut self) {
        let (len, capacity) = (self.origins.len(), self.origins.capacity());
        if capacity > limits::KEPT_CAPACITY && len < capacity / 8 {
            self.origins.shrink_to(2 * len);
            self.by_name.shrink_to(2 * len);
        }
    }

    /// Gives it a turn if it can use one and has none yet.
    fn enlist(&mut self, id: OriginId, now: Duration) {
        let Some(origin) = self.origins.get_mut(&id) else {
            return;
        };
        if origin.turn.is_none() && origin.may_begin(self.attempts_each, now) {
            self.next += 1;
            origin.turn = Some(self.next);
            self.turns.insert(self.next, id);
        }
        self.settle(id);
    }

    /// Forgets it if there is nothing to remember, else looks later what to wake it up for.
    fn settle(&mut self, id: OriginId) {
        let Some(origin) = self.origins.get(&id) else {
            return;
        };
        if origin.is_idle() && origin.breaker.is_closed() {
            self.forget(id);
        } else if !origin.breaker.is_closed() {
            self.touched.push(id);
        }
    }

    fn forget(&mut self, id: OriginId) {
        let Some(origin) = self.origins.remove(&id) else {
            return;
        };
        self.by_name.remove(&origin.name);
        if let Some(turn) = origin.turn {
            self.turns.remove(&turn);
        }
    }
}

impl Origin {
    const fn is_idle(&self) -> bool {
        self.events == 0 && self.under_way == 0
    }

    fn may_begin(&self, most: usize, now: Duration) -> bool {
        !self.ready.is_empty() && self.breaker.permits(self.under_way, most, now)
    }

    /// Until when it counts that it failed, if nothing is for it.
    fn remembered_until(&self) -> Option<Duration> {
        match self.breaker {
            Breaker::Open { until, .. } => Some(until + limits::ORIGIN_REMEMBERED),
            Breaker::Closed { .. } | Breaker::Probing { .. } => None,
        }
    }

    /// The end of its pause, or of our memory.
    fn next_timer(&self) -> Option<Duration> {
        if self.is_idle() {
            return self.remembered_until();
        }
        match self.breaker {
            Breaker::Open { until, .. } if !self.ready.is_empty() && self.turn.is_none() => {
                Some(until)
            }
            _ => None,
        }
    }
}
