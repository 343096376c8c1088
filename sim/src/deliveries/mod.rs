//! The production [`Deliveries`] between owners and receivers of all kinds, on virtual time.
//!
//! `receivers.rs` says how receivers behave; `book.rs` writes down on its own what was offered and what must be true of it.

mod aside;
mod book;
mod receivers;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::delivery::{
    AttemptOutcome, Deadline, Deliveries, DeliveryAttempt, DeliveryConfig, Finished, Job, LaneName,
    NoRoom, Offered, OriginNews, Outcome, Terms,
};
use drawspan_bridge::limits::{C2D_TIMEOUT, EVENT_TIMEOUT, ORIGIN_REMEMBERED};
use drawspan_hub::{DeviceId, SubscriptionType};

use crate::dice::Dice;
use aside::Aside;
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
    /// Those of them whose receiver had used up its share of the memory.
    pub no_share: usize,
    /// Events that were set aside and offered again.
    pub again: usize,
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
    pub(super) attempt: DeliveryAttempt,
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
    aside: Aside,
    /// Lanes taken up from there, for which an event is to be offered now.
    again: Vec<LaneName>,
    /// The first receiver hangs, most events are for it, and all others answer: it must not cost these anything.
    crowded: bool,
    now: Duration,
    due: Option<Duration>,
    arrivals: BinaryHeap<Reverse<Arrival>>,
    /// Attempts by the key of their arrival.
    attempts: Vec<(DeliveryAttempt, AttemptOutcome)>,
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
    let crowded = dice.below(3) == 0;
    let config = DeliveryConfig {
        events_per_lane: 2 + dice.below(8),
        attempts_per_origin: 1 + dice.below(6),
        bytes: if crowded { 8_000 } else { 2_000 } + dice.below(20_000),
        origins: RECEIVERS - if crowded { 0 } else { dice.below(2) },
        ..DeliveryConfig::new(retry_limit, seed)
    };
    let config = config.with_attempts(4 + dice.below(20));
    let mut world = World {
        book: Book::new(config.clone()),
        deliveries: Deliveries::new(config),
        receivers: (0..RECEIVERS).map(Receiver::new).collect(),
        devices: (0..DEVICES)
            .filter_map(|number| DeviceId::parse(&format!("d{number}")).ok())
            .collect(),
        dice,
        aside: Aside::default(),
        again: Vec::new(),
        crowded,
        now: Duration::from_secs(1),
        due: None,
        arrivals: BinaryHeap::new(),
        attempts: Vec::new(),
        next_event: 0,
        report: DeliveryReport::default(),
    };
    if crowded {
        world.receivers[0].hang();
    }
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
            80..=86 if !self.crowded => {
                let at = self.dice.below(RECEIVERS);
                self.receivers[at].change(&mut self.dice);
            }
            87..=90 => {
                let lane = self.lane();
                self.deliveries.withdraw(&lane);
                self.book.withdrawn(&lane);
                self.aside.forget(&lane);
            }
            91..=95 => {
                let lane = self.lane();
                let to = self.origin(&lane);
                self.deliveries.redirect(&lane, &to, |_| {}, self.now);
                let moved = self.deliveries.knows(&to).then_some(&to);
                self.book.redirected(&lane, moved);
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
        if !self.aside.is_empty() {
            return Err(format!("something is set aside for ever: {:?}", self.aside));
        }
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

    /// Any; in a crowd most lanes belong to the first one, and each keeps its receiver.
    fn origin(&mut self, lane: &LaneName) -> Arc<str> {
        let at = match self.devices.iter().position(|device| *device == lane.0) {
            Some(device) if self.crowded => device.saturating_sub(DEVICES - RECEIVERS),
            _ => self.dice.below(RECEIVERS),
        };
        self.receivers[at].name()
    }

    fn offer(&mut self) -> Result<(), String> {
        for _ in 0..=self.dice.below(4) {
            let lane = self.lane();
            self.offer_to(&lane)?;
        }
        Ok(())
    }

    fn offer_to(&mut self, lane: &LaneName) -> Result<(), String> {
        let terms = Terms {
            origin: self.origin(lane),
            size_bytes: 50 + self.dice.below(300),
            deadline: match lane.1 {
                SubscriptionType::Methods => Deadline::Answer(self.now + METHOD_TIMEOUT),
                SubscriptionType::C2dMessages => Deadline::Until(self.now + C2D_TIMEOUT),
                _ => Deadline::FromFirstAttempt(EVENT_TIMEOUT),
            },
            merges: lane.1 == SubscriptionType::ConnectionStatus,
        };
        self.book.forget_unknown(&self.deliveries);
        self.next_event += 1;
        let job = Numbered {
            number: self.next_event,
            replaced: Vec::new(),
        };
        let offered = self.deliveries.offer(lane, job, &terms, self.now);
        self.book.offered(lane, self.next_event, &terms, offered)?;
        match offered {
            Offered::Queued => self.report.offered += 1,
            Offered::Merged => self.report.merged += 1,
            Offered::Full(no_room) => self.refused(lane, &terms, no_room)?,
        }
        Ok(())
    }

    fn refused(&mut self, lane: &LaneName, terms: &Terms, no_room: NoRoom) -> Result<(), String> {
        self.report.full += 1;
        self.report.no_share += usize::from(no_room == NoRoom::Share);
        let hangs = terms.origin == self.receivers[0].name();
        if self.crowded && !hangs && no_room != NoRoom::Lane {
            return Err(format!(
                "no room for {terms:?}: another receiver has it all"
            ));
        }
        if lane.1 == SubscriptionType::DesiredProperties {
            let again = Duration::from_millis(1_000 + self.dice.below(60_000) as u64);
            self.aside.put(lane, no_room, self.now + again);
        }
        Ok(())
    }

    /// Offers what was set aside and whose timer has come.
    fn take_up(&mut self) -> Result<(), String> {
        while let Some(lane) = self.aside.next_due(self.now, &self.deliveries) {
            self.again.push(lane);
        }
        for lane in std::mem::take(&mut self.again) {
            self.report.again += 1;
            self.offer_to(&lane)?;
        }
        Ok(())
    }

    /// As the shell does after each change.
    fn act(&mut self) -> Result<(), String> {
        self.begin()?;
        while !self.again.is_empty() {
            self.begin()?;
        }
        self.hear();
        self.due = self.deliveries.due(self.now);
        let closely = self.dice.below(8) == 0;
        self.book
            .holds(&self.deliveries, self.due, self.now, closely)?;
        self.aside.holds(&self.deliveries)
    }

    fn begin(&mut self) -> Result<(), String> {
        self.hear_over()?;
        self.take_up()?;
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
        self.hear_over()
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
        while let Some(over) = self.deliveries.finished() {
            self.is_over(&over)?;
        }
        Ok(())
    }

    fn is_over(&mut self, over: &Finished<Numbered>) -> Result<(), String> {
        let lane = self.book.over(over, self.now)?;
        self.count(&over.outcome);
        if self.aside.ended(&lane, self.deliveries.is_idle(&lane)) {
            self.again.push(lane);
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
            let next = [arrival, self.due, self.aside.due()];
            let next = next.into_iter().flatten().min();
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
                    self.is_over(&over)?;
                }
            }
            self.act()?;
        }
    }

    fn count(&mut self, end: &Outcome) {
        match end {
            Outcome::Taken | Outcome::Refused(_) => self.report.taken += 1,
            Outcome::Failed(_) => self.report.failed += 1,
            Outcome::Untried => self.report.untried += 1,
        }
    }
}
