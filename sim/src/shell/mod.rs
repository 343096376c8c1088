//! Stands where the product's runtime stands: carries out what the fleet wants, over connections that the ledger names,
//! and brings back what comes of it. The fleet and the ledger are the production ones.

mod acting;
mod hearing;
mod moving;
pub(crate) mod notes;
mod wanting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use drawspan_bridge::device::Assignment;
use drawspan_bridge::fleet::{Attempt, Fleet, FleetConfig, ServiceId};
use drawspan_bridge::{Device, Ledger, LedgerConfig, Now};
use drawspan_hub::{ConnectionKey, DeviceId, Failure, HostName};

use crate::check::budget::Budget;
use crate::check::outage::Outage;
use crate::check::pace::Bucket;
use crate::dps::HubNo;
use crate::hub::{DeviceNo, LineNo, Token};
use crate::scenario::{Profile, Scenario};
use crate::tally::Tally;
use notes::Notes;

/// What goes to a hub.
#[derive(Debug, Clone)]
pub(crate) enum ToHub {
    Connect(Token),
    Open(DeviceNo, Attempt, Token),
    Close(DeviceNo, Attempt),
    /// The client closes the connection.
    Goodbye,
}

/// What comes from a hub, or from the client's own end of a connection.
#[derive(Debug, Clone)]
pub(crate) enum ToClient {
    Ready,
    Ended(Failure),
    Opened(Attempt),
    /// Whether the token was taken all the same.
    OpenFailed(Attempt, Failure, bool),
    Lost(Attempt, Failure),
    Closed(Attempt),
}

/// A registration at DPS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registration {
    pub(crate) device: DeviceNo,
    pub(crate) origin: Origin,
    /// Which start of the process asked.
    pub(crate) process: u32,
}

/// Who asked for it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    Attempt {
        index: u32,
        epoch: drawspan_bridge::Epoch,
    },
    Caller,
}

/// What leaves the shell.
#[derive(Debug, Clone)]
pub(crate) enum Out {
    ToHub(HubNo, LineNo, ToHub),
    /// The client's own end of a connection says something.
    Own(LineNo, ToClient),
    Register(Registration),
}

/// A connection as the client has it.
#[derive(Debug)]
struct Link {
    service: ServiceId,
    hub: HubNo,
    key: ConnectionKey,
    ready: bool,
    /// Indexes of the devices on it.
    members: BTreeSet<u32>,
    /// What is sent once it is ready.
    waiting: Vec<Attempt>,
}

#[derive(Debug)]
struct Pool {
    ledger: Ledger,
    lines: BTreeMap<ConnectionKey, LineNo>,
}

/// What somebody wants of a device, as far as it can be told from outside.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Want {
    pub(crate) permanent: bool,
    pub(crate) used: Option<Duration>,
}

/// The process.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) fleet: Fleet<Notes>,
    pools: BTreeMap<ServiceId, Pool>,
    links: BTreeMap<LineNo, Link>,
    pub(crate) out: Vec<Out>,
    /// Indexes of devices that something happened to.
    pub(crate) touched: BTreeSet<u32>,
    /// Outlives the process.
    pub(crate) wants: Vec<Want>,
    /// Outlives the process: the hub that DPS named.
    cache: Vec<Option<HostName>>,
    ids: Vec<DeviceId>,
    hosts: Vec<HostName>,
    next_line: LineNo,
    next_registration: u64,
    /// Who asked to be registered; nothing if they have given up.
    callers: BTreeMap<u64, Option<DeviceNo>>,
    process: u32,
    /// How far the process's clock is ahead, in seconds.
    pub(crate) skew_s: i64,
    scenario: Scenario,
    serial: u32,
    paces: BTreeMap<ServiceId, Bucket>,
    outages: BTreeMap<ServiceId, Outage>,
    /// Those that were said to refuse everyone.
    refusing: BTreeSet<ServiceId>,
    /// Those whose devices may ask DPS, since they could not be reached for long or devices moved from there.
    gone: BTreeSet<ServiceId>,
    /// Devices for which DPS was to be asked, since their hub could not be reached.
    asked: BTreeSet<DeviceNo>,
    budgets: Vec<Budget>,
    pub(crate) tally: Tally,
    /// Who is to change its connection.
    moves: VecDeque<Attempt>,
    trace: bool,
}

impl Shell {
    pub(crate) fn new(
        scenario: &Scenario,
        ids: Vec<DeviceId>,
        hosts: Vec<HostName>,
        trace: bool,
    ) -> Self {
        Self {
            fleet: Fleet::new(config(scenario, 0)),
            pools: BTreeMap::new(),
            links: BTreeMap::new(),
            out: Vec::new(),
            touched: BTreeSet::new(),
            wants: vec![Want::default(); ids.len()],
            cache: vec![None; ids.len()],
            budgets: vec![Budget::default(); ids.len()],
            ids,
            hosts,
            next_line: 0,
            next_registration: 0,
            callers: BTreeMap::new(),
            process: 0,
            skew_s: 0,
            scenario: scenario.clone(),
            serial: 0,
            paces: BTreeMap::new(),
            outages: BTreeMap::new(),
            refusing: BTreeSet::new(),
            gone: BTreeSet::new(),
            asked: BTreeSet::new(),
            tally: Tally::default(),
            moves: VecDeque::new(),
            trace,
        }
    }

    /// The process ends without a word and starts again. Returns the connections that are gone, with their hubs.
    pub(crate) fn restart(&mut self, now: Duration) -> Vec<(HubNo, LineNo)> {
        self.process += 1;
        self.fleet = Fleet::new(config(&self.scenario, self.process));
        self.pools.clear();
        self.callers.clear();
        self.paces.clear();
        self.outages.clear();
        self.refusing.clear();
        self.gone.clear();
        self.asked.clear();
        self.moves.clear();
        self.touched.clear();
        self.serial = 0;
        self.budgets.fill(Budget::default());
        let links = std::mem::take(&mut self.links);
        for number in 0..self.ids.len() {
            // Uses are forgotten, subscriptions are not.
            self.wants[number].used = None;
            if self.wants[number].permanent {
                self.subscribe(number as DeviceNo, true, now);
            }
        }
        let gone = links.into_iter();
        gone.map(|(line, link)| (link.hub, line)).collect()
    }

    pub(crate) fn now(&self, monotonic: Duration) -> Now {
        let unix_s = self.scenario.epoch_unix_s + monotonic.as_secs();
        Now {
            monotonic,
            unix_s: unix_s.saturating_add_signed(self.skew_s),
        }
    }

    fn assignment(&self, number: DeviceNo) -> Assignment {
        match self.scenario.profile {
            Profile::Policy | Profile::DeviceKeys => Assignment::Fixed(self.hosts[0].clone()),
            Profile::Dps => Assignment::dps(self.cache[number as usize].clone()),
        }
    }

    /// Prints what happens, if that was asked for.
    pub(crate) fn trace(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("               {}", what());
        }
    }

    pub(crate) fn index_of(&self, number: DeviceNo) -> Option<u32> {
        self.fleet.find(&self.ids[number as usize])
    }

    pub(crate) fn machine_of(&self, number: DeviceNo) -> Option<&Device> {
        self.fleet.machine(self.index_of(number)?)
    }

    fn notes(&mut self, index: u32) -> Option<&mut Notes> {
        self.fleet.beside_mut(index)
    }

    fn number(&self, index: u32) -> Option<DeviceNo> {
        self.fleet.beside(index).map(|notes| notes.number)
    }

    /// The hub that a device belongs to, as far as it is known.
    fn service_of(&self, index: u32) -> Option<ServiceId> {
        let hub = self.fleet.machine(index)?.hub()?;
        let mut services = self.fleet.services().skip(1);
        services.find(|(_, host, _)| *host == hub).map(|it| it.0)
    }

    /// How long a device's hub could not be reached.
    fn hub_down_for(&self, index: u32, now: Duration) -> Option<Duration> {
        self.outages.get(&self.service_of(index)?)?.lasted(now)
    }

    fn hub_no(&self, service: ServiceId) -> Option<HubNo> {
        let host = self.fleet.host(service)?;
        self.hosts.iter().position(|known| known == host)
    }

    fn pool(&mut self, service: ServiceId) -> &mut Pool {
        let config = LedgerConfig {
            slots_per_connection: self.scenario.slots,
            per_device_tokens: self.scenario.profile != Profile::Policy,
        };
        self.pools.entry(service).or_insert_with(|| Pool {
            ledger: Ledger::new(config),
            lines: BTreeMap::new(),
        })
    }

    /// Whether an attempt is one that the client's end of a connection still serves.
    pub(crate) fn serves(&self, line: LineNo, attempt: Attempt) -> bool {
        let link = self.links.get(&line);
        link.is_some_and(|link| link.members.contains(&attempt.device))
            && self.fleet.is_current(attempt)
    }

    /// The hub and the device of an open that has not been answered.
    pub(crate) fn awaits(&self, line: LineNo, attempt: Attempt) -> Option<(HubNo, DeviceNo)> {
        let notes = self.fleet.beside(attempt.device)?;
        let place = notes.place?;
        let awaits = self.serves(line, attempt) && place.phase == notes::Phase::Opening;
        awaits.then_some((self.hub_of(line)?, notes.number))
    }

    pub(crate) fn hub_of(&self, line: LineNo) -> Option<HubNo> {
        self.links.get(&line).map(|link| link.hub)
    }
}

fn config(scenario: &Scenario, process: u32) -> FleetConfig {
    FleetConfig {
        hub_pace: scenario.hub_pace,
        dps_pace: scenario.dps_pace,
        dps: host("dps.net"),
        max_devices: scenario.devices,
        max_hubs: scenario.hubs,
        hub_gone_after: scenario.gone_after,
        seed: scenario.seed ^ u64::from(process).rotate_left(32),
    }
}

/// A host name that is one.
pub(crate) fn host(text: &str) -> HostName {
    #[expect(clippy::expect_used, reason = "written in this crate")]
    HostName::parse(text).expect("a host name")
}
