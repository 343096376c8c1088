//! Every device of this process, and what its machine asks for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drawspan_bridge::device::{Assignment, Epoch, How, State, Why};
use drawspan_bridge::governor::Pace;
use drawspan_bridge::{Device, Effect, Effects, Governor, Input, Jitter, Now};
use drawspan_client::{ConnectionConfig, ConnectionKey, DeviceSession, Owner, Status};
use drawspan_hub::{DeviceId, Failure, FailureKind};

use super::directory::{Directory, Route};
use super::entry::{Attempt, Entry, Waiter};
use super::pool::Pool;
use super::timers::Timers;
use crate::limits;

pub(super) struct Fleet {
    config: Arc<ConnectionConfig>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_id: HashMap<DeviceId, u32>,
    timers: Timers,
    /// Devices that ask for a permit, in turn.
    queue: VecDeque<(u32, Epoch)>,
    /// When the governor wants to be asked again.
    permit_at: Option<Duration>,
    governor: Governor,
    pool: Pool,
    directory: Arc<Directory>,
    /// For callers whose time is up: why.
    hub_down: Arc<AtomicBool>,
    next_serial: u32,
}

impl Fleet {
    pub(super) fn new(
        config: Arc<ConnectionConfig>,
        pace: Pace,
        directory: Arc<Directory>,
        hub_down: Arc<AtomicBool>,
    ) -> Self {
        Self {
            pool: Pool::new(Arc::clone(&config)),
            config,
            entries: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            timers: Timers::default(),
            queue: VecDeque::new(),
            permit_at: None,
            governor: Governor::new(pace),
            directory,
            hub_down,
            next_serial: 0,
        }
    }

    /// A caller wants a route to a device.
    pub(super) fn connect(&mut self, id: DeviceId, waiter: Waiter) {
        let Some(index) = self.index_of(id) else {
            let text = "this process has as many devices as it may have";
            let _ = waiter.reply.send(Err(Failure::local(FailureKind::TokenLimit, text)));
            return;
        };
        let at = self.config.clock.now();
        if let Some(entry) = self.entry(index) {
            entry.waiters.retain(|waiter| !waiter.reply.is_closed());
            if entry.waiters.len() >= limits::WAITERS_PER_DEVICE {
                let text = "too many requests wait for this device already";
                let _ = waiter.reply.send(Err(Failure::local(FailureKind::QueueFull, text)));
                return;
            }
            entry.waiters.push(waiter);
        }
        self.feed(index, Input::Use { at });
        let Some(entry) = self.entry(index) else { return };
        entry.answer_waiters();
        // Still waiting after a refusal that time alone does not mend: say so at once.
        if let State::Waiting { why, .. } | State::Yielded { why, .. } = entry.machine.state() {
            if is_final(why.kind) {
                let failure = remembered(why);
                entry.refuse_waiters(&failure);
            }
        }
    }

    /// A connection told something.
    pub(super) fn status(&mut self, status: Status) {
        let now = self.config.clock.now();
        match status {
            Status::ConnectionReady(_) => {
                if self.governor.hub.reached() {
                    self.hub_down.store(false, Ordering::Relaxed);
                    tracing::info!(hub = %self.config.host, "the hub can be reached again");
                }
                self.permit_at = None;
            }
            Status::ConnectionEnded(key, failure) => self.connection_ended(key, &failure, now),
            Status::Opened(owner, session) => self.opened(owner, session, now),
            Status::OpenFailed(owner, failure) => {
                if failure.kind == FailureKind::TokenLimit {
                    if let Some(attempt) = self.attempt(owner).copied() {
                        self.pool.fill(attempt.connection);
                    }
                }
                self.down(owner, |epoch| Input::OpenFailed { epoch, failure: &failure }, Some(&failure));
            }
            Status::Lost(owner, failure) => {
                self.down(owner, |epoch| Input::Lost { epoch, failure: &failure }, Some(&failure));
            }
            Status::Closed(owner) => self.down(owner, |epoch| Input::Closed { epoch }, None),
        }
    }

    /// Does what is due and says when to come back.
    pub(super) fn run(&mut self) -> Option<Duration> {
        let now = self.config.clock.now();
        while let Some(index) = self.timers.pop_due(now) {
            self.deadline(index, now);
        }
        self.grant_permits(now);
        [self.timers.next(), self.permit_at].into_iter().flatten().min()
    }

    fn deadline(&mut self, index: u32, now: Duration) {
        let Some(entry) = self.entry(index) else { return };
        if entry.timer.is_none_or(|timer| timer > now) {
            return;
        }
        entry.timer = None;
        if let Some(at) = entry.route.as_ref().map(|route| route.last_use()) {
            self.feed(index, Input::Use { at });
        }
        self.feed(index, Input::Deadline);
    }

    fn grant_permits(&mut self, now: Duration) {
        if self.permit_at.is_some_and(|at| at > now) {
            return;
        }
        self.permit_at = None;
        while let Some((index, epoch)) = self.queue.front().copied() {
            if let Err(wait) = self.governor.take(now) {
                self.permit_at = Some(now + wait);
                return;
            }
            self.queue.pop_front();
            if self.entry(index).is_some() {
                self.feed(index, Input::Permit { epoch });
            } else {
                self.governor.give_back(now);
            }
        }
    }

    // News of connections.

    fn opened(&mut self, owner: Owner, session: DeviceSession, now: Duration) {
        let Some(attempt) = self.attempt(owner) else { return };
        attempt.session = Some(session);
        let attempt = *attempt;
        if self.governor.breaker.accepted() {
            tracing::info!(hub = %self.config.host, "the hub takes credentials again");
            self.permit_at = None;
        }
        let Some(connection) = self.pool.get(attempt.connection).cloned() else { return };
        self.feed(owner.index, Input::Opened { epoch: attempt.epoch });
        let directory = Arc::clone(&self.directory);
        let Some(entry) = self.entry(owner.index) else { return };
        if !matches!(entry.machine.state(), State::Connected { .. }) {
            return;
        }
        let route = Arc::new(Route::new(connection, session, attempt.serial, now));
        entry.route = Some(Arc::clone(&route));
        entry.answer_waiters();
        directory.insert(entry.id.clone(), route);
    }

    /// The device's attempt is over.
    fn down<'a>(
        &mut self,
        owner: Owner,
        input: impl FnOnce(Epoch) -> Input<'a>,
        failure: Option<&Failure>,
    ) {
        let now = self.config.clock.now();
        let Some(attempt) = self.attempt(owner).copied() else { return };
        self.pool.leave(attempt.connection);
        self.forget_attempt(owner.index);
        if failure.is_some_and(|failure| failure.kind == FailureKind::Unauthorized) {
            self.refused_credentials(owner.index, now);
        }
        self.feed(owner.index, input(attempt.epoch));
        if let Some(failure) = failure {
            self.tell_waiters(owner.index, failure);
        }
    }

    fn connection_ended(&mut self, key: ConnectionKey, failure: &Failure, now: Duration) {
        self.pool.ended(key);
        if failure.kind == FailureKind::HubUnreachable && self.governor.hub.unreachable(now) {
            self.hub_down.store(true, Ordering::Relaxed);
            tracing::warn!(hub = %self.config.host, reason = %failure.message, "the hub cannot be reached");
        }
        let on_it = |entry: &Entry| entry.attempt.filter(|attempt| attempt.connection == key);
        let lost: Vec<_> = (0u32..)
            .zip(&self.entries)
            .filter_map(|(index, entry)| Some((index, on_it(entry.as_ref()?)?)))
            .collect();
        if lost.len() > 1 {
            tracing::warn!(hub = %self.config.host, devices = lost.len(), reason = %failure.message, "a connection is gone");
        }
        if failure.kind == FailureKind::Unauthorized {
            if let Some((index, _)) = lost.first() {
                self.refused_credentials(*index, now);
            }
        }
        for (index, attempt) in lost {
            self.forget_attempt(index);
            let closing = self.entry(index).is_some_and(|entry| entry.machine.state() == State::Closing);
            let epoch = attempt.epoch;
            self.feed(index, if closing { Input::Closed { epoch } } else { Input::Lost { epoch, failure } });
            self.tell_waiters(index, failure);
        }
        // The connection may have been the probe: whoever is next is due as the governor says.
        self.permit_at = None;
    }

    fn refused_credentials(&mut self, index: u32, now: Duration) {
        if self.governor.breaker.refused(index.into(), now) {
            tracing::error!(
                hub = %self.config.host,
                "the hub refuses the credentials of many devices: wrong key, or the clock is wrong"
            );
        }
    }

    fn forget_attempt(&mut self, index: u32) {
        let directory = Arc::clone(&self.directory);
        let Some(entry) = self.entry(index) else { return };
        entry.attempt = None;
        if entry.route.take().is_some() {
            directory.remove(&entry.id);
        }
    }

    /// Refuses those who wait when waiting on does not help.
    fn tell_waiters(&mut self, index: u32, failure: &Failure) {
        let Some(entry) = self.entry(index) else { return };
        let waiting = matches!(entry.machine.state(), State::Waiting { .. } | State::Yielded { .. });
        if waiting && is_final(failure.kind) {
            entry.refuse_waiters(failure);
        }
    }

    // The machine.

    fn feed(&mut self, index: u32, input: Input<'_>) {
        let now = self.now();
        let jitter = Jitter(random());
        let Some(entry) = self.entry(index) else { return };
        let effects = entry.machine.handle(input, now, jitter);
        self.carry_out(index, effects, now.monotonic);
        self.set_timer(index);
        self.forget_if_idle(index, now);
    }

    fn carry_out(&mut self, index: u32, effects: Effects, now: Duration) {
        for effect in effects {
            match effect {
                Effect::RequestPermit { epoch } => self.queue.push_back((index, epoch)),
                Effect::ReturnPermit { .. } => self.governor.give_back(now),
                Effect::Open { epoch, how } => self.open(index, epoch, how),
                Effect::Close { .. } => self.close(index),
                Effect::StatusChanged { status, reason } => {
                    if let Some(entry) = self.entry(index) {
                        tracing::debug!(device = %entry.id, status = status.as_str(), reason = reason.as_str());
                    }
                }
                // Every device of this profile has its hub from the start.
                Effect::Provision { .. } => {}
            }
        }
    }

    /// `how` asks for a fresh token, which every connection makes for itself, or for another connection, which a full
    /// one sees to.
    fn open(&mut self, index: u32, epoch: Epoch, _how: How) {
        self.next_serial = self.next_serial.wrapping_add(1);
        let serial = self.next_serial;
        let (key, connection) = self.pool.place();
        let Some(entry) = self.entry(index) else { return };
        entry.attempt = Some(Attempt { serial, epoch, connection: key, session: None });
        // A connection that is over tells so on the board, and this device with it.
        connection.open(Owner { index, epoch: serial }, entry.id.clone());
    }

    fn close(&mut self, index: u32) {
        let directory = Arc::clone(&self.directory);
        let Some(entry) = self.entry(index) else { return };
        if entry.route.take().is_some() {
            directory.remove(&entry.id);
        }
        let Some(attempt) = entry.attempt else { return };
        if let Some(connection) = self.pool.get(attempt.connection) {
            connection.close(Owner { index, epoch: attempt.serial }, attempt.session);
        }
    }

    fn set_timer(&mut self, index: u32) {
        let Some(entry) = self.entry(index) else { return };
        let Some(at) = entry.machine.next_deadline() else { return };
        if entry.timer.is_none_or(|timer| at < timer) {
            entry.timer = Some(at);
            self.timers.set(at, index);
        }
    }

    fn forget_if_idle(&mut self, index: u32, now: Now) {
        let Some(entry) = self.entry(index) else { return };
        if !entry.machine.is_forgettable(now) || entry.attempt.is_some() || !entry.waiters.is_empty() {
            return;
        }
        let id = entry.id.clone();
        self.by_id.remove(&id);
        if let Some(slot) = self.entries.get_mut(index as usize) {
            *slot = None;
            self.free.push(index);
        }
    }

    // Storage.

    fn index_of(&mut self, id: DeviceId) -> Option<u32> {
        if let Some(index) = self.by_id.get(&id) {
            return Some(*index);
        }
        if self.by_id.len() >= limits::MAX_DEVICES {
            return None;
        }
        let machine = Device::new(Assignment::Fixed(self.config.host.clone()));
        let entry = Some(Entry::new(id.clone(), machine));
        let index = match self.free.pop() {
            Some(index) => {
                *self.entries.get_mut(index as usize)? = entry;
                index
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).ok()?
            }
        };
        self.by_id.insert(id, index);
        Some(index)
    }

    fn entry(&mut self, index: u32) -> Option<&mut Entry> {
        self.entries.get_mut(index as usize)?.as_mut()
    }

    /// The attempt that news are about, unless it is over.
    fn attempt(&mut self, owner: Owner) -> Option<&mut Attempt> {
        self.entry(owner.index)?.attempt.as_mut().filter(|attempt| attempt.serial == owner.epoch)
    }

    fn now(&self) -> Now {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Now { monotonic: self.config.clock.now(), unix_s }
    }
}

/// Whether a caller should hear of it at once instead of waiting for the next attempt.
fn is_final(kind: FailureKind) -> bool {
    use FailureKind as Kind;
    !matches!(
        kind,
        Kind::HubUnreachable
            | Kind::ConnectionLost
            | Kind::Timeout
            | Kind::ServerError
            | Kind::HubMaintenance
            | Kind::TokenLimit
            | Kind::Unknown
    )
}

/// A refusal that came earlier, as far as it is kept.
fn remembered(why: Why) -> Failure {
    let text = why.code.and_then(|code| code.name()).unwrap_or("the hub refused this device a moment ago");
    Failure { code: why.code, ..Failure::local(why.kind, text) }
}

/// Chance for waits. Nothing secret hangs on it: the standard library's seeded hasher is random enough.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    thread_local!(static STATE: (RandomState, std::cell::Cell<u64>) = (RandomState::new(), std::cell::Cell::new(0)));
    STATE.with(|(state, counter)| {
        counter.set(counter.get().wrapping_add(1));
        state.hash_one(counter.get())
    })
}
