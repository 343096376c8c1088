//! Everything together, on virtual time: the process, its hubs, DPS, the ways between them, and what goes wrong.

mod chaos;
mod liveness;
mod settle;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drawspan_hub::{AttemptId, DeviceId, Failure};

use crate::agenda::Agenda;
use crate::check::Violation;
use crate::dice::Dice;
use crate::dps::{Dps, Enrolment, HubNo};
use crate::hub::{DeviceNo, Hub, LineNo, Registered, Tokens};
use crate::process::{Process, Registration, ToClient, ToHub, host};
use crate::scenario::{Profile, Scenario};
use chaos::Trouble;
use liveness::Troubled;

/// What happens at a moment.
#[derive(Debug)]
enum Event {
    /// Something at random.
    Deed,
    /// A trouble is over.
    Calm(Trouble),
    /// The controller wants to be run.
    Due,
    ToHub(HubNo, LineNo, ToHub),
    ToClient(LineNo, ToClient),
    /// An open must have been answered by now.
    Overdue(LineNo, AttemptId),
    ToDps(Registration),
    FromDps(Registration, Result<HubNo, Failure>),
    /// Somebody else takes a device, again until then.
    Thief(DeviceNo, Duration),
    /// A caller waits no longer.
    GiveUp(u64),
}

/// Everything together.
pub(crate) struct World {
    scenario: Scenario,
    pub(crate) now: Duration,
    agenda: Agenda<Event>,
    dice: Dice,
    pub(crate) process: Process,
    hubs: Vec<Hub>,
    dps: Dps,
    /// When the last message of a connection arrives: there, and here.
    arrivals: BTreeMap<LineNo, (Duration, Duration)>,
    /// When the last news of a session arrive, where those of other sessions may overtake them.
    of_sessions: BTreeMap<AttemptId, Duration>,
    /// The times at which the fleet will be run.
    due: BTreeSet<Duration>,
    troubled: Troubled,
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
        let troubled = Troubled::new(hubs.len(), scenario.devices);
        let process = Process::new(&scenario, ids, hosts, trace);
        let mut agenda = Agenda::new();
        agenda.set(Duration::from_secs(1), Event::Deed);
        Self {
            scenario,
            now: Duration::ZERO,
            agenda,
            dice,
            process,
            hubs,
            dps,
            arrivals: BTreeMap::new(),
            of_sessions: BTreeMap::new(),
            due: BTreeSet::new(),
            troubled,
            calm: false,
            clock_was_off: false,
            clock_was_ahead: false,
            events: 0,
            trace,
        }
    }

    /// The next event, and everything that follows at once. False if there is no event.
    pub(crate) fn step(&mut self) -> Result<bool, Violation> {
        let Some((at, event)) = self.agenda.next() else {
            return Ok(false);
        };
        self.now = at;
        // The passing of time is not an event.
        self.events += usize::from(!matches!(event, Event::Due));
        if self.trace {
            eprintln!("{:>12.3} {event:?}", at.as_secs_f64());
        }
        self.happen(event)?;
        let due = self.process.run(self.now)?;
        self.send_out();
        self.process.check_touched()?;
        self.wake_at(due);
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
            Event::ToClient(line, news) => {
                if let ToClient::Lost(attempt, _) | ToClient::Closed(attempt) = news {
                    self.of_sessions.remove(&attempt);
                }
                self.process.hear(line, news, self.now)?;
            }
            Event::Overdue(line, attempt) => self.overdue(line, attempt)?,
            Event::ToDps(registration) => self.at_dps(registration),
            Event::FromDps(registration, answer) => {
                let device = registration.device;
                let before = self.process.hub_of_device(device);
                self.process.hear_dps(registration, answer, self.now)?;
                if self.process.hub_of_device(device) != before {
                    self.troubled.device(device, self.now);
                }
            }
            Event::Thief(device, until) => self.thief(device, until),
            Event::GiveUp(caller) => self.give_up(caller)?,
        }
        Ok(())
    }

    /// The controller is run again no later than it asks for.
    fn wake_at(&mut self, due: Duration) {
        if self.due.insert(due) {
            self.agenda.set(due, Event::Due);
        }
    }

    /// Looks at every device.
    pub(crate) fn scan(&mut self) -> Result<(), Violation> {
        self.process.scan(self.now)?;
        for device in 0..self.scenario.devices as DeviceNo {
            self.is_connected_in_time(device)?;
        }
        Ok(())
    }

    pub(crate) const fn is_calm(&self) -> bool {
        self.calm
    }
}

fn id(number: usize) -> DeviceId {
    #[expect(clippy::expect_used, reason = "written in this crate")]
    DeviceId::parse(&format!("d{number}")).expect("a device id")
}
