//! Everything together, on virtual time: the process, its hubs, DPS, the ways between them, and what goes wrong.

mod chaos;
mod settle;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drawspan_bridge::fleet::Attempt;
use drawspan_hub::{DeviceId, Failure};

use crate::agenda::Agenda;
use crate::check::{Violation, ensure};
use crate::dice::Dice;
use crate::dps::{Dps, Enrolment, HubNo};
use crate::hub::{DeviceNo, Hub, LineNo, Registered, Tokens};
use crate::scenario::{Profile, Scenario};
use crate::shell::{Registration, Shell, ToClient, ToHub, host};
use chaos::Trouble;

/// From one move of devices between connections to the next.
const MOVE_INTERVAL: Duration = Duration::from_secs(1);

/// What happens at a moment.
#[derive(Debug)]
enum Event {
    /// Something at random.
    Deed,
    /// A trouble is over.
    Calm(Trouble),
    /// The fleet wants to be run.
    Due,
    ToHub(HubNo, LineNo, ToHub),
    ToClient(LineNo, ToClient),
    /// An open must have been answered by now.
    Overdue(LineNo, Attempt),
    ToDps(Registration),
    FromDps(Registration, Result<HubNo, Failure>),
    /// Somebody else takes a device, again until then.
    Thief(DeviceNo, Duration),
    /// The next devices change their connections.
    Move,
    /// A caller waits no longer.
    GiveUp(DeviceNo),
}

/// Everything together.
pub(crate) struct World {
    scenario: Scenario,
    pub(crate) now: Duration,
    agenda: Agenda<Event>,
    dice: Dice,
    pub(crate) shell: Shell,
    hubs: Vec<Hub>,
    dps: Dps,
    /// When the last message of a connection arrives: there, and here.
    arrivals: BTreeMap<LineNo, (Duration, Duration)>,
    /// The times at which the fleet will be run.
    due: BTreeSet<Duration>,
    /// Some devices will move.
    moving: bool,
    /// Faults have stopped.
    calm: bool,
    /// Which day it is was seen differently here and there.
    clock_was_off: bool,
    /// Tokens live longer at hubs than this side thinks.
    clock_was_ahead: bool,
    pub(crate) events: usize,
    trace: bool,
}

impl World {
    pub(crate) fn new(scenario: Scenario, trace: bool) -> Self {
        let mut dice = Dice::new(scenario.seed.rotate_left(17));
        let ids: Vec<DeviceId> = (0..scenario.devices).map(id).collect();
        let names = (0..scenario.hubs).map(|hub| host(&format!("h{hub}.net")));
        let tokens = match scenario.profile {
            Profile::Policy => Tokens::OfPolicy,
            Profile::DeviceKeys | Profile::Dps => Tokens::OfDevices(scenario.hub_slots),
        };
        let registered = match scenario.profile {
            Profile::Dps => Registered::No,
            _ => Registered::Enabled,
        };
        let hubs = names.map(|name| Hub::new(name, tokens, vec![registered; scenario.devices]));
        let hubs: Vec<Hub> = hubs.collect();
        let enrolments = ids.iter().map(|_| Enrolment {
            hub: dice.below(hubs.len()),
            enabled: true,
        });
        let dps = Dps::new(enrolments.collect());
        let hosts = hubs.iter().map(|hub| hub.host.clone()).collect();
        let shell = Shell::new(&scenario, ids, hosts, trace);
        let mut agenda = Agenda::new();
        agenda.set(Duration::from_secs(1), Event::Deed);
        Self {
            scenario,
            now: Duration::ZERO,
            agenda,
            dice,
            shell,
            hubs,
            dps,
            arrivals: BTreeMap::new(),
            due: BTreeSet::new(),
            moving: false,
            calm: false,
            clock_was_off: false,
            clock_was_ahead: false,
            events: 0,
            trace,
        }
    }

    /// The next event, and everything that follows at once. False if there is none.
    pub(crate) fn step(&mut self) -> Result<bool, Violation> {
        let Some((at, event)) = self.agenda.next() else {
            return Ok(false);
        };
        self.now = at;
        self.events += 1;
        if self.trace {
            eprintln!("{:>12.3} {event:?}", at.as_secs_f64());
        }
        self.happen(event)?;
        let due = self.shell.run(self.now)?;
        self.send_out();
        self.shell.check_touched()?;
        self.wake_at(due)?;
        if !self.moving && self.shell.looks_for_moves(self.now) {
            self.moving = true;
            self.agenda.set(self.now + MOVE_INTERVAL, Event::Move);
        }
        // As often as it costs less than what it looks at.
        if self.events.is_multiple_of(self.scenario.devices.max(16)) {
            self.scan()?;
        }
        Ok(true)
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Deed => self.deed()?,
            Event::Calm(trouble) => self.end(trouble),
            Event::Due => {
                self.due.pop_first();
            }
            Event::ToHub(hub, line, message) => self.at_hub(hub, line, message)?,
            Event::ToClient(line, news) => self.shell.hear(line, news, self.now)?,
            Event::Overdue(line, attempt) => self.overdue(line, attempt)?,
            Event::ToDps(registration) => self.at_dps(registration),
            Event::FromDps(registration, answer) => {
                self.shell.hear_dps(registration, answer, self.now);
            }
            Event::Thief(device, until) => self.thief(device, until),
            Event::Move => {
                self.moving = false;
                self.shell.moves(self.now);
            }
            Event::GiveUp(device) => self.shell.gives_up(device),
        }
        Ok(())
    }

    /// The fleet is run again no later than it asks for.
    fn wake_at(&mut self, due: Option<Duration>) -> Result<(), Violation> {
        let now = self.now;
        ensure(due.is_none_or(|due| due > now), "DUE", || {
            format!("the fleet was run at {now:?} and wants to be at {due:?}")
        })?;
        if let Some(at) = due
            && self.due.insert(at)
        {
            self.agenda.set(at, Event::Due);
        }
        Ok(())
    }

    /// Looks at every device.
    pub(crate) fn scan(&mut self) -> Result<(), Violation> {
        self.shell.scan(self.due.first().copied(), self.now)
    }

    pub(crate) const fn is_calm(&self) -> bool {
        self.calm
    }
}

fn id(number: usize) -> DeviceId {
    #[expect(clippy::expect_used, reason = "written in this crate")]
    DeviceId::parse(&format!("d{number}")).expect("a device id")
}
