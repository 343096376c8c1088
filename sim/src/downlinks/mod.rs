//! The production [controller](drawspan_bridge::Controller) between a hub, receivers and callers, on virtual time: subscriptions,
//! links, methods, messages, desired properties, holds.
//!
//! `hub.rs` is a hub and its service side, which counts for itself; `receivers.rs` says how receivers behave and what they have;
//! `process.rs` does what the controller wants done, `wire.rs` is the hub's end of it; `deeds.rs` is what people do and what goes wrong. After a number of deeds that
//! the seed picks, everything is well, and within bounded time every link must be there, every message settled, and every receiver
//! must have exactly what the twins hold.

mod deeds;
mod hub;

mod process;
mod receivers;
mod settle;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use drawspan_bridge::Controller;
use drawspan_bridge::controller::{
    ControllerConfig, PoolConfig, Profile, Remembered, RequestError, SessionEvent, Then,
};
use drawspan_bridge::delivery::{self, DeliveryConfig};
use drawspan_bridge::events::Secrets;
use drawspan_bridge::subscriptions::Scope;
use drawspan_fleet::governor::Pace;
use drawspan_fleet::{CredentialScope, FleetConfig, Now};
use drawspan_hub::{AttemptId, ConnectionKey, DeviceId};

use crate::agenda::Agenda;
use crate::check::{Violation, ensure};
use crate::dice::Dice;
use crate::platform::{Caller, Sim};
use crate::run::Failed;
use crate::tally::Tally;
use deeds::Troubles;
use hub::Hub;
use process::Stored;
use receivers::Receivers;

/// Number of a device.
type DeviceNo = usize;

const UNIX_S: u64 = 1_800_000_000;

/// How long a receiver of a method may take.
const METHOD_TIMEOUT: Duration = Duration::from_secs(30);

/// What happens at a moment.
#[derive(Debug)]
enum Event {
    /// Something at random.
    Deed,
    /// A device's desired properties go elsewhere.
    Resubscribe(DeviceNo),
    /// The controller wants to be run.
    Due,
    /// A connection can take devices.
    Ready(ConnectionKey),
    /// The client notices that a connection is gone.
    Gone(ConnectionKey),
    /// A command of the client arrives at the hub.
    AtHub(DeviceNo, AttemptId, process::ToHub),
    /// News of a session arrive at the client.
    AtClient(AttemptId, Box<SessionEvent<Sim>>),
    /// A hub's lock on a message ends.
    LockEnds(DeviceNo),
    /// A method must have been answered by now, if its session still stands.
    MethodDue(DeviceNo, u64),
    /// A receiver has done with a request.
    Answered(delivery::DeliveryAttempt, delivery::AttemptOutcome, Bytes),
    Written(Scope, Result<(), Option<()>>, Then<Sim>),
    ReadRows(Scope),
    TwinRead(AttemptId, Option<Bytes>),
    Settled(AttemptId, Result<(), RequestError<()>>, Option<Caller>),
    /// A caller who has a message says what became of it.
    SettleHeld(DeviceNo, String),
    /// A caller waits no longer.
    HangUp(u64),
    /// A trouble is over.
    Calm(deeds::Trouble),
}

/// Everything together.
struct World {
    now: Duration,
    agenda: Agenda<Event>,
    dice: Dice,
    controller: Controller<Sim>,
    stored: Stored,
    hub: Hub,
    receivers: Receivers,
    troubles: Troubles,
    ids: Vec<DeviceId>,
    /// Connections that stand, or are being made.
    connections: BTreeMap<ConnectionKey, process::Connection>,
    /// Connections that the hub does not have any more.
    broken: BTreeSet<ConnectionKey>,
    /// Finished connections, which never come back.
    over: BTreeSet<ConnectionKey>,
    /// When the last message of a device arrives: there, and here.
    arrivals: BTreeMap<AttemptId, (Duration, Duration)>,
    /// Devices that requests may reach.
    published: BTreeSet<DeviceId>,
    /// Callers who wait, by number.
    callers: BTreeMap<u64, Caller>,
    next_caller: u64,
    /// The message that was handed out of each device, by its token, and when that was first.
    held: BTreeMap<DeviceNo, (String, u64, Duration)>,
    due: BTreeSet<Duration>,
    calm: bool,
    events: usize,
    process: u64,
    seed: u64,
    tally: Tally,
    trace: bool,
}

/// Drives a controller through what the seed picks.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run_downlinks(seed: u64, trace: bool) -> Result<Tally, Failed> {
    let mut world = World::new(seed, trace);
    match world.live() {
        Ok(()) => Ok(world.tally),
        Err(violation) => Err(Failed {
            seed,
            step: world.events,
            violation,
        }),
    }
}

impl World {
    fn new(seed: u64, trace: bool) -> Self {
        let mut dice = Dice::new(seed ^ 0x00d0_1141);
        let devices = dice.magnitude(1.0, 40.0) as usize;
        let ids: Vec<DeviceId> = (0..devices).map(id).collect();
        let mut agenda = Agenda::new();
        agenda.set(Duration::from_secs(1), Event::Deed);
        let stored = Stored::default();
        let controller = controller(seed, 0, &stored, Duration::ZERO);
        Self {
            now: Duration::ZERO,
            agenda,
            dice,
            controller,
            stored,
            hub: Hub::new(devices),
            receivers: Receivers::default(),
            troubles: Troubles::default(),
            ids,
            connections: BTreeMap::new(),
            broken: BTreeSet::new(),
            over: BTreeSet::new(),
            arrivals: BTreeMap::new(),
            published: BTreeSet::new(),
            callers: BTreeMap::new(),
            next_caller: 0,
            held: BTreeMap::new(),
            due: BTreeSet::new(),
            calm: false,
            events: 0,
            process: 0,
            seed,
            tally: Tally::default(),
            trace,
        }
    }

    fn live(&mut self) -> Result<(), Violation> {
        let deeds = self.dice.magnitude(20.0, 600.0) as usize;
        self.run_controller()?;
        for _ in 0..deeds * 8 {
            if !self.step()? {
                break;
            }
        }
        self.calm_down()?;
        self.settle()
    }

    /// The next event, and everything that follows at once. False if there is no event.
    fn step(&mut self) -> Result<bool, Violation> {
        let Some((at, event)) = self.agenda.next() else {
            return Ok(false);
        };
        self.now = at;
        self.events += 1;
        if self.trace {
            eprintln!("{:>12.3} {event:?}", at.as_secs_f64());
        }
        self.happen(event)?;
        self.run_controller()?;
        self.check()?;
        Ok(true)
    }

    fn present(&self) -> Now {
        Now {
            monotonic: self.now,
            unix_s: UNIX_S + self.now.as_secs(),
        }
    }

    fn number(&self, device: &DeviceId) -> Option<DeviceNo> {
        self.ids.iter().position(|id| id == device)
    }

    /// Whether what the process says of a device agrees with what it does.
    fn check(&self) -> Result<(), Violation> {
        let fleet = self.controller.fleet();
        for (index, device, machine) in fleet.iter() {
            let connected = matches!(machine.state(), drawspan_fleet::State::Connected { .. });
            let published = self.published.contains(device);
            ensure(connected == published, "PUBLISHED", || {
                format!("{device} is {:?}, published: {published}", machine.state())
            })?;
            let place = fleet.context(index).and_then(|context| context.place);
            let stands = place.is_none_or(|it| self.connections.contains_key(&it.connection));
            ensure(stands, "PLACE", || {
                format!("{device} is on {place:?}, which is over")
            })?;
        }
        Ok(())
    }
}

/// A process that begins with what is stored.
fn controller(seed: u64, process: u64, stored: &Stored, now: Duration) -> Controller<Sim> {
    let config = ControllerConfig {
        fleet: FleetConfig {
            hub_pace: Pace::Unlimited,
            dps_pace: Pace::Unlimited,
            dps: crate::process::host("dps.net"),
            credentials: CredentialScope::Device,
            max_devices: 1_000,
            max_hubs: 2,
            hub_gone_after: drawspan_fleet::limits::HUB_GONE_AFTER,
            seed: seed ^ process.rotate_left(32),
        },
        pool: PoolConfig {
            slots_per_connection: 10,
            per_device_tokens: false,
            hub_size: None,
            max_connections: None,
        },
        profile: Profile::Hub(crate::process::host("h0.net")),
        token_life_s: 3_600,
        delivery: DeliveryConfig::new(2, seed),
        method_answer_timeout: METHOD_TIMEOUT,
        keeps_letters: true,
        secrets: Secrets::new([process as u8; 32]),
    };
    let remembered = Remembered {
        rows: stored.rows(),
        hubs: Vec::new(),
        marks: stored.marks(),
    };
    let present = Now {
        monotonic: now,
        unix_s: UNIX_S + now.as_secs(),
    };
    let unix = Duration::from_secs(UNIX_S) + now;
    Controller::new(config, remembered, present, unix)
}

fn id(number: usize) -> DeviceId {
    #[expect(clippy::expect_used, reason = "written in this crate")]
    DeviceId::parse(&format!("d{number:02}")).expect("a device id")
}
