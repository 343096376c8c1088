//! The shell around the fleet: it carries out what the fleet wants done, and brings back what came of it.

mod actions;
mod arriving;
mod dead_letters;
mod desired;
mod diagnostics;
mod linking;
mod listing;
mod measuring;
mod moves;
mod news;
mod pulling;
mod relisting;
mod requests;
mod spelling;
mod subscribing;
mod verdicts;
mod waiting;
mod wanting;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::device::Assignment;
use drawspan_bridge::fleet::{FleetConfig, ServiceId};
use drawspan_bridge::{Chance, Fleet, Now};
use drawspan_client::{Board, Credentials, Inbox, StatusBoard};
use drawspan_hub::limits::HubSize;
use drawspan_hub::{DeviceId, Failure, FailureKind, HostName};
use drawspan_net::{Clock, Connector, Transport};
use drawspan_store::DeadLetters;

use desired::CatchUps;
use linking::Retries;
use moves::Moves;
use pulling::Holds;
use wanting::Sweeps;

use super::answer::UnreadTally;
use super::beside::Beside;
use super::brought::Brought;
use super::calendar::{self, Calendar};
use super::directory::Directory;
use super::health::Health;
use super::hub_cache::HubCache;
use super::pool::Pool;
use super::records::Records;
use super::registrations::Registrations;
use super::spellings::Spellings;
use super::table::Table;
use super::ticket::Ticket;
use super::versions::Versions;
use crate::devices::Prefix;
use crate::webhooks::{self, Webhooks};

/// What the shell is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) fleet: FleetConfig,
    pub(super) profile: Profile,
    pub(super) credentials: Arc<Credentials>,
    pub(super) connector: Connector,
    pub(super) transport: Transport,
    /// Of devices that stay connected.
    pub(super) token_life_s: u32,
    /// Of every hub, if it is known.
    pub(super) hub_size: Option<HubSize>,
    pub(super) max_connections: Option<usize>,
    pub(super) clock: Clock,
    pub(super) board: Arc<StatusBoard>,
    pub(super) directory: Arc<Directory>,
    pub(super) health: Arc<Health>,
    pub(super) cache: HubCache,
    pub(super) registrations: Registrations,
    /// Of all connections.
    pub(super) inbox: Arc<Inbox>,
    /// Where tasks leave what they bring back.
    pub(super) brought: Arc<Board<Brought>>,
    /// Where events are kept that were not taken.
    pub(super) letters: Option<DeadLetters>,
}

/// What is known of subscriptions.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) table: Table,
    pub(super) records: Records,
    pub(super) versions: Versions,
    pub(super) spellings: Spellings,
}

/// How a device's hub is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Profile {
    /// It is this one.
    Hub(HostName),
    /// DPS says so.
    Dps,
    /// It is listed with its keys.
    Listed,
}

#[derive(Debug)]
pub(super) struct Shell {
    parts: Parts,
    fleet: Fleet<Beside>,
    pools: HashMap<ServiceId, Pool>,
    /// For token lives.
    chance: Chance,
    moves: Moves,
    calendar: Calendar,
    table: Table,
    records: Records,
    versions: Versions,
    spellings: Spellings,
    catch_ups: CatchUps,
    holds: Holds,
    sweeps: Sweeps,
    retries: Retries,
    webhooks: Webhooks<Ticket>,
    /// Dead letters on their way, by webhook id. Each ends with a verdict.
    replaying: HashSet<String>,
    /// No warning of a connection that ended before that.
    next_warning: Duration,
    /// Events given to the dead letters.
    letters: u64,
    /// Answers to methods that could not be read.
    unread_answers: UnreadTally,
}

impl Shell {
    /// With these subscriptions, whose devices are connected from now on.
    pub(super) fn new(parts: Parts, remembered: Remembered, webhooks: Webhooks<Ticket>) -> Self {
        let seed = parts.fleet.seed;
        if parts.profile == Profile::Dps {
            parts.health.add(ServiceId::DPS, &parts.fleet.dps);
        }
        let mut shell = Self {
            fleet: Fleet::new(parts.fleet.clone()),
            calendar: Calendar::new(parts.clock.now(), calendar::unix()),
            parts,
            pools: HashMap::new(),
            chance: Chance::new(seed),
            moves: Moves::default(),
            next_warning: Duration::ZERO,
            letters: 0,
            unread_answers: UnreadTally::default(),
            table: remembered.table,
            records: remembered.records,
            versions: remembered.versions,
            spellings: remembered.spellings,
            catch_ups: CatchUps::default(),
            holds: Holds::default(),
            sweeps: Sweeps::default(),
            retries: Retries::default(),
            webhooks,
            replaying: HashSet::new(),
        };
        shell.sweep(Prefix::default());
        shell
    }

    /// Does what is due and says when to come back.
    pub(super) fn run(&mut self) -> Duration {
        let now = self.now();
        self.calendar.look(now.monotonic, calendar::unix());
        let (fleet, table) = (&self.fleet, &self.table);
        // A device in memory is connected or tries to be; one with a subscription shall find its hub.
        let in_use = |device: &_| fleet.find(device).is_some() || table.has_own(device);
        self.parts.cache.upkeep(now.monotonic, now.unix_s, in_use);
        self.move_some(now);
        self.sweep_some(now);
        self.retry_links(now);
        self.catch_up_some(now);
        self.end_holds(now);
        loop {
            let due = self.fleet.run(now);
            let events = self.webhooks.run(now.monotonic);
            if !self.act() && !self.hear_verdicts() {
                let upkeep = self.parts.cache.due().min(self.moves.due());
                let sweeps = self.sweeps.due(now.monotonic);
                let (retries, holds) = (self.retries.due(), self.holds.due());
                let due = [due, events, sweeps, retries, holds, self.catch_ups.due()];
                return due.into_iter().flatten().fold(upkeep, Duration::min);
            }
        }
    }

    /// A task of the shell is done.
    pub(super) fn brought(&mut self, brought: Brought) {
        match brought {
            Brought::Twin { attempt, answer } => self.twin_read(attempt, answer),
            Brought::Settled(attempt) if self.fleet.is_current(attempt) => {
                self.pull(attempt.device);
            }
            Brought::Settled(_) => {}
            Brought::Written {
                scope,
                result,
                then,
            } => self.written(&scope, result, then),
            Brought::Rows { scope, rows } => self.rows_read(&scope, rows),
        }
        self.act();
    }

    /// Attempts to deliver an event are over.
    pub(super) fn attempted(&mut self, done: webhooks::Done) {
        let now = self.parts.clock.now();
        self.webhooks.done(done, now);
    }

    /// The device's index; a new device is given its hub as far as that is known.
    fn index_of(&mut self, id: &DeviceId) -> Result<u32, Failure> {
        let assignment = match self.fleet.find(id) {
            Some(index) => return Ok(index),
            None => self.assignment(id)?,
        };
        let cached = self.parts.cache.get(id);
        let assigned = cached.and_then(|cached| cached.assigned.clone());
        let index = self
            .fleet
            .device(id, || assignment)
            .map_err(|full| Failure::local(FailureKind::TokenLimit, &full.to_string()))?;
        if let Some(beside) = self.fleet.beside_mut(index) {
            beside.assigned = assigned;
        }
        Ok(index)
    }

    fn assignment(&self, id: &DeviceId) -> Result<Assignment, Failure> {
        match &self.parts.profile {
            Profile::Hub(host) => Ok(Assignment::Fixed(host.clone())),
            Profile::Dps => {
                let cached = self.parts.cache.get(id);
                Ok(Assignment::dps(cached.map(|cached| cached.hub.clone())))
            }
            Profile::Listed => {
                let listed = self.parts.credentials.listed_hub(id);
                listed.map(Assignment::Fixed).ok_or_else(|| {
                    let text = "the device is not listed";
                    Failure::local(FailureKind::InvalidRequest, text)
                })
            }
        }
    }

    fn now(&self) -> Now {
        let unix_s = calendar::unix().as_secs();
        Now {
            monotonic: self.parts.clock.now(),
            unix_s,
        }
    }
}
