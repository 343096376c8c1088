//! Registrations at DPS that are under way: each in a task of its own, never more than a limit of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::device::Epoch;
use drawspan_client::dps::{Assigned, DpsClient};
use drawspan_client::{Board, Credentials};
use drawspan_hub::{DeviceId, Failure, FailureKind, WhichKey};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::request::Registration;
use super::tally::DpsTally;
use crate::limits;

#[derive(Debug)]
pub(super) struct Registrations {
    client: Option<Arc<DpsClient>>,
    done: Arc<Board<Done>>,
    running: usize,
    /// Allowed, but too many are under way.
    ready: VecDeque<Job>,
    /// Devices with one under way, or ready; and what else is allowed for them. Two at a time would end each other's operations.
    behind: HashMap<DeviceId, Vec<Job>>,
    /// Asked for by callers, and not allowed yet.
    asked: HashMap<u64, Registration>,
    next: u64,
    /// The key that DPS took last.
    key: WhichKey,
    credentials: Arc<Credentials>,
    pub(super) tally: DpsTally,
}

/// For whom a registration is.
#[derive(Debug)]
pub(super) enum Origin {
    /// A device's attempt.
    Attempt { device: u32, epoch: Epoch },
    /// A caller.
    Caller(oneshot::Sender<Result<(), Failure>>),
}

/// How one ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) device: DeviceId,
    pub(super) origin: Origin,
    pub(super) key: WhichKey,
    pub(super) answer: Result<Assigned, Failure>,
    payload: Option<String>,
    /// It was asked for while another one was under way, whose answer this is.
    shared: bool,
}

#[derive(Debug)]
struct Job {
    device: DeviceId,
    payload: Option<String>,
    deadline: Option<Instant>,
    origin: Origin,
}

impl Registrations {
    pub(super) fn new(
        client: Option<DpsClient>,
        credentials: Arc<Credentials>,
        done: Arc<Board<Done>>,
    ) -> Self {
        Self {
            client: client.map(Arc::new),
            done,
            running: 0,
            ready: VecDeque::new(),
            behind: HashMap::new(),
            asked: HashMap::new(),
            next: 0,
            key: WhichKey::Primary,
            credentials,
            tally: DpsTally::default(),
        }
    }

    /// Those that DPS was asked for.
    pub(super) const fn under_way(&self) -> usize {
        self.running
    }

    /// Whether one of this device is under way, or waits.
    pub(super) fn is_asked_for(&self, device: &DeviceId) -> bool {
        self.behind.contains_key(device) || self.asked.values().any(|it| it.device == *device)
    }

    /// Keeps what a caller asks for until it is allowed, under the number that is returned. The caller gets an answer at
    /// once when too many wait.
    pub(super) fn ask(&mut self, registration: Registration) -> Option<u64> {
        if self.client.is_none() {
            let text = "there is no DPS to register at";
            refuse(registration, FailureKind::InvalidRequest, text);
            return None;
        }
        // Those whose callers have gone count until it is their turn: their tickets stand in the fleet's queue.
        if self.asked.len() >= limits::WAITING_REGISTRATIONS {
            refuse(
                registration,
                FailureKind::QueueFull,
                "too many registrations wait already",
            );
            return None;
        }
        self.next += 1;
        self.asked.insert(self.next, registration);
        Some(self.next)
    }

    /// Refuses those that callers have asked for and that have not started: nothing starts soon.
    pub(super) fn refuse_asked(&mut self, failure: &Failure) {
        for (_, asked) in self.asked.drain() {
            let _ = asked.reply.send(Err(failure.clone()));
        }
    }

    /// A caller's registration may start. False when the caller has gone.
    pub(super) fn allowed(&mut self, number: u64) -> bool {
        let Some(asked) = self.asked.remove(&number) else {
            return false;
        };
        if asked.reply.is_closed() {
            return false;
        }
        self.start(Job {
            device: asked.device,
            payload: asked.payload,
            deadline: Some(asked.deadline),
            origin: Origin::Caller(asked.reply),
        });
        true
    }

    /// A device's registration starts.
    pub(super) fn provision(&mut self, device: DeviceId, index: u32, epoch: Epoch) {
        self.start(Job {
            device,
            payload: None,
            deadline: None,
            origin: Origin::Attempt {
                device: index,
                epoch,
            },
        });
    }

    /// One is over; another one may start.
    pub(super) fn ended(&mut self, done: &Done) {
        if done.shared {
            return;
        }
        self.running -= 1;
        match &done.answer {
            Ok(_) => self.tally.assigned += 1,
            Err(failure) => self.tally.failures.add(failure.kind),
        }
        if done.answer.is_ok() {
            self.key = done.key;
        }
        for job in self.behind.remove(&done.device).unwrap_or_default() {
            match &done.answer {
                Ok(assigned) if job.is_answered_by(done) => self.done.post(Done {
                    device: job.device,
                    origin: job.origin,
                    key: done.key,
                    answer: Ok(assigned.clone()),
                    payload: job.payload,
                    shared: true,
                }),
                // A failure may be that of one caller's time.
                _ => self.start(job),
            }
        }
        while self.running < limits::REGISTRATIONS_AT_ONCE {
            let Some(job) = self.ready.pop_front() else {
                break;
            };
            self.launch(job);
        }
    }

    fn start(&mut self, job: Job) {
        if let Some(behind) = self.behind.get_mut(&job.device) {
            behind.push(job);
            return;
        }
        self.behind.insert(job.device.clone(), Vec::new());
        if self.running >= limits::REGISTRATIONS_AT_ONCE {
            self.ready.push_back(job);
        } else {
            self.launch(job);
        }
    }

    fn launch(&mut self, job: Job) {
        let Some(client) = &self.client else { return };
        self.running += 1;
        let most = Duration::from_secs(limits::REGISTRATION_TIMEOUT_S);
        let deadline = job.deadline.unwrap_or_else(|| Instant::now() + most);
        tokio::spawn(run(
            Arc::clone(client),
            job,
            deadline,
            self.key,
            self.credentials.has_secondary(),
            Arc::clone(&self.done),
        ));
    }
}

impl Job {
    /// Whether the device is now registered as this one would do it.
    fn is_answered_by(&self, done: &Done) -> bool {
        matches!(self.origin, Origin::Attempt { .. }) || self.payload == done.payload
    }
}

/// Registers with the key that was taken last, and with the other one if that is refused.
async fn run(
    client: Arc<DpsClient>,
    job: Job,
    deadline: Instant,
    mut key: WhichKey,
    two_keys: bool,
    done: Arc<Board<Done>>,
) {
    let payload = job.payload.as_deref();
    let mut answer = client.register(&job.device, key, payload, deadline).await;
    let refused = matches!(&answer, Err(failure) if failure.kind == FailureKind::Unauthorized);
    if refused && two_keys {
        key = key.other();
        answer = client.register(&job.device, key, payload, deadline).await;
    }
    done.post(Done {
        device: job.device,
        origin: job.origin,
        key,
        answer,
        payload: job.payload,
        shared: false,
    });
}

fn refuse(registration: Registration, kind: FailureKind, text: &str) {
    // The caller may have given up; nothing is owed then.
    let _ = registration.reply.send(Err(Failure::local(kind, text)));
}
