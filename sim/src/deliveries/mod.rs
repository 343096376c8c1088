//! The production [`Deliveries`] between owners and receivers of all kinds, on virtual time.
//!
//! `receivers.rs` says how receivers behave; `book.rs` writes down on its own what was offered and what must be true of it.

mod book;
mod receivers;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::delivery::{
    Answer, Attempt, Deliveries, DeliveryConfig, Job, LaneName, Offered, OriginNews, Patience,
    Terms,
};
use drawspan_bridge::limits::{C2D_TIMEOUT, EVENT_TIMEOUT, ORIGIN_REMEMBERED};
use drawspan_hub::{DeviceId, SubscriptionType};

use crate::dice::Dice;
use book::Book;
use receivers::Receiver;

const DEVICES: usize = 40;
const RECEIVERS: usize = 5;
const METHOD_TIMEOUT: Duration = Duration::from_secs(30);

/// What a seed came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct DeliveryReport {
    /// Events that were taken in.
    pub offered: usize,
    /// Events that a newer one replaced.
    pub merged: usize,
    /// Events for which there was no room.
    pub full: usize,
    /// Attempts.
    pub attempts: usize,
    /// Events taken by their receiver.
    pub taken: usize,
    /// Events tried in vain.
    pub failed: usize,
    /// Events not tried.
    pub untried: usize,
    /// How often an origin was left alone.
    pub left_alone: usize,
}

/// An event: its number, in the order of offering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) replaced: Vec<u64>,
}

impl Job for Numbered {
    fn replace(&mut self, newer: Self) {
        let older = std::mem::replace(self, newer);
        self.replaced.extend(older.replaced);
        self.replaced.push(older.number);
    }
}

/// An attempt that began.
pub(super) struct Begun {
    pub(super) attempt: Attempt,
    pub(super) lane: LaneName,
    pub(super) origin: Arc<str>,
    pub(super) job: Numbered,
    pub(super) timeout: Duration,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    at: Duration,
    order: usize,
    attempt_key: usize,
}

struct World {
    deliveries: Deliveries<Numbered>,
    dice: Dice,
    receivers: Vec<Receiver>,
    devices: Vec<DeviceId>,
    book: Book,
    now: Duration,
    due: Option<Duration>,
    arrivals: BinaryHeap<Reverse<Arrival>>,
    /// Attempts by the key of their arrival.
    attempts: Vec<(Attempt, Answer)>,
    next_event: u64,
    report: DeliveryReport,
}

/// Drives deliveries through what the seed picks.
///
/// # Errors
/// What does not hold, and when.
pub fn run_deliveries(seed: u64) -> Result<DeliveryReport, String> {
    let mut dice = Dice::new(seed);
    let retry_limit = u32::try_from(dice.below(7)).unwrap_or(0);
    let config = DeliveryConfig {
        events_per_lane: 2 + dice.below(8),
        attempts_per_origin: 1 + dice.below(6),
        attempts: 4 + dice.below(20),
        bytes: 2_000 + dice.below(20_000),
        origins: RECEIVERS - dice.below(2),
        ..DeliveryConfig::new(retry_limit, seed)
    };
    let mut world = World {
        book: Book::new(config.clone()),
        deliveries: Deliveries::new(config),
        receivers: (0..RECEIVERS).map(Receiver::new).collect(),
        devices: (0..DEVICES)
            .filter_map(|number| DeviceId::parse(&format!("d{number}")).ok())
            .collect(),
        dice,
        now: Duration::from_secs(1),
        due: None,
        arrivals: BinaryHeap::new(),
        attempts: Vec::new(),
        next_event: 0,
        report: DeliveryReport::default(),
    };
    let steps = 200 + world.dice.below(1_000);
    for _ in 0..steps {
        world.step().map_err(|what| world.told(seed, &what))?;
    }
    world.finish().map_err(|what| world.told(seed, &what))?;
    Ok(world.report)
}

impl World {
    fn told(&self, seed: u64, what: &str) -> String {
        format!("seed {seed}, at {:?}: {what}", self.now)
    }

    /// One thing happens, some time passes.
    fn step(&mut self) -> Result<(), String> {
        match self.dice.below(100) {
            0..=79 => self.offer()?,
            80..=86 => {
                let at = self.dice.below(RECEIVERS);
                self.receivers[at].change(&mut self.dice);
            }
            87..=90 => {
                let lane = self.lane();
                self.deliveries.withdraw(&lane);
                self.book.withdrawn(&lane);
            }
            91..=95 => {
                let (lane, to) = (self.lane(), self.origin());
                self.deliveries.redirect(&lane, &to, |_| {}, self.now);
                self.book.redirected(&lane);
            }
            _ => {}
        }
        self.act()?;
        let pause = match self.dice.below(10) {
            0..=5 => self.dice.below(20),
            6..=8 => self.dice.below(1_000),
            _ => self.dice.below(20_000),
        };
        self.pass(Duration::from_millis(pause as u64))
    }

    /// Nothing more is offered: everything must come to its end, and nothing be kept.
    fn finish(&mut self) -> Result<(), String> {
        for receiver in &mut self.receivers {
            receiver.recover();
        }
        let lanes = 100 * Duration::from_secs(110);
        self.pass(lanes + ORIGIN_REMEMBERED * 2)?;
        self.book.is_empty()?;
        if !self.deliveries.is_at_rest() {
            return Err(format!("something is kept: {:?}", self.deliveries));
        }
        Ok(())
    }

    fn lane(&mut self) -> LaneName {
        let device = self.devices[self.dice.below(DEVICES)].clone();
        let kind = SubscriptionType::ALL[self.dice.below(4)];
        (device, kind)
    }

    fn origin(&mut self) -> Arc<str> {
        let at = self.dice.below(RECEIVERS);
        self.receivers[at].name()
    }

    fn offer(&mut self) -> Result<(), String> {
        for _ in 0..=self.dice.below(4) {
            let lane = self.lane();
            let terms = Terms {
                origin: self.origin(),
                size_bytes: 50 + self.dice.below(300),
                patience: match lane.1 {
                    SubscriptionType::Methods => Patience::Answer(self.now + METHOD_TIMEOUT),
                    SubscriptionType::C2dMessages => Patience::Until(self.now + C2D_TIMEOUT),
                    _ => Patience::FromFirstAttempt(EVENT_TIMEOUT),
                },
                merges: lane.1 == SubscriptionType::ConnectionStatus,
            };
            self.next_event += 1;
            let job = Numbered {
                number: self.next_event,
                replaced: Vec::new(),
            };
            match self.deliveries.offer(&lane, job, &terms, self.now) {
                Offered::Queued => self.report.offered += 1,
                Offered::Merged => self.report.merged += 1,
                Offered::Full(_) => {
                    self.report.full += 1;
                    continue;
                }
            }
            self.book.offered(&lane, self.next_event, &terms)?;
        }
        Ok(())
    }

    /// As the shell does after each change.
    fn act(&mut self) -> Result<(), String> {
        self.deliveries.tick(self.now);
        while let Some(start) = self.deliveries.begin(self.now) {
            let begun = Begun {
                attempt: start.attempt,
                lane: start.lane.clone(),
                origin: Arc::clone(start.origin),
                job: start.job.clone(),
                timeout: start.timeout,
            };
            // What was over before it.
            self.hear_over()?;
            self.begins(begun)?;
        }
        self.hear_over()?;
        self.hear();
        self.book
            .holds(&self.deliveries, self.now, self.dice.below(8) == 0)?;
        self.due = self.deliveries.due(self.now);
        Ok(())
    }

    fn begins(&mut self, begun: Begun) -> Result<(), String> {
        self.report.attempts += 1;
        let receiver = self.receivers.iter().find(|it| it.name() == begun.origin);
        let receiver = receiver.ok_or("an unknown origin")?;
        let (takes, answer) = receiver.answer(&mut self.dice, begun.timeout);
        self.attempts.push((begun.attempt, answer));
        self.arrivals.push(Reverse(Arrival {
            at: self.now + takes,
            order: self.dice.below(1 << 40),
            attempt_key: self.attempts.len() - 1,
        }));
        self.book.begins(begun, self.now)
    }

    fn hear_over(&mut self) -> Result<(), String> {
        while let Some(over) = self.deliveries.over() {
            self.book.over(&over, self.now)?;
            self.count(&over.end);
        }
        Ok(())
    }

    fn hear(&mut self) {
        while let Some(news) = self.deliveries.news() {
            self.report.left_alone += usize::from(news.change == OriginNews::LeftAlone);
            self.book.news(&news, self.now);
        }
    }

    /// Lets time pass, and does what is due in it.
    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = self.now + time;
        let mut rounds = 0;
        loop {
            let arrival = self.arrivals.peek().map(|Reverse(arrival)| arrival.at);
            let next = [arrival, self.due].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return Ok(());
            };
            if next > self.now {
                (self.now, rounds) = (next, 0);
            }
            rounds += 1;
            if rounds > 2_000 {
                return Err("it goes round in circles".to_owned());
            }
            if arrival == Some(next)
                && let Some(Reverse(arrival)) = self.arrivals.pop()
            {
                let (attempt, answer) = self.attempts[arrival.attempt_key].clone();
                self.book.ends(attempt, &answer, self.now)?;
                let over = self.deliveries.done(attempt, answer, self.now);
                self.hear();
                if let Some(over) = over {
                    self.book.over(&over, self.now)?;
                    self.count(&over.end);
                }
            }
            self.act()?;
        }
    }

    fn count(&mut self, end: &drawspan_bridge::delivery::End) {
        use drawspan_bridge::delivery::End;
        match end {
            End::Taken | End::Refused(_) => self.report.taken += 1,
            End::Failed(_) => self.report.failed += 1,
            End::Untried => self.report.untried += 1,
        }
    }
}
