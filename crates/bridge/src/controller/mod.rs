//! Every decision about devices, their connections, subscriptions and events, as one value without I/O.
//!
//! A [`Controller`] takes inputs ([`Input`], and [`run`](Controller::run) for the passing of time) and returns actions
//! ([`Action`]); its owner executes them and returns their results as inputs. All state of devices is in here: their machines
//! ([`Fleet`]), their places on connections ([`Pool`]), the links that subscriptions need, the events on their way to subscribers
//! ([`Outbox`]).
//!
//! There is a file for each kind of event: `methods`, `c2d` (and `c2d_pulls`, for devices that poll for their messages), `desired`,
//! `status`; and for each kind of work on connections: `device_open`, `connection_events`, `reconcile`, `link_retry`, `rebalance`.

mod action;
mod attempt_timers;
mod c2d;
mod c2d_pulls;
mod connection_changes;
mod connection_events;
mod context;
mod correlation;
mod counters;
mod dead_letters;
mod desired;
mod desired_marks;
mod device_list_changes;
mod device_open;
mod holds;
mod hub_cache;
mod input;
mod link_retry;
mod methods;
mod names;
mod peer_clock;
mod platform;
mod pool;
mod rebalance;
mod reconcile;
mod registration_requests;
mod registrations;
mod requests;
mod response;
mod spelling_merge;
mod spellings;
mod status;
mod subscription_requests;
mod subscription_store;
mod twin_reads;
mod waiters;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use drawspan_fleet::device::Assignment;
use drawspan_fleet::mutation::{Mutation, planted};
use drawspan_fleet::{Chance, Fleet, FleetConfig, Now, ServiceId};
use drawspan_hub::{AttemptId, DeviceId, Failure, FailureKind, HostName, SubscriptionType};

use crate::delivery::DeliveryConfig;
use crate::events::{Outbox, Secrets, UnreadCounters};
use crate::history::History;
use crate::subscriptions::{Prefix, Row, Scope, Table};
use crate::wall_clock::WallClock;
use attempt_timers::AttemptTimers;
use correlation::Correlation;
use desired_marks::Marks;
use rebalance::Moves;
use reconcile::Sweeps;
use spellings::Spellings;
use subscription_store::SubscriptionStore;

pub use action::{Action, DeadLetter, HubChange, Location, Note, Open, Registration, SharedPaces};
pub use context::{DeviceContext, Member, Noted, RefusedLinks, Waiter};
pub use counters::{ByFailure, DpsCounters, HubCounters};
pub use desired_marks::Mark;
pub use hub_cache::{Cached, HubCache, StoredHub};
pub use input::{Assigned, Command, ConnectionEvent, Input, Letter, Request, SessionEvent, Then};
pub use names::Names;
pub use platform::{Caller, Listing, Platform, Route};
pub use pool::{Pool, PoolConfig};
pub use registrations::Registrations;
pub use response::{Held, Refusal, Relisted, RequestError, Response};
pub use waiters::Delay;

/// The configuration of a controller.
#[derive(Debug)]
pub struct ControllerConfig<P: Platform> {
    /// Paces and bounds of the fleet.
    pub fleet: FleetConfig,
    /// Connections to each hub.
    pub pool: PoolConfig,
    /// How a device's hub is known.
    pub profile: Profile<P::Listing>,
    /// Life of the tokens of devices that stay connected.
    pub token_life_s: u32,
    /// Bounds of events.
    pub delivery: DeliveryConfig,
    /// How long the receiver of a method may take, retries included.
    pub method_answer_timeout: Duration,
    /// Whether there is a place for events that were not taken.
    pub keeps_letters: bool,
    /// Source of unguessable ids.
    pub secrets: Secrets,
}

/// How a device's hub is known.
#[derive(Debug, Clone)]
pub enum Profile<L> {
    /// It is this one.
    Hub(HostName),
    /// DPS says so.
    Dps,
    /// It is listed.
    Listed(L),
}

/// The data stored by an earlier process.
#[derive(Debug)]
pub struct Remembered<C> {
    /// Subscriptions.
    pub rows: Vec<(Scope, SubscriptionType, Row<C>)>,
    /// The hubs of devices.
    pub hubs: Vec<StoredHub>,
    /// How far receivers are with desired properties.
    pub marks: Vec<(DeviceId, Mark)>,
}

/// See the module.
#[derive(Debug)]
pub struct Controller<P: Platform> {
    now: Now,
    profile: Profile<P::Listing>,
    token_life_s: u32,
    pool: PoolConfig,
    keeps_letters: bool,
    fleet: Fleet<DeviceContext<P>>,
    pools: BTreeMap<ServiceId, Pool>,
    registrations: Registrations<P>,
    /// For token lives and waits.
    chance: Chance,
    secrets: Secrets,
    wall_clock: WallClock,
    /// The last changes of connections.
    history: History,
    table: Table<P::Callback>,
    store: SubscriptionStore,
    marks: Marks,
    spellings: Spellings,
    cache: HubCache,
    /// When messages are no longer held.
    holds: AttemptTimers,
    /// Twins that are being read, and at which hub.
    reading: HashMap<AttemptId, ServiceId>,
    sweeps: Sweeps,
    /// When refused links are requested again.
    retries: AttemptTimers,
    moves: Moves,
    outbox: Outbox<P::Callback, Correlation<P>>,
    /// Dead letters on their way, by webhook id. Each ends as a finished event.
    replaying: HashSet<String>,
    /// Events given to the dead letters.
    letters: u64,
    /// Answers to methods that could not be read.
    unread_answers: UnreadCounters,
    actions: VecDeque<Action<P>>,
}

impl<P: Platform> Controller<P> {
    /// With what is stored; devices with subscriptions are connected from now on. `unix` is the wall clock's time.
    pub fn new(
        config: ControllerConfig<P>,
        remembered: Remembered<P::Callback>,
        now: Now,
        unix: Duration,
    ) -> Self {
        let seed = config.fleet.seed;
        let is_dps = matches!(config.profile, Profile::Dps);
        let dps = config.fleet.dps.clone();
        let mut controller = Self {
            now,
            fleet: Fleet::new(config.fleet),
            profile: config.profile,
            token_life_s: config.token_life_s,
            pool: config.pool,
            keeps_letters: config.keeps_letters,
            pools: BTreeMap::new(),
            registrations: Registrations::default(),
            chance: Chance::new(seed),
            secrets: config.secrets,
            wall_clock: WallClock::new(now.monotonic, unix),
            history: History::default(),
            table: Table::default(),
            store: SubscriptionStore::default(),
            marks: Marks::new(remembered.marks),
            spellings: Spellings::new(is_dps),
            cache: HubCache::default(),
            holds: AttemptTimers::default(),
            reading: HashMap::new(),
            sweeps: Sweeps::default(),
            retries: AttemptTimers::default(),
            moves: Moves::default(),
            outbox: Outbox::new(config.delivery, config.method_answer_timeout),
            replaying: HashSet::new(),
            letters: 0,
            unread_answers: UnreadCounters::default(),
            actions: VecDeque::new(),
        };
        if is_dps {
            controller.act(Action::Service(ServiceId::DPS, dps));
        }
        controller.remember(remembered.rows, remembered.hubs);
        if !planted(Mutation::StartWithoutSweep) {
            controller.sweep(Prefix::default());
        }
        controller
    }

    /// Takes in what happened. The [actions](Self::action) that follow are to be done next.
    pub fn handle(&mut self, input: Input<P>, now: Now) {
        self.now = now;
        match input {
            Input::Request(request) => self.request(request),
            Input::Connection { hub, key, event } => match event {
                ConnectionEvent::Ready => self.connection_ready(hub, key),
                ConnectionEvent::Ended(failure) => self.connection_ended(hub, key, failure),
            },
            Input::Unanswered(hub, failure) => self.fleet.request_ended(hub, failure.as_ref()),
            Input::MessageQuota(hub, refused) => {
                self.fleet.message_quota(hub, refused.as_ref(), now);
            }
            Input::MessagesRefused {
                device,
                serial,
                failure,
            } => self.messages_refused(&device, serial, &failure),
            Input::MessagesTaken { device, serial } => self.throttle_ended(&device, serial),
            Input::ClockSeen(hub, ahead_s) => self.clock_seen(hub, ahead_s),
            // An answer for a finished attempt changes nothing; its session took everything with it.
            Input::Session { attempt, event }
                if self.fleet.is_current(attempt) || planted(Mutation::StaleAnswer) =>
            {
                self.session(attempt, event);
            }
            Input::Session { .. } => {}
            Input::Busy(attempt, command) => self.busy(attempt, command),
            Input::DpsAnswers => self.fleet.reached(ServiceId::DPS),
            Input::Registered {
                number,
                key,
                answer,
            } => self.registered(number, key, &answer),
            Input::TwinRead(attempt, twin) => self.twin_read(attempt, twin),
            Input::Settled {
                attempt,
                result,
                caller,
            } => self.settled(attempt, result, caller),
            Input::Answered {
                attempt,
                answer,
                body,
            } => self.outbox.answered(attempt, answer, body, now.monotonic),
            Input::Written {
                scope,
                result,
                then,
            } => self.written(&scope, result, then),
            Input::Rows { scope, rows } => self.rows_read(&scope, rows),
        }
        self.follow();
    }

    /// Does what is due and says when to come back. `unix` is the wall clock's time.
    pub fn run(&mut self, now: Now, unix: Duration) -> Duration {
        self.now = now;
        self.wall_clock.observe(now.monotonic, unix);
        self.renew_cache();
        self.move_some();
        self.sweep_some();
        self.retry_links();
        self.catch_up_some();
        self.end_holds();
        self.outbox.tick(now.monotonic);
        self.follow();
        loop {
            let due = self.fleet.run(now);
            if !self.follow() {
                return self.due(due);
            }
        }
    }

    /// The next action. Call this until it returns `None`, after each input.
    pub fn action(&mut self) -> Option<Action<P>> {
        self.actions.pop_front()
    }

    /// Does what follows until nothing does. False if nothing did.
    fn follow(&mut self) -> bool {
        let mut any = false;
        loop {
            let acted = self.act_for_fleet();
            let heard = self.hear_outcomes();
            let began = self.begin_posts();
            if !(acted || heard || began) {
                return any;
            }
            any = true;
        }
    }

    fn begin_posts(&mut self) -> bool {
        let mut any = false;
        while let Some(post) = self.outbox.begin(self.now.monotonic) {
            any = true;
            self.act(Action::Post(Box::new(post)));
        }
        while let Some(news) = self.outbox.news() {
            self.act(Action::Note(Note::Receiver(news)));
        }
        any
    }

    fn due(&mut self, fleet: Option<Duration>) -> Duration {
        let now = self.now.monotonic;
        let dues = [
            fleet,
            self.outbox.due(now),
            self.sweeps.due(now),
            self.retries.due(),
            self.holds.due(),
            self.catch_up_due(),
            self.moves_due(),
        ];
        dues.into_iter()
            .flatten()
            .fold(self.cache.due(), Duration::min)
    }

    fn renew_cache(&mut self) {
        if self.now.monotonic < self.cache.due() {
            return;
        }
        let (fleet, table) = (&self.fleet, &self.table);
        // A device in memory is connected or tries to be; one with a subscription shall find its hub.
        let in_use = |device: &_| fleet.find(device).is_some() || table.has_own(device);
        let now = self.now;
        let change = self.cache.renew(now.monotonic, now.unix_s, in_use);
        self.act(Action::StoreHub(change));
    }

    /// The device's index; a new device is given its hub as far as that is known.
    fn index_of(&mut self, id: &DeviceId) -> Result<u32, Failure> {
        let assignment = match self.fleet.find(id) {
            Some(index) => return Ok(index),
            None => self.assignment(id)?,
        };
        let cached = self.cache.get(id);
        let assigned = cached.and_then(|cached| cached.assigned.clone());
        let index = self
            .fleet
            .device(id, || assignment)
            .map_err(|full| Failure::local(FailureKind::TokenLimit, &full.to_string()))?;
        if let Some(context) = self.fleet.context_mut(index) {
            context.assigned = assigned;
        }
        Ok(index)
    }

    fn assignment(&self, id: &DeviceId) -> Result<Assignment, Failure> {
        match &self.profile {
            Profile::Hub(host) => Ok(Assignment::Fixed(host.clone())),
            Profile::Dps => {
                let cached = self.cache.get(id);
                Ok(Assignment::dps(cached.map(|cached| cached.hub.clone())))
            }
            Profile::Listed(list) => list.hub_of(id).map(Assignment::Fixed).ok_or_else(|| {
                let text = "the device is not listed";
                Failure::local(FailureKind::InvalidRequest, text)
            }),
        }
    }

    fn act(&mut self, action: Action<P>) {
        self.actions.push_back(action);
    }

    fn answer(&mut self, caller: P::Caller, answer: Response<P>) {
        self.act(Action::Answer(caller, answer));
    }

    fn fail(&mut self, caller: P::Caller, error: RequestError<P::StoreFault>) {
        self.answer(caller, Response::Error(error));
    }
}

/// Read access to the state.
impl<P: Platform> Controller<P> {
    /// The devices in memory.
    #[must_use]
    pub const fn fleet(&self) -> &Fleet<DeviceContext<P>> {
        &self.fleet
    }

    /// The subscriptions.
    #[must_use]
    pub const fn table(&self) -> &Table<P::Callback> {
        &self.table
    }

    /// The hubs of devices.
    #[must_use]
    pub const fn cache(&self) -> &HubCache {
        &self.cache
    }

    /// The connections to a hub.
    #[must_use]
    pub fn pool(&self, hub: ServiceId) -> Option<&Pool> {
        self.pools.get(&hub)
    }

    /// Registrations at DPS.
    #[must_use]
    pub const fn registrations(&self) -> &Registrations<P> {
        &self.registrations
    }

    /// The events on their way to receivers, and their counters.
    #[must_use]
    pub fn events(&self) -> (crate::delivery::Load, crate::events::EventCounters) {
        (self.outbox.load(), self.outbox.counters())
    }

    /// Events given to the dead letters.
    #[must_use]
    pub const fn letters(&self) -> u64 {
        self.letters
    }

    /// Answers to methods that could not be read.
    #[must_use]
    pub const fn unread_answers(&self) -> UnreadCounters {
        self.unread_answers
    }

    /// The UTC time of a monotonic one.
    #[must_use]
    pub fn time_at(&self, monotonic: Duration) -> drawspan_hub::UtcTime {
        self.wall_clock.at(monotonic)
    }
}

#[cfg(test)]
mod tests;
