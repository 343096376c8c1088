//! The offered events, in an independent list, and the invariants for them.

mod memory;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::delivery::{
    AttemptFailure, AttemptOutcome, Deadline, Deliveries, DeliveryAttempt, DeliveryConfig,
    Finished, LaneName, News, Offered, OriginNews, Outcome, Terms,
};
use drawspan_bridge::limits::{
    ATTEMPT_TIMEOUT, ORIGIN_FAILURES, ORIGIN_PAUSE_MIN, RETRY_WAIT_MIN, TELLING_TIMEOUT,
};

use super::{Begun, Numbered};

#[derive(Debug)]
struct Entry {
    number: u64,
    terms: Terms,
    /// What it takes of the shared memory, and of whose share.
    charged_bytes: usize,
    charged_to: Arc<str>,
    /// When it must be over, as far as it is known.
    deadline: Option<Duration>,
    attempts: u32,
    last_failure: Option<Duration>,
    withdrawn: bool,
    /// It was sent elsewhere since its last attempt: which receiver it waits for is seen at the next.
    redirected: bool,
}

/// What one receiver was asked, and what it showed.
#[derive(Debug, Default)]
struct Seen {
    under_way: usize,
    failures: u32,
    left_alone: Option<Alone>,
}

#[derive(Debug)]
struct Alone {
    since: Duration,
    /// Attempts that began since.
    probes: Vec<DeliveryAttempt>,
}

#[derive(Debug)]
struct UnderWay {
    lane: LaneName,
    number: u64,
    origin: Arc<str>,
    hurried: bool,
}

pub(super) struct Book {
    config: DeliveryConfig,
    lanes: HashMap<LaneName, Vec<Entry>>,
    under_way: HashMap<DeliveryAttempt, UnderWay>,
    seen: HashMap<Arc<str>, Seen>,
}

fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Book {
    pub(super) fn new(config: DeliveryConfig) -> Self {
        Self {
            config,
            lanes: HashMap::new(),
            under_way: HashMap::new(),
            seen: HashMap::new(),
        }
    }

    /// An event was offered, with this result.
    pub(super) fn offered(
        &mut self,
        lane: &LaneName,
        number: u64,
        terms: &Terms,
        offered: Offered,
    ) -> Result<(), String> {
        let Some(charged_bytes) = self.charge(lane, terms, offered)? else {
            return Ok(());
        };
        let deadline = match terms.deadline {
            Deadline::Answer(at) | Deadline::Until(at) => Some(at),
            Deadline::FromFirstAttempt(_) => None,
        };
        self.lanes.entry(lane.clone()).or_default().push(Entry {
            number,
            terms: terms.clone(),
            charged_bytes,
            charged_to: Arc::clone(&terms.origin),
            deadline,
            attempts: 0,
            last_failure: None,
            withdrawn: false,
            redirected: false,
        });
        Ok(())
    }

    pub(super) fn withdrawn(&mut self, lane: &LaneName) {
        for entry in self.lanes.get_mut(lane).into_iter().flatten() {
            entry.withdrawn = true;
        }
    }

    /// `to`: where they are sent, if there was room for that origin.
    pub(super) fn redirected(&mut self, lane: &LaneName, to: Option<&Arc<str>>) {
        for entry in self.lanes.get_mut(lane).into_iter().flatten() {
            entry.redirected = true;
            if let Some(to) = to {
                entry.charged_to = Arc::clone(to);
            }
        }
    }

    /// An attempt may begin: one per lane, in order, in time, within the bounds.
    pub(super) fn begins(&mut self, begun: Begun, now: Duration) -> Result<(), String> {
        let (number, origin) = (begun.job.number, begun.origin);
        let busy = self
            .under_way
            .values()
            .any(|other| other.lane == begun.lane);
        check(!busy, || format!("two under way in {:?}", begun.lane))?;
        let lane = self.lanes.get_mut(&begun.lane).ok_or("an unknown lane")?;
        memory::inherit(lane, &begun.job);
        let first = lane.first_mut().ok_or("an unknown event")?;
        check(first.number == number, || {
            format!("{number} before {} in {:?}", first.number, begun.lane)
        })?;
        check(!first.withdrawn, || format!("{number} is not wanted"))?;
        if let (0, Deadline::FromFirstAttempt(time)) = (first.attempts, first.terms.deadline) {
            first.deadline = Some(now + time);
        }
        let in_time = first
            .deadline
            .is_some_and(|at| now < at && now + begun.timeout <= at);
        check(in_time, || {
            format!("{number} is late: {:?}", first.deadline)
        })?;
        check(begun.timeout <= ATTEMPT_TIMEOUT, || {
            "it takes too long".to_owned()
        })?;
        first.attempts += 1;
        let moved = std::mem::take(&mut first.redirected);
        first.terms.origin = Arc::clone(&origin);
        let rested = first
            .last_failure
            .is_none_or(|at| at + RETRY_WAIT_MIN <= now);
        check(rested || moved || first.attempts == 1, || {
            format!("{number} does not rest")
        })?;
        let seen = self.seen.entry(Arc::clone(&origin)).or_default();
        seen.under_way += 1;
        let most = match &mut seen.left_alone {
            None => self.config.attempts_per_origin,
            Some(alone) => {
                let pause = alone.since + ORIGIN_PAUSE_MIN <= now;
                check(pause, || format!("{origin} is not left alone"))?;
                let others = alone.probes.iter();
                let others = others.filter(|probe| self.under_way.contains_key(probe));
                check(others.count() == 0, || format!("two probes at {origin}"))?;
                alone.probes.push(begun.attempt);
                usize::MAX
            }
        };
        check(seen.under_way <= most, || {
            format!("{} at {origin}", seen.under_way)
        })?;
        let attempt = UnderWay {
            lane: begun.lane,
            number,
            origin: Arc::clone(&origin),
            hurried: begun.timeout < TELLING_TIMEOUT,
        };
        self.under_way.insert(begun.attempt, attempt);
        check(self.under_way.len() <= self.config.attempts, || {
            "too many attempts".to_owned()
        })
    }

    pub(super) fn ends(
        &mut self,
        attempt: DeliveryAttempt,
        answer: &AttemptOutcome,
        now: Duration,
    ) -> Result<(), String> {
        let ended = self.under_way.remove(&attempt).ok_or("ended twice")?;
        let seen = self.seen.entry(Arc::clone(&ended.origin)).or_default();
        seen.under_way -= 1;
        match answer {
            AttemptOutcome::Taken | AttemptOutcome::Refused(_) => {
                seen.failures = 0;
                // The reports say so too; a probe that follows at once does not count.
                seen.left_alone = None;
            }
            AttemptOutcome::Failed {
                why: AttemptFailure::TimedOut,
                ..
            } if ended.hurried => {}
            AttemptOutcome::Failed { .. } => {
                seen.failures += 1;
                let probe = |alone: &&mut Alone| alone.probes.contains(&attempt);
                if let Some(alone) = seen.left_alone.as_mut().filter(probe) {
                    alone.since = now;
                }
            }
        }
        if let AttemptOutcome::Failed { .. } = answer {
            let lane = self.lanes.get_mut(&ended.lane).into_iter().flatten();
            for entry in lane.filter(|entry| entry.number == ended.number) {
                entry.last_failure = Some(now);
            }
        }
        Ok(())
    }

    pub(super) fn news(&mut self, news: &News, now: Duration) {
        let seen = self.seen.entry(Arc::clone(&news.origin)).or_default();
        seen.left_alone = match news.change {
            OriginNews::LeftAlone => Some(Alone {
                since: now,
                probes: Vec::new(),
            }),
            OriginNews::Answers => None,
        };
    }

    /// An event comes out once, with an end that it may have. Returns its lane.
    pub(super) fn over(
        &mut self,
        over: &Finished<Numbered>,
        now: Duration,
    ) -> Result<LaneName, String> {
        let number = over.job.number;
        let mut found = self.lanes.iter_mut().filter_map(|(name, entries)| {
            let index = entries.iter().position(|entry| entry.number == number)?;
            Some((name.clone(), entries, index))
        });
        let Some((name, entries, index)) = found.next() else {
            return Err(format!("{number} is over twice"));
        };
        let entry = entries.remove(index);
        entries.retain(|other| !over.job.replaced.contains(&other.number));
        if entries.is_empty() {
            self.lanes.remove(&name);
        }
        check(entry.attempts == over.attempts, || {
            format!("{number}: attempts")
        })?;
        let most = self.config.retry_limit + 1;
        check(over.attempts <= most, || {
            format!("{number}: {} attempts", over.attempts)
        })?;
        let late = entry.deadline.is_some_and(|deadline| now > deadline);
        check(!late, || format!("{number} is over too late"))?;
        let is_due = entry.deadline == Some(now);
        let own_time = matches!(entry.terms.deadline, Deadline::FromFirstAttempt(_));
        let possible = match &over.outcome {
            Outcome::Taken | Outcome::Refused(_) => over.attempts > 0,
            Outcome::Failed(AttemptFailure::LeftAlone) => over.attempts == 0 && own_time,
            Outcome::Failed(_) => over.attempts > 0,
            Outcome::Untried => entry.withdrawn || (over.attempts == 0 && is_due),
        };
        check(possible, || format!("{number} ends as {:?}", over.outcome))?;
        Ok(name)
    }

    /// Whatever the moment, this is true.
    pub(super) fn holds(
        &mut self,
        deliveries: &Deliveries<Numbered>,
        due: Option<Duration>,
        now: Duration,
        closely: bool,
    ) -> Result<(), String> {
        check(deliveries.under_way() == self.under_way.len(), || {
            "attempts".to_owned()
        })?;
        self.forget_unknown(deliveries);
        for (origin, seen) in &self.seen {
            let alone = seen.left_alone.is_some() || seen.failures < ORIGIN_FAILURES;
            check(alone, || format!("{origin} fails and is not left alone"))?;
        }
        if !closely {
            return Ok(());
        }
        self.memory_holds(deliveries)?;
        for (name, entries) in &self.lanes {
            check(!deliveries.is_idle(name), || format!("{name:?} was lost"))?;
            let busy = self.under_way.values().any(|attempt| attempt.lane == *name);
            let waiting = entries.iter().skip(usize::from(busy));
            for entry in waiting {
                let late = entry.deadline.is_some_and(|deadline| deadline <= now);
                check(!late, || format!("{} waits too long", entry.number))?;
            }
            let Some(first) = entries.first().filter(|_| !busy) else {
                continue;
            };
            let seen = self.seen.get(&first.terms.origin);
            let room = self.under_way.len() < self.config.attempts;
            // No attempt that ends will take it up, so a moment must be set.
            let alone = seen.is_none_or(|seen| seen.under_way == 0) && room;
            check(!alone || first.redirected || due.is_some(), || {
                format!("{} waits for nothing", first.number)
            })?;
            let free = seen.is_none_or(|seen| {
                seen.left_alone.is_none() && seen.under_way < self.config.attempts_per_origin
            });
            let idle = first.attempts == 0 && free && room && !first.redirected;
            check(!idle, || format!("{} could be under way", first.number))?;
        }
        Ok(())
    }

    /// A receiver that is no longer known starts again. Call this before an event is offered.
    pub(super) fn forget_unknown(&mut self, deliveries: &Deliveries<Numbered>) {
        self.seen
            .retain(|origin, seen| seen.under_way > 0 || deliveries.knows(origin));
    }

    pub(super) fn is_empty(&self) -> Result<(), String> {
        check(self.lanes.is_empty(), || format!("lost: {:?}", self.lanes))?;
        check(self.under_way.is_empty(), || {
            "attempts without an end".to_owned()
        })
    }
}
