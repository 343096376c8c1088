//! Registrations at DPS: one at a time per device, and limited in number.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use drawspan_fleet::Epoch;
use drawspan_hub::{DeviceId, Failure, FailureKind, WhichKey};

use super::action;
use super::counters::DpsCounters;
use super::input::Assigned;
use super::platform::{Caller as _, Platform};
use crate::limits;

/// The requester of a registration.
#[derive(Debug)]
pub(super) enum Origin<P: Platform> {
    /// A device's attempt.
    Attempt { device: u32, epoch: Epoch },
    /// A caller.
    Caller(P::Caller),
    /// A caller who has hung up, most likely: others went first.
    HungUp(P::Caller),
    /// A caller that was answered before its end.
    Answered,
}

/// A registration to make, and its requester.
#[derive(Debug)]
pub(super) struct Job<P: Platform> {
    pub(super) device: DeviceId,
    payload: Option<String>,
    deadline: Option<Duration>,
    pub(super) origin: Origin<P>,
}

/// The registrations that are in progress or wait.
#[derive(Debug)]
pub struct Registrations<P: Platform> {
    running: HashMap<u64, Job<P>>,
    /// Allowed, but too many are under way.
    ready: VecDeque<Job<P>>,
    /// Devices with one under way, or ready; and what else is allowed for them. Two at a time would end each other's operations.
    behind: HashMap<DeviceId, Vec<Job<P>>>,
    /// Registrations for callers that are not permitted yet.
    asked: BTreeMap<u64, Job<P>>,
    next: u64,
    /// The key that DPS took last.
    key: WhichKey,
    /// Registrations to start.
    starts: Vec<action::Registration>,
    /// Counts since the start.
    pub counters: DpsCounters,
}

impl<P: Platform> Default for Registrations<P> {
    fn default() -> Self {
        Self {
            running: HashMap::new(),
            ready: VecDeque::new(),
            behind: HashMap::new(),
            asked: BTreeMap::new(),
            next: 0,
            key: WhichKey::Primary,
            starts: Vec::new(),
            counters: DpsCounters::default(),
        }
    }
}

impl<P: Platform> Registrations<P> {
    /// Registrations in progress at DPS.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.running.len()
    }

    /// Whether no registration is in progress or waits.
    pub(super) fn is_idle(&self) -> bool {
        self.behind.is_empty() && self.asked.is_empty()
    }

    /// Whether one of this device is under way, or waits.
    pub(super) fn is_asked_for(&self, device: &DeviceId) -> bool {
        self.behind.contains_key(device) || self.asked.values().any(|it| it.device == *device)
    }

    /// Keeps what a caller asks for until it is allowed, under the number that is returned.
    ///
    /// # Errors
    /// The caller, when too many wait.
    pub(super) fn ask(
        &mut self,
        device: DeviceId,
        payload: Option<String>,
        deadline: Duration,
        caller: P::Caller,
    ) -> Result<u64, (P::Caller, Failure)> {
        // Registrations whose callers have gone count until their turn: their tickets are in the fleet's queue.
        if self.asked.len() >= limits::WAITING_REGISTRATIONS {
            let text = "too many registrations wait already";
            return Err((caller, Failure::local(FailureKind::QueueFull, text)));
        }
        Ok(self.keep(device, payload, deadline, Origin::Caller(caller)))
    }

    /// Keeps one until it is allowed whose caller was answered already.
    pub(super) fn ask_unheard(
        &mut self,
        device: DeviceId,
        payload: Option<String>,
        deadline: Duration,
    ) -> u64 {
        self.keep(device, payload, deadline, Origin::Answered)
    }

    fn keep(
        &mut self,
        device: DeviceId,
        payload: Option<String>,
        deadline: Duration,
        origin: Origin<P>,
    ) -> u64 {
        self.next += 1;
        let job = Job {
            device,
            payload,
            deadline: Some(deadline),
            origin,
        };
        self.asked.insert(self.next, job);
        self.next
    }

    /// Takes out those that have not started and whose callers wait, and returns the callers.
    pub(super) fn take_asked(&mut self) -> Vec<P::Caller> {
        let mut callers = Vec::new();
        for (number, job) in std::mem::take(&mut self.asked) {
            match job.origin {
                Origin::Caller(caller) | Origin::HungUp(caller) => callers.push(caller),
                Origin::Attempt { .. } | Origin::Answered => drop(self.asked.insert(number, job)),
            }
        }
        callers
    }

    /// Takes the callers of those that DPS was asked for, which go on.
    pub(super) fn take_started(&mut self) -> Vec<P::Caller> {
        let behind = self.behind.values_mut().flatten();
        let jobs = self
            .running
            .values_mut()
            .chain(&mut self.ready)
            .chain(behind);
        let take = |job: &mut Job<P>| match std::mem::replace(&mut job.origin, Origin::Answered) {
            Origin::Caller(caller) | Origin::HungUp(caller) => Some(caller),
            attempt => {
                job.origin = attempt;
                None
            }
        };
        jobs.filter_map(take).collect()
    }

    /// Whether a registration that may start gives way, once, to those that are waited for: its caller has hung up meanwhile.
    pub(super) fn gives_way(&mut self, number: u64) -> bool {
        let Some(job) = self.asked.get_mut(&number) else {
            return false;
        };
        match std::mem::replace(&mut job.origin, Origin::Answered) {
            Origin::Caller(caller) if caller.has_hung_up() && !caller.is_gone() => {
                job.origin = Origin::HungUp(caller);
                true
            }
            other => {
                job.origin = other;
                false
            }
        }
    }

    /// A caller's registration may start. False if it is no longer needed.
    pub(super) fn allowed(&mut self, number: u64, now: Duration) -> bool {
        let job = self.asked.remove(&number);
        let Some(job) = job.filter(|job| !job.is_over(now)) else {
            return false;
        };
        self.start(job, now);
        true
    }

    /// A device's registration may start.
    pub(super) fn provision(&mut self, device: DeviceId, index: u32, epoch: Epoch, now: Duration) {
        let origin = Origin::Attempt {
            device: index,
            epoch,
        };
        let job = Job {
            device,
            payload: None,
            deadline: None,
            origin,
        };
        self.start(job, now);
    }

    /// One is over. Returns it with those that were waiting behind it and have the same answer; others may start.
    pub(super) fn ended(
        &mut self,
        number: u64,
        key: WhichKey,
        answer: &Result<Assigned, Failure>,
        now: Duration,
    ) -> Vec<Job<P>> {
        let Some(done) = self.running.remove(&number) else {
            return Vec::new();
        };
        match answer {
            Ok(_) => {
                self.counters.assigned += 1;
                self.key = key;
            }
            Err(failure) => self.counters.failures.add(failure.kind),
        }
        let behind = self.behind.remove(&done.device).unwrap_or_default();
        // A failure may be that of one caller's time.
        let is_answered = |job: &Job<P>| answer.is_ok() && job.is_answered_by(&done);
        let (mut over, others): (Vec<_>, Vec<_>) = behind.into_iter().partition(is_answered);
        self.start_those_waited_for(others, now);
        while self.running.len() < limits::REGISTRATIONS_AT_ONCE {
            let Some(job) = self.ready.pop_front() else {
                break;
            };
            if job.is_over(now) {
                let behind = self.behind.remove(&job.device).unwrap_or_default();
                self.start_those_waited_for(behind, now);
            } else {
                self.launch(job, now);
            }
        }
        over.insert(0, done);
        over
    }

    /// Takes the registrations to start.
    pub(super) fn take_starts(&mut self) -> Vec<action::Registration> {
        std::mem::take(&mut self.starts)
    }

    fn start_those_waited_for(&mut self, jobs: Vec<Job<P>>, now: Duration) {
        for job in jobs {
            if !job.is_over(now) {
                self.start(job, now);
            }
        }
    }

    fn start(&mut self, job: Job<P>, now: Duration) {
        if let Some(behind) = self.behind.get_mut(&job.device) {
            behind.push(job);
            return;
        }
        self.behind.insert(job.device.clone(), Vec::new());
        if self.running.len() >= limits::REGISTRATIONS_AT_ONCE {
            self.ready.push_back(job);
        } else {
            self.launch(job, now);
        }
    }

    fn launch(&mut self, job: Job<P>, now: Duration) {
        self.next += 1;
        self.starts.push(action::Registration {
            number: self.next,
            device: job.device.clone(),
            connects: matches!(job.origin, Origin::Attempt { .. }),
            payload: job.payload.clone(),
            deadline: job.deadline.unwrap_or(now + limits::REGISTRATION_TIMEOUT),
            key: self.key,
        });
        self.running.insert(self.next, job);
    }
}

impl<P: Platform> Job<P> {
    /// Whether the registration is no longer needed. A device's attempt needs it until the attempt ends.
    fn is_over(&self, now: Duration) -> bool {
        let has_gone = match &self.origin {
            Origin::Attempt { .. } => return false,
            Origin::Caller(caller) | Origin::HungUp(caller) => caller.is_gone(),
            Origin::Answered => false,
        };
        has_gone || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether the device is now registered as this one would do it.
    fn is_answered_by(&self, done: &Self) -> bool {
        matches!(self.origin, Origin::Attempt { .. }) || self.payload == done.payload
    }
}
