//! Stands where the product's runtime stands: feeds the production [controller](drawspan_bridge::Controller) and does what it
//! wants done, over connections to the hubs of the simulation.
//!
//! `requests.rs` has the requests of callers, `executor.rs` executes the controller's actions, `events.rs` returns their results;
//! `scan.rs` checks that every device is in the state that it should be in. Everything is counted here independently, by device,
//! and compared with the controller's reports.

mod device;
mod events;
mod executor;
mod requests;
mod scan;
mod services;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use drawspan_bridge::controller::{ControllerConfig, PoolConfig, Remembered, StoredHub};
use drawspan_bridge::delivery::DeliveryConfig;
use drawspan_bridge::events::Secrets;
use drawspan_bridge::subscriptions::{Row, Scope};
use drawspan_bridge::{Controller, controller};
use drawspan_fleet::{CredentialScope, Device, Fleet, FleetConfig, Now, ServiceId};
use drawspan_hub::{
    AttemptId, ConnectionKey, DeviceId, Failure, HostName, Links, SubscriptionType,
};

use crate::check::budget::Budget;
use crate::dps::HubNo;
use crate::hub::{DeviceNo, LineNo, Token};
use crate::platform::{Receiver, Route, Sim};
use crate::scenario::{Profile, Scenario};
use crate::tally::Tally;
use device::{Notes, Phase};
use services::Services;

pub(crate) use requests::{PATIENCE, Waiting, Want};

/// How long the receiver of a method may take.
const METHOD_TIMEOUT: Duration = Duration::from_secs(30);

/// What goes to a hub.
#[derive(Debug, Clone)]
pub(crate) enum ToHub {
    Connect(Token),
    Open(DeviceNo, AttemptId, Token),
    Close(DeviceNo, AttemptId),
    /// The client closes the connection.
    Goodbye,
}

/// What comes from a hub, or from the client's own end of a connection.
#[derive(Debug, Clone)]
pub(crate) enum ToClient {
    Ready,
    Ended(Failure),
    Opened(AttemptId),
    TokenRefused(AttemptId, Failure),
    OpenFailed(AttemptId, Failure),
    Lost(AttemptId, Failure),
    Closed(AttemptId),
    Linked(AttemptId, Links),
}

impl ToClient {
    /// The attempt that it concerns; `None` if it concerns the connection.
    pub(crate) const fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Ready | Self::Ended(_) => None,
            Self::Opened(attempt)
            | Self::TokenRefused(attempt, _)
            | Self::OpenFailed(attempt, _)
            | Self::Lost(attempt, _)
            | Self::Closed(attempt)
            | Self::Linked(attempt, _) => Some(*attempt),
        }
    }
}

/// A registration at DPS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registration {
    pub(crate) number: u64,
    pub(crate) device: DeviceNo,
    /// The client waits no longer.
    pub(crate) deadline: Duration,
    /// Which start of the process asked.
    pub(crate) process: u32,
}

/// What leaves the process.
#[derive(Debug, Clone)]
pub(crate) enum Out {
    ToHub(HubNo, LineNo, ToHub),
    /// The client's own end of a connection says something.
    Own(LineNo, ToClient),
    Register(Registration),
}

/// Whom a registration is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// The device, which tries to connect.
    Attempt,
    /// The device, once it is registered: a caller asked for it.
    Caller,
    /// Nobody: the device was removed before it was asked for.
    Removed,
}

/// A connection as the client has it.
#[derive(Debug)]
struct Line {
    service: ServiceId,
    hub: HubNo,
    key: ConnectionKey,
    ready: bool,
    members: BTreeSet<AttemptId>,
    /// What is sent once it is ready.
    waiting: Vec<AttemptId>,
}

/// What outlives a process.
#[derive(Debug, Default)]
struct Stored {
    rows: BTreeMap<(Scope, SubscriptionType), Row<Receiver>>,
    hubs: BTreeMap<DeviceId, StoredHub>,
}

/// The process.
#[derive(Debug)]
pub(crate) struct Process {
    controller: Controller<Sim>,
    stored: Stored,
    lines: BTreeMap<LineNo, Line>,
    numbers: HashMap<(ServiceId, ConnectionKey), LineNo>,
    pub(crate) out: Vec<Out>,
    /// Devices that something happened to.
    touched: BTreeSet<DeviceNo>,
    /// Outlives the process.
    pub(crate) wants: Vec<Want>,
    devices: Vec<Notes>,
    /// The ways to connected devices.
    routes: BTreeMap<DeviceNo, Route>,
    ids: Vec<DeviceId>,
    hosts: Vec<HostName>,
    next_line: LineNo,
    next_caller: u64,
    /// Callers who have no answer yet.
    callers: BTreeMap<u64, Waiting>,
    /// Registrations under way.
    registering: BTreeMap<u64, (DeviceNo, For)>,
    /// The device whose registration ended just now: another one of it, which was allowed already, may begin.
    ended: Option<DeviceNo>,
    /// When a caller asked for a registration last.
    asked_to_register: Option<Duration>,
    process: u32,
    /// How far the process's clock is ahead, in seconds.
    pub(crate) skew_s: i64,
    scenario: Scenario,
    serial: u32,
    services: Services,
    /// Devices for which DPS was to be asked, since their hub could not be reached.
    asked: BTreeSet<DeviceNo>,
    budgets: Vec<Budget>,
    pub(crate) tally: Tally,
    trace: bool,
}

impl Process {
    pub(crate) fn new(
        scenario: &Scenario,
        ids: Vec<DeviceId>,
        hosts: Vec<HostName>,
        trace: bool,
    ) -> Self {
        let stored = Stored::default();
        let notes = || Notes::default();
        Self {
            controller: controller(scenario, 0, &stored, Duration::ZERO, 0),
            stored,
            lines: BTreeMap::new(),
            numbers: HashMap::new(),
            out: Vec::new(),
            touched: BTreeSet::new(),
            wants: vec![Want::default(); ids.len()],
            devices: ids.iter().map(|_| notes()).collect(),
            routes: BTreeMap::new(),
            budgets: vec![Budget::default(); ids.len()],
            ids,
            hosts,
            next_line: 0,
            next_caller: 0,
            callers: BTreeMap::new(),
            registering: BTreeMap::new(),
            ended: None,
            asked_to_register: None,
            process: 0,
            skew_s: 0,
            scenario: scenario.clone(),
            serial: 0,
            services: Services::new(scenario),
            asked: BTreeSet::new(),
            tally: Tally::default(),
            trace,
        }
    }

    /// The process ends without a word and starts again. Returns the connections that are gone, with their hubs.
    pub(crate) fn restart(&mut self, now: Duration) -> Vec<(HubNo, LineNo)> {
        self.process += 1;
        self.controller = controller(&self.scenario, self.process, &self.stored, now, self.skew_s);
        self.numbers.clear();
        self.callers.clear();
        self.registering.clear();
        self.routes.clear();
        self.services = Services::new(&self.scenario);
        self.asked.clear();
        self.touched.clear();
        self.serial = 0;
        self.budgets.fill(Budget::default());
        for notes in &mut self.devices {
            *notes = Notes::default();
        }
        // Uses are forgotten, subscriptions are not.
        for want in &mut self.wants {
            want.used = None;
        }
        let lines = std::mem::take(&mut self.lines).into_iter();
        lines.map(|(line, it)| (it.hub, line)).collect()
    }

    pub(crate) fn now(&self, monotonic: Duration) -> Now {
        present(&self.scenario, monotonic, self.skew_s)
    }

    /// Prints what happens, if that was asked for.
    pub(crate) fn trace(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("               {}", what());
        }
    }

    pub(crate) const fn fleet(&self) -> &Fleet<controller::DeviceContext<Sim>> {
        self.controller.fleet()
    }

    fn index_of(&self, number: DeviceNo) -> Option<u32> {
        self.fleet().find(self.ids.get(number as usize)?)
    }

    pub(crate) fn machine_of(&self, number: DeviceNo) -> Option<&Device> {
        self.fleet().machine(self.index_of(number)?)
    }

    fn notes(&mut self, number: DeviceNo) -> Option<&mut Notes> {
        self.devices.get_mut(number as usize)
    }

    /// The device of an attempt that is not over.
    fn device_of(&self, attempt: AttemptId) -> Option<DeviceNo> {
        let current = self.fleet().is_current(attempt);
        current.then(|| self.fleet().id(attempt.device).and_then(number))?
    }

    fn hub_no(&self, host: &HostName) -> Option<HubNo> {
        self.hosts.iter().position(|known| known == host)
    }

    /// The hub that a device belongs to, as far as it is known.
    fn service_of(&self, number: DeviceNo) -> Option<ServiceId> {
        let hub = self.machine_of(number)?.hub()?;
        let mut services = self.fleet().services().skip(1);
        services.find(|(_, host, _)| *host == hub).map(|it| it.0)
    }

    /// The hub that a device belongs to, as far as the process knows.
    pub(crate) fn hub_of_device(&self, number: DeviceNo) -> Option<HubNo> {
        self.hub_no(self.machine_of(number)?.hub()?)
    }

    /// How long a device's hub could not be reached.
    fn hub_down_for(&self, number: DeviceNo, now: Duration) -> Option<Duration> {
        self.services.down_for(self.service_of(number)?, now)
    }

    /// Whether the client's end of a connection still serves an attempt.
    pub(crate) fn serves(&self, line: LineNo, attempt: AttemptId) -> bool {
        let line = self.lines.get(&line);
        line.is_some_and(|line| line.members.contains(&attempt)) && self.fleet().is_current(attempt)
    }

    /// The hub and the device of an open that has not been answered.
    pub(crate) fn awaits(&self, line: LineNo, attempt: AttemptId) -> Option<(HubNo, DeviceNo)> {
        let number = self.device_of(attempt)?;
        let place = self.devices.get(number as usize)?.place?;
        let awaits = self.serves(line, attempt) && place.phase == Phase::Opening;
        awaits.then_some((self.hub_of(line)?, number))
    }

    fn hub_of(&self, line: LineNo) -> Option<HubNo> {
        self.lines.get(&line).map(|line| line.hub)
    }

    /// Connections to each hub, and how many would do for the identities that count there.
    pub(crate) fn connections(&self) -> impl Iterator<Item = (ServiceId, usize, usize)> {
        let hubs = self.fleet().services().skip(1);
        hubs.filter_map(|(service, ..)| {
            let ledger = self.controller.pool(service)?.ledger();
            let needed = ledger.slots_used().div_ceil(self.scenario.hub_slots);
            Some((service, ledger.connections(), needed))
        })
    }

    /// When a device was connected last, if it is not.
    pub(crate) fn connected_until(&self, device: DeviceNo) -> Option<Duration> {
        self.devices.get(device as usize)?.connected_until
    }

    /// Whether the client has a connection.
    pub(crate) fn has(&self, line: LineNo) -> bool {
        self.lines.contains_key(&line)
    }

    /// Connections that the client has to a hub.
    pub(crate) fn lines_to(&self, hub: HubNo) -> usize {
        self.lines.values().filter(|line| line.hub == hub).count()
    }
}

/// A process that begins with what is stored.
fn controller(
    scenario: &Scenario,
    process: u32,
    stored: &Stored,
    now: Duration,
    skew_s: i64,
) -> Controller<Sim> {
    let seed = scenario.seed ^ u64::from(process).rotate_left(32);
    let config = ControllerConfig {
        fleet: FleetConfig {
            hub_pace: scenario.hub_pace,
            dps_pace: scenario.dps_pace,
            dps: host("dps.net"),
            credentials: match scenario.profile {
                Profile::Policy => CredentialScope::Policy,
                Profile::DeviceKeys | Profile::Dps => CredentialScope::Device,
            },
            max_devices: scenario.devices,
            max_hubs: scenario.hubs,
            hub_gone_after: scenario.gone_after,
            seed,
        },
        pool: PoolConfig {
            slots_per_connection: scenario.slots,
            per_device_tokens: scenario.profile != Profile::Policy,
            hub_size: None,
            max_connections: scenario.max_connections,
        },
        profile: match scenario.profile {
            Profile::Policy | Profile::DeviceKeys => controller::Profile::Hub(host("h0.net")),
            Profile::Dps => controller::Profile::Dps,
        },
        token_life_s: scenario.token_life.as_secs() as u32,
        delivery: DeliveryConfig::new(1, seed),
        method_answer_timeout: METHOD_TIMEOUT,
        keeps_letters: false,
        secrets: Secrets::new([process as u8; 32]),
    };
    let rows = stored.rows.iter();
    let rows = rows.map(|((scope, kind), row)| (scope.clone(), *kind, row.clone()));
    let remembered = Remembered {
        rows: rows.collect(),
        hubs: stored.hubs.values().cloned().collect(),
        marks: Vec::new(),
    };
    let present = present(scenario, now, skew_s);
    Controller::new(config, remembered, present, unix(present))
}

fn present(scenario: &Scenario, monotonic: Duration, skew_s: i64) -> Now {
    let unix_s = scenario.epoch_unix_s + monotonic.as_secs();
    Now {
        monotonic,
        unix_s: unix_s.saturating_add_signed(skew_s),
    }
}

const fn unix(now: Now) -> Duration {
    Duration::from_secs(now.unix_s)
}

/// The number of a device of this id.
fn number(id: &DeviceId) -> Option<DeviceNo> {
    id.as_str().strip_prefix('d')?.parse().ok()
}

/// A host name that is one.
pub(crate) fn host(text: &str) -> HostName {
    #[expect(clippy::expect_used, reason = "written in this crate")]
    HostName::parse(text).expect("a host name")
}
