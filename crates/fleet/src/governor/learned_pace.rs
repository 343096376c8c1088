//! Learning the pace of a hub.
//!
//! A hub holds answers back before it refuses any. While it does, devices wait for each other there, and the rate at which their
//! answers come is the hub's limit, however many more are sent. So the pace has three phases:
//!
//! * *Searching*: twice as fast after each half of a second's permits that were answered as soon as the first ones.
//! * *Draining*: answers are late. The rate at which they come is measured; the pace stays beneath it until they are on time again.
//! * *Cruising*: a little less than the rate that was measured, then slowly more, until answers are late again. The room for a burst
//!   that the hub saves up while the pace is beneath its limit is used up above it: the pace swings by a few percent around the limit.
//!   If it gets well beyond what was measured, the limit has become a higher one, and the search goes on.
//!
//! If the pace is slower and answers remain as late, the way to the hub has become longer, and is the new measure.

use std::time::Duration;

use drawspan_hub::limits::HubSize;

use super::Opening;
use super::pacer::interval_of;
use crate::limits::{
    CRUISE_GROWTH_PER_S, CRUISE_LIMIT, CRUISE_START, DRAIN_MAX, DRAIN_MIN, DRAIN_TIME_S,
    LATE_AFTER_MIN, LATE_RUN, LEARNED_INTERVAL_MAX, LEARNED_INTERVAL_MIN, LEARNING_PERIOD,
    LEARNING_SAMPLES, SEARCH_AGAIN_GROWTH, SEARCH_WAY, THROTTLED_PAUSE,
};

/// The learned state of the pace. Rates are devices per second.
#[derive(Debug, Clone)]
pub(super) struct Learning {
    /// The pace.
    rate: f64,
    fastest: f64,
    /// The rate at which the hub answered while answers were late: its limit.
    served: Option<f64>,
    /// How long that was measured.
    measured_for_s: f64,
    /// The pace at which answers began to be late.
    too_fast: f64,
    phase: Phase,
    /// Attempts that began before are not due to the pace as it is now.
    changed_at: Duration,
    /// No growth before that: the hub refused.
    not_before: Duration,
    /// Further refusals before that are due to the same pace.
    refusals_until: Duration,
    /// The shortest that an attempt took, unless the way has become longer since.
    best: Option<Duration>,
    /// How long attempts take from their permit on, those that wait for a connection.
    way: Duration,
    late: Option<LateRun>,
    recent: Meter,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Searching(Meter),
    Draining {
        /// How late the first attempt was that began at the reduced pace, and when it was answered.
        first: Option<(Duration, Duration)>,
        /// How late the least late of those since then was.
        least: Duration,
    },
    Cruising,
}

/// Answers since a time.
#[derive(Debug, Clone, Copy, Default)]
struct Meter {
    since: Duration,
    count: u32,
}

/// Answers in a row that were late.
#[derive(Debug, Clone, Copy)]
struct LateRun {
    meter: Meter,
    /// When the last one came.
    last: Duration,
    /// How late the least late of the last few was.
    least: Duration,
    /// The same of those being counted.
    next_least: Duration,
    /// How many were late in all.
    length: usize,
}

impl Meter {
    const fn starting(now: Duration) -> Self {
        Self {
            since: now,
            count: 0,
        }
    }

    fn seconds(&self, now: Duration) -> f64 {
        now.saturating_sub(self.since).as_secs_f64()
    }

    /// Answers per second.
    fn rate(&self, now: Duration) -> f64 {
        f64::from(self.count) / self.seconds(now).max(f64::EPSILON)
    }
}

impl Learning {
    /// Starts at the smallest paid hub's pace, and never gets faster than `fastest`, a time per permit.
    pub(super) fn new(fastest: Duration) -> Self {
        let fastest = rate_of(fastest.max(LEARNED_INTERVAL_MIN));
        Self {
            rate: smallest_hub().min(fastest),
            fastest,
            served: None,
            too_fast: f64::MAX,
            measured_for_s: 0.0,
            phase: Phase::Searching(Meter::default()),
            changed_at: Duration::ZERO,
            not_before: Duration::ZERO,
            refusals_until: Duration::ZERO,
            best: None,
            way: Duration::ZERO,
            late: None,
            recent: Meter::default(),
        }
    }

    /// Time per permit.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate).clamp(LEARNED_INTERVAL_MIN, LEARNED_INTERVAL_MAX)
    }

    /// A device was taken.
    pub(super) fn accepted(&mut self, opening: Option<Opening>, now: Duration) {
        if self.recent.seconds(now) > 2.0 * LEARNING_PERIOD.as_secs_f64() {
            self.recent = Meter::starting(now);
        }
        self.recent.count += 1;
        let is_fresh = opening.is_none_or(|it| it.permitted >= self.changed_at);
        let late_by = opening.and_then(|it| {
            // The longest of the last thousand or so.
            self.way = now
                .saturating_sub(it.permitted)
                .max(self.way - self.way / 1_000);
            self.late_by(now.saturating_sub(it.asked))
        });
        match late_by {
            Some(late_by) => self.is_late(late_by, is_fresh, now),
            None => self.is_on_time(is_fresh, now),
        }
    }

    /// Half as fast.
    pub(super) fn timed_out(&mut self, opening: Opening, now: Duration) {
        if opening.permitted < self.changed_at {
            return;
        }
        self.served = Some(self.rate / 2.0);
        self.set(self.rate / 2.0, now);
        self.phase = Phase::Cruising;
    }

    /// A little beneath the rate at which the hub took devices lately, or half as fast if it took few; no growth for a while.
    pub(super) fn throttled(&mut self, now: Duration) {
        self.not_before = now + THROTTLED_PAUSE;
        if now < self.refusals_until {
            return;
        }
        if let Phase::Draining { .. } = self.phase {
            // The queue at the hub was full before the pace that empties it showed.
            return;
        }
        let is_known = self.recent.count >= LEARNING_SAMPLES as u32;
        let taken = match is_known {
            true => self.recent.rate(now).min(self.rate),
            false => self.rate / 2.0,
        };
        let served = taken.max(smallest_hub()).min(self.rate);
        self.served = Some(served);
        self.set((served * DRAIN_MAX).max(smallest_hub()).min(self.rate), now);
        self.phase = Phase::Cruising;
        self.recent = Meter::starting(now);
        self.refusals_until = now + LEARNING_PERIOD + self.way;
    }

    /// By how much an attempt took longer than it should, if it did.
    fn late_by(&mut self, took: Duration) -> Option<Duration> {
        let best = self.best.map_or(took, |best| best.min(took));
        self.best = Some(best);
        let late_by = took - best;
        (late_by > LATE_AFTER_MIN.max(best / 4)).then_some(late_by)
    }

    fn is_late(&mut self, late_by: Duration, is_fresh: bool, now: Duration) {
        let run = self.late.get_or_insert_with(|| LateRun::new(late_by, now));
        if run.has_paused(self.served, now) {
            *run = LateRun::new(late_by, now);
        }
        run.add(late_by, now);
        let (length, lasts) = (run.length, run.meter.seconds(now));
        let measured = run.meter.rate(now);
        let least = run.least.min(run.next_least);
        // Where connections have to be made first, devices come in lumps, and wait for each other though the pace is right.
        let enough = match self.phase {
            Phase::Cruising => LATE_RUN.max(self.way / 4),
            Phase::Searching(_) => LATE_RUN.max(self.best.unwrap_or_default()),
            Phase::Draining { .. } => LATE_RUN,
        };
        if length < LEARNING_SAMPLES || lasts < enough.as_secs_f64() {
            return;
        }
        let Phase::Draining { .. } = self.phase else {
            if let Phase::Searching(_) = self.phase {
                self.measured_for_s = 0.0;
            }
            self.too_fast = self.rate;
            self.measured(measured, lasts);
            self.drain(least);
            self.phase = Phase::Draining {
                first: None,
                least: Duration::MAX,
            };
            self.changed_at = now;
            return;
        };
        self.measured(measured, lasts);
        if lasts >= LEARNING_PERIOD.as_secs_f64() {
            self.restart_run(now);
        }
        self.drain(least);
        if is_fresh {
            self.judge(late_by, now);
        }
    }

    fn is_on_time(&mut self, is_fresh: bool, now: Duration) {
        self.late = None;
        match &mut self.phase {
            Phase::Searching(meter) => {
                if is_fresh {
                    Self::count(meter, self.rate, now);
                    self.search(now);
                }
            }
            Phase::Draining { .. } => {
                let served = self.served.unwrap_or(self.rate);
                self.set(served * CRUISE_START, now);
                self.phase = Phase::Cruising;
            }
            Phase::Cruising => self.cruise(now),
        }
    }

    /// Counts an answer of a search. A trickle says nothing about what the hub takes.
    fn count(meter: &mut Meter, rate: f64, now: Duration) {
        let most = (2.0 * LEARNING_PERIOD.as_secs_f64()).max(4.0 * LEARNING_SAMPLES as f64 / rate);
        if meter.count == 0 || meter.seconds(now) > most {
            *meter = Meter::starting(now);
        }
        meter.count += 1;
    }

    fn search(&mut self, now: Duration) {
        let Phase::Searching(meter) = self.phase else {
            return;
        };
        // Half of a second's permits say enough: the other half is still on its way.
        let enough = (self.rate * LEARNING_PERIOD.as_secs_f64() / 2.0).max(LEARNING_SAMPLES as f64);
        if f64::from(meter.count) < enough || now < self.not_before {
            return;
        }
        let growth = match self.served {
            Some(_) => SEARCH_AGAIN_GROWTH,
            None => 1.0,
        };
        // What is on its way when the limit is found was sent at this pace, and meets the hub's queue.
        let way = self.way.as_secs_f64() / SEARCH_WAY.as_secs_f64();
        self.set(self.rate * (1.0 + growth / way.max(1.0)), now);
        self.phase = Phase::Searching(Meter::default());
    }

    fn cruise(&mut self, now: Duration) {
        if now < self.not_before {
            return;
        }
        let served = self.served.unwrap_or(self.rate);
        // A pace grows as far as it is used.
        let used_s = 1.0 / self.rate;
        self.rate = (self.rate + served * CRUISE_GROWTH_PER_S * used_s).min(self.fastest);
        if self.rate > served * CRUISE_LIMIT {
            self.changed_at = now;
            self.phase = Phase::Searching(Meter::default());
        }
    }

    /// The hub answered at that rate while answers were late, for so long: the longer, the more exact.
    fn measured(&mut self, rate: f64, lasts_s: f64) {
        let lasts_s = lasts_s.min(LEARNING_PERIOD.as_secs_f64());
        let is_far_off = self.served.is_none_or(|served| rate < served * 0.8);
        if lasts_s >= self.measured_for_s || is_far_off {
            // Answers that were held up elsewhere come faster than that.
            self.served = Some(rate.min(self.too_fast));
            self.measured_for_s = lasts_s;
        }
    }

    /// So much beneath the hub's limit that what waits there is gone soon.
    fn drain(&mut self, late_by: Duration) {
        let served = self.served.unwrap_or(self.rate);
        let share = (1.0 - late_by.as_secs_f64() / DRAIN_TIME_S).clamp(DRAIN_MIN, DRAIN_MAX);
        self.rate = (served * share)
            .min(self.fastest)
            .max(rate_of(LEARNED_INTERVAL_MAX));
    }

    fn restart_run(&mut self, now: Duration) {
        if let Some(run) = &mut self.late {
            run.meter = Meter::starting(now);
        }
    }

    /// If answers go on to be as late although the pace is slower, the way is longer, and nothing waits at the hub.
    fn judge(&mut self, late_by: Duration, now: Duration) {
        let Phase::Draining { first, least } = &mut self.phase else {
            return;
        };
        let (began, at) = *first.get_or_insert((late_by, now));
        *least = (*least).min(late_by);
        let lasts = now.saturating_sub(at);
        if lasts < 2 * LEARNING_PERIOD {
            return;
        }
        let falls = began.saturating_sub(*least) > lasts / 50;
        let is_longer_by = (!falls).then_some(*least);
        (*first, *least) = (Some((late_by, now)), late_by);
        if let Some(longer) = is_longer_by {
            self.best = self.best.map(|best| best + longer);
        }
    }

    fn set(&mut self, rate: f64, now: Duration) {
        self.rate = rate.min(self.fastest).max(rate_of(LEARNED_INTERVAL_MAX));
        self.changed_at = now;
        self.late = None;
    }
}

impl LateRun {
    const fn new(late_by: Duration, now: Duration) -> Self {
        Self {
            // The first one starts the time, and is not counted.
            meter: Meter::starting(now),
            last: now,
            least: late_by,
            next_least: late_by,
            length: 0,
        }
    }

    /// Whether no answer came for a while: nothing waited at the hub, and what waits now has begun anew.
    fn has_paused(&self, served: Option<f64>, now: Duration) -> bool {
        let usual_s = match served {
            Some(served) => 1.0 / served,
            None => self.meter.seconds(self.last) / f64::from(self.meter.count.max(1)),
        };
        let pause_s = now.saturating_sub(self.last).as_secs_f64();
        let is_known = served.is_some() || self.meter.count > 0;
        is_known && pause_s > LATE_RUN.as_secs_f64().max(4.0 * usual_s)
    }

    fn add(&mut self, late_by: Duration, now: Duration) {
        self.last = now;
        if self.length > 0 {
            self.meter.count += 1;
        }
        self.length += 1;
        self.next_least = self.next_least.min(late_by);
        if self.length.is_multiple_of(LEARNING_SAMPLES) {
            self.least = std::mem::replace(&mut self.next_least, late_by);
        }
    }
}

fn rate_of(interval: Duration) -> f64 {
    1.0 / interval.as_secs_f64()
}

fn smallest_hub() -> f64 {
    rate_of(interval_of(HubSize::S1.connections()))
}

#[cfg(test)]
mod tests;
