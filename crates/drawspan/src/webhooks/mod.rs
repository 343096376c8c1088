//! Events on their way to callers.
//!
//! [`Webhooks`] is owned by whoever owns the devices, and never makes it wait: [`offer`](Webhooks::offer) queues an event,
//! [`run`](Webhooks::run) begins what may begin, attempts leave their result on the [`board`](Webhooks::board), and
//! [`verdict`](Webhooks::verdict) tells what came of each event.

mod callback;
mod encoded;
mod event;
pub mod events;
mod guard;
mod signing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use drawspan_client::Board;
use drawspan_hub::{DeviceId, SubscriptionType};
use drawspan_net::TrustError;
use rustls_pki_types::CertificateDer;

pub use callback::{CallbackUrl, InvalidCallback};
pub use event::{Content, Delivery, Event, Verdict};
pub use guard::{Allowed, Guard, GuardMode, InvalidAllowed};
pub use signing::{InvalidSecret, Secret, Secrets};

/// What deliveries need to know.
#[derive(Debug)]
pub struct Options {
    /// Attempts after the first one.
    pub retry_limit: u32,
    /// How long the receiver of a method may take, retries included.
    pub method_answer_timeout: Duration,
    /// Keys that sign events; may be exchanged at any time.
    pub secrets: Arc<Secrets>,
    /// Where events may go.
    pub guard: Arc<Guard>,
    /// Authorities to trust; empty means the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// For the spread of waits: any number.
    pub seed: u64,
}

/// The end of an attempt.
#[derive(Debug)]
pub struct Done;

/// Events on their way. See the module.
#[derive(Debug)]
pub struct Webhooks<T> {
    board: Arc<Board<Done>>,
    verdicts: VecDeque<Verdict<T>>,
}

impl<T> Default for Webhooks<T> {
    fn default() -> Self {
        Self {
            board: Arc::default(),
            verdicts: VecDeque::new(),
        }
    }
}

impl<T> Webhooks<T> {
    /// Nothing waits yet. Within a tokio runtime.
    ///
    /// # Errors
    /// [`TrustError`]: none of the authorities given can be used.
    pub fn new(_: Options) -> Result<Self, TrustError> {
        Ok(Self {
            board: Arc::default(),
            verdicts: VecDeque::new(),
        })
    }

    /// Queues an event behind the others of its device and kind. It comes back when there is no room.
    ///
    /// # Errors
    /// The event.
    pub fn offer(&mut self, event: Event<T>, _now: Duration) -> Result<(), Box<Event<T>>> {
        Err(Box::new(event))
    }

    /// Events of this device and kind go there from now on, those that wait included.
    pub fn redirect(&mut self, _: &DeviceId, _: SubscriptionType, _: &CallbackUrl) {}

    /// Nobody wants events of this device and kind any more: those that wait are over, untried.
    pub fn withdraw(&mut self, _: &DeviceId, _: SubscriptionType) {}

    /// Whether nothing of this device and kind waits or is under way.
    #[must_use]
    pub fn is_idle(&self, _: &DeviceId, _: SubscriptionType) -> bool {
        true
    }

    /// Begins what may begin, gives up what is late, and says when to come back.
    pub fn run(&mut self, _now: Duration) -> Option<Duration> {
        None
    }

    /// Where attempts leave their result, for [`done`](Self::done).
    #[must_use]
    pub fn board(&self) -> Arc<Board<Done>> {
        Arc::clone(&self.board)
    }

    /// An attempt is over.
    pub fn done(&mut self, _: Done, _now: Duration) {}

    /// What came of an event. To be asked until there is nothing more, after each call.
    pub fn verdict(&mut self) -> Option<Verdict<T>> {
        self.verdicts.pop_front()
    }
}
