//! What happens to the operations of one class: they pass, wait, or are refused.
//!
//! A bucket holds `burst` seconds' worth of operations and is filled at the rate. Operations that find enough in it pass at once.
//! Others wait for their turn, in order, and pass at the rate; at most `queue` seconds' worth of them wait, and each at most
//! `wait`. When an operation will pass is known when it comes, so that what cannot pass in time is refused at once. Microsoft
//! documents the stages and not the sizes.

use std::time::Duration;

use drawspan_hub::ErrorCode;
use drawspan_hub::limits::Rate;

/// Parts of an operation: a microsecond fills a whole number of them, so that nothing is rounded in a day.
const PARTS: i128 = 60_000_000;

/// How operations above a rate are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The burst is this time's worth of the rate, and at least one operation.
    pub burst: Duration,
    /// The queue is this time's worth of the rate.
    pub queue: Duration,
    /// No operation waits longer.
    pub wait: Duration,
}

/// Whether an operation may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Now.
    Now,
    /// At this time and not before, on the clock by which it was asked for.
    At(Duration),
    /// Not at all.
    Refused(Refusal),
}

/// Why an operation may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The hub's code.
    ///
    /// - 429001: the queue is full, and operations have had to wait, without a break, for longer than the queue is long. So is
    ///   every refusal of a class without a queue.
    /// - 429002: the queue is full, and was filled faster than that.
    /// - 429003: there is room in the queue, and the operation would wait for too long in it.
    /// - 403002: the daily quota is used up.
    /// - 403010: the tier does not have it.
    pub code: ErrorCode,
    /// How long until the same operation would be taken, if nothing else comes; zero if time alone does not help.
    pub retry_after: Duration,
}

/// The shaper of one class of operations.
#[derive(Clone, Debug)]
pub struct Shaper {
    rate: Rate,
    shape: Shape,
    /// What is in the bucket, in parts of an operation. Below zero: what waits.
    level: i128,
    /// The time of that level.
    at: Duration,
    /// Since when operations have had to wait, without a break.
    violated_since: Option<Duration>,
    /// When the last one of those that wait will pass.
    last: Duration,
}

impl Refusal {
    /// A refusal that no wait helps against.
    pub(super) const fn lasting(code: ErrorCode) -> Self {
        Self {
            code,
            retry_after: Duration::ZERO,
        }
    }
}

impl Shaper {
    /// A shaper with a full bucket.
    pub fn new(rate: Rate, shape: Shape, now: Duration) -> Self {
        let mut shaper = Self {
            rate,
            shape,
            level: 0,
            at: now,
            violated_since: None,
            last: Duration::ZERO,
        };
        shaper.level = shaper.burst();
        shaper
    }

    /// Takes in `cost` operations that come together, if they may pass. Times must not go backwards; one that does counts as
    /// the latest before it.
    pub fn admit(&mut self, cost: u64, now: Duration) -> Admission {
        let now = now.max(self.at);
        self.fill(now);
        let level = self.level - i128::from(cost) * PARTS;
        if level >= 0 && self.last <= now {
            self.level = level;
            self.violated_since = None;
            return Admission::Now;
        }
        let since = *self.violated_since.get_or_insert(now);
        let (queue, wait) = (self.worth(self.shape.queue), self.time_for(-level));
        if -level > queue {
            let code = match now - since >= self.shape.queue {
                true => ErrorCode::THROTTLING_EXCEPTION,
                false => ErrorCode::THROTTLE_BACKLOG_LIMIT_EXCEEDED,
            };
            let retry_after = self.time_for(-level - queue);
            return Admission::Refused(Refusal { code, retry_after });
        }
        // What waits keeps its order when the limits have changed meanwhile.
        let at = (now + wait).max(self.last);
        if at - now > self.shape.wait {
            return Admission::Refused(Refusal {
                code: ErrorCode::THROTTLING_BACKLOG_TIMEOUT,
                retry_after: at - now - self.shape.wait,
            });
        }
        self.level = level;
        self.last = at;
        Admission::At(at)
    }

    /// Takes another rate and shape from now on. What waits keeps its time, and comes before all that follows; a bucket that is full
    /// stays full.
    pub fn replace(&mut self, rate: Rate, shape: Shape, now: Duration) {
        let now = now.max(self.at);
        self.fill(now);
        let is_full = self.is_idle(now);
        (self.rate, self.shape) = (rate, shape);
        self.level = match is_full {
            true => self.burst(),
            false => self
                .level
                .clamp(-self.worth(self.shape.queue), self.burst()),
        };
    }

    /// Its rate.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Operations that would pass at once, now.
    pub fn free(&self, now: Duration) -> u64 {
        whole(self.level_at(now))
    }

    /// Operations that wait, now; a part of one counts as one.
    pub fn waiting(&self, now: Duration) -> u64 {
        whole(PARTS - 1 - self.level_at(now))
    }

    /// Whether the bucket is full, so that the shaper is as good as a new one.
    pub fn is_idle(&self, now: Duration) -> bool {
        self.level_at(now) >= self.burst() && self.last <= now
    }

    fn fill(&mut self, now: Duration) {
        self.level = self.level_at(now);
        self.at = now;
    }

    fn level_at(&self, now: Duration) -> i128 {
        let passed = self.worth(now.saturating_sub(self.at));
        (self.level + passed).min(self.burst())
    }

    fn burst(&self) -> i128 {
        self.worth(self.shape.burst).max(PARTS)
    }

    /// The parts that come in a time: one millionth of a minute's operations in a microsecond, times 60.
    fn worth(&self, time: Duration) -> i128 {
        // 2^64 operations a minute for 2^64 microseconds are 2^128: neither comes near.
        let micros = i128::try_from(time.as_micros()).unwrap_or(i128::MAX);
        micros.saturating_mul(i128::from(self.rate.per_minute))
    }

    /// The time in which so many parts come, rounded up.
    fn time_for(&self, parts: i128) -> Duration {
        let rate = i128::from(self.rate.per_minute).max(1);
        let micros = (parts.max(0) + rate - 1) / rate;
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

fn whole(parts: i128) -> u64 {
    u64::try_from(parts.max(0) / PARTS).unwrap_or(u64::MAX)
}
