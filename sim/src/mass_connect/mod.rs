//! A fleet that connects all at once to a hub that [shapes](Shaping) its traffic, in virtual time: how much of the permitted rate is
//! used, and how many devices are refused.
//!
//! The production [fleet](Fleet) is driven as the runtime drives it. Devices share connections of 995, each of which takes four round
//! trips to stand; devices that are placed on one before that are sent together when it stands.

mod hub;
mod report;

use std::time::Duration;

use drawspan_fleet::device::Assignment;
use drawspan_fleet::governor::Pace;
use drawspan_fleet::limits::HUB_GONE_AFTER;
use drawspan_fleet::{
    Action, CallerId, Context, CredentialScope, Fleet, FleetConfig, Now, ServiceId,
};
use drawspan_hub::limits::DEVICES_PER_CONNECTION;
use drawspan_hub::{AttemptId, DeviceId, HostName};

use crate::agenda::Agenda;
use crate::dice::Dice;
use crate::words;

pub use hub::Shaping;
pub use report::MassConnectReport;

use hub::ShapingHub;

/// Round trips until a connection stands: TCP, TLS, AMQP, and its `$cbs` links.
const SETUP_ROUND_TRIPS: u32 = 4;

/// One mass connect.
#[derive(Debug, Clone, Copy)]
pub struct MassConnect {
    /// Devices that are wanted from the start.
    pub devices: usize,
    /// The hub's limits.
    pub hub: Shaping,
    /// The shortest round trip; each takes up to a tenth longer.
    pub round_trip: Duration,
    /// The pace that the fleet is given.
    pub pace: Pace,
    /// Where chance comes from.
    pub seed: u64,
}

/// What is to happen.
#[derive(Debug)]
enum Event {
    /// The fleet has something to do.
    Due,
    /// A connection stands.
    Ready(usize),
    /// A device's token and link arrive at the hub.
    Arrives(AttemptId),
    /// The hub's answer arrives.
    Answered(AttemptId, bool),
}

#[derive(Debug, Default)]
struct Nothing;

impl Context for Nothing {
    fn callers(&self) -> impl Iterator<Item = CallerId> {
        std::iter::empty()
    }

    fn may_be_forgotten(&self) -> bool {
        true
    }

    fn last_use(&self) -> Option<Duration> {
        None
    }
}

/// A shared connection.
#[derive(Debug, Default)]
struct Line {
    stands: bool,
    waiting: Vec<AttemptId>,
    placed: usize,
}

struct World {
    run: MassConnect,
    fleet: Fleet<Nothing>,
    hub: ShapingHub,
    lines: Vec<Line>,
    agenda: Agenda<Event>,
    dice: Dice,
    now: Duration,
    /// When the fleet is run next.
    due: Duration,
    report: MassConnectReport,
}

impl MassConnect {
    /// Runs until all devices are connected.
    #[must_use]
    pub fn run(self) -> MassConnectReport {
        let mut world = World::new(self);
        world.want_all();
        let most = Duration::from_secs(86_400);
        while world.report.connected() < self.devices && world.now < most {
            world.step();
        }
        world.report
    }
}

impl World {
    fn new(run: MassConnect) -> Self {
        Self {
            run,
            fleet: Fleet::new(FleetConfig {
                hub_pace: run.pace,
                dps_pace: Pace::Unlimited,
                dps: host("dps.net"),
                credentials: CredentialScope::Device,
                max_devices: run.devices,
                max_hubs: 1,
                hub_gone_after: HUB_GONE_AFTER,
                seed: run.seed,
            }),
            hub: ShapingHub::new(run.hub),
            lines: Vec::new(),
            agenda: Agenda::new(),
            dice: Dice::new(run.seed),
            now: Duration::from_secs(10),
            due: Duration::MAX,
            report: MassConnectReport::default(),
        }
    }

    fn now(&self) -> Now {
        Now {
            monotonic: self.now,
            unix_s: 1_700_000_000 + self.now.as_secs(),
        }
    }

    fn want_all(&mut self) {
        let hub = host("a.net");
        for number in 0..self.run.devices {
            let Ok(id) = DeviceId::parse(&format!("d{number}")) else {
                return;
            };
            let assignment = || Assignment::Fixed(hub.clone());
            if let Ok(index) = self.fleet.device(&id, assignment) {
                self.fleet.permanent(index, true, self.now());
            }
        }
        self.run_at(self.now);
    }

    fn run_at(&mut self, at: Duration) {
        if at < self.due {
            self.due = at;
            self.agenda.set(at, Event::Due);
        }
    }

    fn step(&mut self) {
        let Some((at, event)) = self.agenda.next() else {
            return;
        };
        self.now = self.now.max(at);
        match event {
            Event::Due if self.due <= self.now => self.run_fleet(),
            Event::Due => {}
            Event::Ready(line) => self.ready(line),
            Event::Arrives(attempt) => self.arrives(attempt),
            Event::Answered(attempt, accepted) => self.answered(attempt, accepted),
        }
    }

    fn run_fleet(&mut self) {
        self.due = Duration::MAX;
        let due = self.fleet.run(self.now());
        while let Some(action) = self.fleet.action() {
            if let Action::Open { attempt, .. } = action {
                self.open(attempt);
            }
        }
        if let Some(due) = due {
            // A timer of the runtime is as exact as this.
            self.run_at(due.max(self.now + Duration::from_millis(1)));
        }
    }

    fn open(&mut self, attempt: AttemptId) {
        self.report.starts(self.now);
        let is_full = |line: &Line| line.placed >= DEVICES_PER_CONNECTION;
        if self.lines.last().is_none_or(is_full) {
            self.lines.push(Line::default());
            let stands = self.now + SETUP_ROUND_TRIPS * self.run.round_trip;
            self.agenda.set(stands, Event::Ready(self.lines.len() - 1));
        }
        let Some(line) = self.lines.last_mut() else {
            return;
        };
        line.placed += 1;
        match line.stands {
            true => self.sends(attempt),
            false => line.waiting.push(attempt),
        }
    }

    fn ready(&mut self, line: usize) {
        let Some(line) = self.lines.get_mut(line) else {
            return;
        };
        line.stands = true;
        for attempt in std::mem::take(&mut line.waiting) {
            self.fleet.is_asked(attempt, self.now);
            self.sends(attempt);
        }
    }

    fn sends(&mut self, attempt: AttemptId) {
        let way = self.way();
        self.agenda.set(self.now + way, Event::Arrives(attempt));
    }

    /// Half of a round trip.
    fn way(&mut self) -> Duration {
        let least = self.run.round_trip / 2;
        self.dice.between(least, least * 11 / 10)
    }

    fn arrives(&mut self, attempt: AttemptId) {
        let wait = self.hub.arrives(self.now);
        self.report.arrives(self.now, wait);
        let answered = self.now + wait.unwrap_or_default() + self.way();
        self.agenda
            .set(answered, Event::Answered(attempt, wait.is_some()));
    }

    fn answered(&mut self, attempt: AttemptId, accepted: bool) {
        self.fleet.reached(ServiceId::of(1));
        match accepted {
            true => {
                self.report.connects(self.now);
                self.fleet.opened(attempt, self.now());
            }
            false => self
                .fleet
                .ended(attempt, &words::throttled(None), self.now()),
        }
        self.run_at(self.now);
    }
}

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap_or_else(|_| unreachable!("{text} is a host name"))
}
