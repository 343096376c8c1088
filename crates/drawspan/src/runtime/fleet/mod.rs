//! Every device of this process, and what its machine asks for.

mod effects;
mod news;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drawspan_bridge::device::{Assignment, Epoch, State, Why};
use drawspan_bridge::governor::Pace;
use drawspan_bridge::{Device, Governor, Input, Now};
use drawspan_client::{ConnectionConfig, Owner, Status};
use drawspan_hub::{DeviceId, Failure, FailureKind};

use super::directory::Directory;
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
    /// Devices that ask for a permit and that a caller waits for, in turn.
    asked: VecDeque<(u32, Epoch)>,
    /// Other devices that ask for a permit, in turn.
    queue: VecDeque<(u32, Epoch)>,
    /// Permits given so far.
    permits: u64,
    /// No warning of a connection that ended before that.
    next_warning: Duration,
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
            asked: VecDeque::new(),
            queue: VecDeque::new(),
            permits: 0,
            next_warning: Duration::ZERO,
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
            let _ = waiter
                .reply
                .send(Err(Failure::local(FailureKind::TokenLimit, text)));
            return;
        };
        let at = self.config.clock.now();
        if let Some(entry) = self.entry(index) {
            entry.waiters.retain(|waiter| !waiter.reply.is_closed());
            if entry.waiters.len() >= limits::WAITERS_PER_DEVICE {
                let text = "too many requests wait for this device already";
                let _ = waiter
                    .reply
                    .send(Err(Failure::local(FailureKind::QueueFull, text)));
                return;
            }
            entry.waiters.push(waiter);
        }
        self.feed(index, Input::Use { at });
        let Some(entry) = self.entry(index) else {
            return;
        };
        entry.answer_waiters();
        // Still waiting after a refusal that time alone does not mend: say so at once.
        if let State::Waiting { why, .. } | State::Yielded { why, .. } = entry.machine.state()
            && is_final(why.kind)
        {
            let failure = remembered(why);
            entry.refuse_waiters(&failure);
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
                if failure.kind == FailureKind::TokenLimit
                    && let Some(attempt) = self.attempt(owner).copied()
                {
                    self.pool.fill(attempt.connection);
                }
                self.down(
                    owner,
                    |epoch| Input::OpenFailed {
                        epoch,
                        failure: &failure,
                    },
                    Some(&failure),
                );
            }
            Status::Lost(owner, failure) => {
                self.down(
                    owner,
                    |epoch| Input::Lost {
                        epoch,
                        failure: &failure,
                    },
                    Some(&failure),
                );
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
        [self.timers.next(), self.permit_at]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn deadline(&mut self, index: u32, now: Duration) {
        let Some(entry) = self.entry(index) else {
            return;
        };
        if entry.timer.is_none_or(|timer| timer > now) {
            return;
        }
        entry.timer = None;
        if let Some(at) = entry.route.as_ref().map(|route| route.last_use()) {
            self.feed(index, Input::Use { at });
        }
        self.feed(index, Input::Deadline);
    }

    pub(super) fn grant_permits(&mut self, now: Duration) {
        if self.permit_at.is_some_and(|at| at > now) {
            return;
        }
        self.permit_at = None;
        while !self.asked.is_empty() || !self.queue.is_empty() {
            if let Err(wait) = self.governor.take(now) {
                self.permit_at = Some(now + wait);
                return;
            }
            let Some((index, epoch)) = self.next_in_turn() else {
                return;
            };
            if self.entry(index).is_some() {
                self.feed(index, Input::Permit { epoch });
            } else {
                self.governor.give_back(now);
            }
        }
    }

    /// Callers come first, but every fourth permit is for those who come back by themselves.
    fn next_in_turn(&mut self) -> Option<(u32, Epoch)> {
        self.permits += 1;
        let (first, second) = if self.permits.is_multiple_of(4) {
            (&mut self.queue, &mut self.asked)
        } else {
            (&mut self.asked, &mut self.queue)
        };
        first.pop_front().or_else(|| second.pop_front())
    }

    pub(super) fn index_of(&mut self, id: DeviceId) -> Option<u32> {
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

    pub(super) fn entry(&mut self, index: u32) -> Option<&mut Entry> {
        self.entries.get_mut(index as usize)?.as_mut()
    }

    /// The attempt that news are about, unless it is over.
    pub(super) fn attempt(&mut self, owner: Owner) -> Option<&mut Attempt> {
        self.entry(owner.index)?
            .attempt
            .as_mut()
            .filter(|attempt| attempt.serial == owner.epoch)
    }

    pub(super) fn now(&self) -> Now {
        let unix_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        Now {
            monotonic: self.config.clock.now(),
            unix_s,
        }
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
    let text = why
        .code
        .and_then(|code| code.name())
        .unwrap_or("the hub refused this device a moment ago");
    Failure {
        code: why.code,
        ..Failure::local(why.kind, text)
    }
}
