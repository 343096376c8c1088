//! Learning the pace of a hub.
//!
//! The pace grows while the hub keeps up with it. The duration of attempts shows the limit before the hub refuses any: when even
//! the shortest of the last few took much longer than the shortest of all, they wait for each other at the hub, and the rate at
//! which it finishes them is its capacity. Attempts that began after the pace changed last ("fresh" ones) show the effect of that
//! change.

use std::time::Duration;

use drawspan_hub::limits::HubSize;

use super::pacer::interval_of;
use crate::limits::{
    LEARNED_INTERVAL_MAX, LEARNED_INTERVAL_MIN, LEARNING_PERIOD, LEARNING_SAMPLES, OPEN_TIME_RISE,
    OPEN_TIME_RISE_FACTOR, THROTTLED_PAUSE,
};

/// The learned state of the pace.
#[derive(Debug, Clone)]
pub(super) struct Learning {
    /// Time per permit at the fastest.
    fastest: Duration,
    /// Devices taken since `since`.
    accepted: u32,
    since: Duration,
    /// No growth before that: the hub throttled.
    not_before: Duration,
    /// When the pace changed last.
    changed_at: Duration,
    /// How long the last few attempts took; the next one replaces the oldest.
    recent: [Duration; LEARNING_SAMPLES],
    next_recent: usize,
    /// Attempts that ended in a row and were fresh.
    fresh: usize,
    /// The shortest that an attempt took. It follows if all take longer, however slow the pace.
    best: Option<Duration>,
    judged: Option<Judged>,
    /// The hub was found to be slower than the pace: that grows in small steps.
    met: bool,
}

/// How long fresh attempts took the last time that they took too long.
#[derive(Debug, Clone, Copy)]
struct Judged {
    at: Duration,
    shortest: Duration,
    /// How often in a row that was no shorter than the time before.
    unchanged: u32,
}

impl Learning {
    pub(super) fn new(fastest: Duration) -> Self {
        Self {
            fastest: fastest.max(LEARNED_INTERVAL_MIN),
            accepted: 0,
            since: Duration::ZERO,
            not_before: Duration::ZERO,
            changed_at: Duration::ZERO,
            recent: [Duration::ZERO; LEARNING_SAMPLES],
            next_recent: 0,
            fresh: 0,
            best: None,
            judged: None,
            met: false,
        }
    }

    /// A device was taken. Returns the time per permit from now on.
    pub(super) fn accepted(
        &mut self,
        interval: Duration,
        began: Option<Duration>,
        now: Duration,
    ) -> Duration {
        self.note(began, now);
        if now < self.not_before {
            return interval;
        }
        // Half of a second's permits say enough: the other half is still on its way.
        let permits = LEARNING_PERIOD.as_nanos() / (2 * interval.as_nanos().max(1));
        let enough = permits.max(LEARNING_SAMPLES as u128);
        let lasts = now.saturating_sub(self.since);
        // A trickle says nothing about what the hub takes, unless it is the hub that is slow.
        let most = (2 * LEARNING_PERIOD).max(4 * LEARNING_SAMPLES as u32 * interval);
        let is_over = self.accepted > 0 && lasts > most;
        if is_over && self.accepted >= LEARNING_SAMPLES as u32 && self.is_slower() {
            return self.shrink(interval, lasts, now);
        }
        if self.accepted == 0 || is_over {
            self.accepted = 0;
            self.since = now;
        }
        self.accepted += 1;
        if u128::from(self.accepted) < enough {
            return interval;
        }
        if self.is_slower() {
            return self.shrink(interval, lasts, now);
        }
        if self.met && self.fresh < LEARNING_SAMPLES {
            // The attempts that show whether the pace is right are still in progress.
            return interval;
        }
        self.change(now);
        self.judged = None;
        let faster = if self.met {
            interval * 8 / 9
        } else {
            interval / 2
        };
        faster.max(self.fastest)
    }

    /// Half as fast, and no growth before what begins now is answered.
    pub(super) fn timed_out(
        &mut self,
        interval: Duration,
        began: Duration,
        now: Duration,
    ) -> Duration {
        if began < self.changed_at {
            return interval;
        }
        self.met = true;
        self.change(now);
        slower(interval, interval * 2)
    }

    /// Half as fast, at least the smallest hub's pace, and no growth for a while.
    pub(super) fn throttled(&mut self, interval: Duration, now: Duration) -> Duration {
        self.accepted = 0;
        if now < self.not_before {
            return interval;
        }
        self.not_before = now + THROTTLED_PAUSE;
        self.change(now);
        let slowest = interval_of(HubSize::S1.connections()).max(self.fastest);
        interval.max((interval * 2).min(slowest))
    }

    fn note(&mut self, began: Option<Duration>, now: Duration) {
        let Some(began) = began else { return };
        let took = now.saturating_sub(began);
        self.best = Some(self.best.map_or(took, |best| best.min(took)));
        self.fresh = if began >= self.changed_at {
            self.fresh.saturating_add(1)
        } else {
            0
        };
        if let Some(oldest) = self.recent.get_mut(self.next_recent) {
            *oldest = took;
            self.next_recent = (self.next_recent + 1) % LEARNING_SAMPLES;
        }
    }

    /// How long the shortest of the last few took.
    fn shortest(&self) -> Duration {
        self.recent.iter().copied().min().unwrap_or_default()
    }

    fn is_slower(&self) -> bool {
        let best = self.best.unwrap_or_default();
        self.shortest() > best * OPEN_TIME_RISE_FACTOR + OPEN_TIME_RISE
    }

    /// To what the hub finished in that time, or to less where that does not make what waits there less.
    fn shrink(&mut self, interval: Duration, lasts: Duration, now: Duration) -> Duration {
        let served = lasts / self.accepted.max(1);
        let is_long = self.shortest() > OPEN_TIME_RISE * 8;
        let wanted = match self.fresh < LEARNING_SAMPLES {
            true => served,
            false if is_long => served * 2,
            false => served * 4 / 3,
        };
        if self.fresh >= LEARNING_SAMPLES {
            self.judge(now);
        }
        self.met = true;
        (self.accepted, self.since) = (0, now);
        let slower = slower(interval, wanted);
        if slower > interval * 11 / 10 {
            self.change(now);
            return slower;
        }
        interval
    }

    /// If attempts go on to take as long although the pace became slower, the way is longer, not the queue at the hub.
    fn judge(&mut self, now: Duration) {
        let shortest = self.shortest();
        let (before, unchanged) = match self.judged {
            Some(judged) if now.saturating_sub(judged.at) < shortest => return,
            Some(judged) => (judged.shortest, judged.unchanged),
            None => (Duration::MAX, 0),
        };
        let falls = shortest < before / 10 * 9;
        let unchanged = if falls {
            0
        } else {
            unchanged.saturating_add(1)
        };
        self.judged = Some(Judged {
            at: now,
            shortest,
            unchanged,
        });
        // The first time, attempts may have met a queue that was growing still.
        if unchanged >= 2 {
            let best = self.best.unwrap_or_default();
            self.best = Some(best + shortest.saturating_sub(best) / 4);
        }
    }

    const fn change(&mut self, now: Duration) {
        self.accepted = 0;
        self.changed_at = now;
        self.fresh = 0;
    }
}

/// Not faster than before, and not too slow.
fn slower(before: Duration, after: Duration) -> Duration {
    after.min(LEARNED_INTERVAL_MAX).max(before)
}

#[cfg(test)]
mod tests;
