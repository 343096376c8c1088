//! Events on their way to callers.
//!
//! [`Webhooks`] is owned by whoever owns the devices, and never makes it wait: [`offer`](Webhooks::offer) queues an event,
//! [`run`](Webhooks::run) begins what may begin, attempts leave their result on the [`board`](Webhooks::board), and
//! [`verdict`](Webhooks::verdict) tells what came of each event. What is tried when is decided by
//! [`drawspan_bridge::delivery`]; here are the clock, the requests and the words.

mod attempt;
mod callback;
mod client;
mod encoded;
mod event;
pub mod events;
mod guard;
mod signing;
mod tally;
mod terms;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_bridge::delivery::{
    Deliveries, DeliveryConfig, End, Load, News, NoRoom, Offered, OriginNews, Over, Start,
};
use drawspan_client::Board;
use drawspan_hub::{DeviceId, SubscriptionType};
use drawspan_net::TrustError;
use rustls_pki_types::CertificateDer;
use tokio::task::JoinSet;

pub use attempt::Done;
pub use callback::{CallbackUrl, InvalidCallback};
pub use event::{Content, Delivery, Event, Verdict};
pub use guard::{Allowed, Guard, GuardMode, InvalidAllowed};
pub use signing::{InvalidSecret, Secret, Secrets};
pub use tally::EventTally;

use crate::log_limit::{Leave, NO_ROOM, RECEIVERS};
use crate::open_files::Shares;
use attempt::Post;
use client::Client;
use tally::Outcome;

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

/// Events on their way. See the module.
pub struct Webhooks<T> {
    deliveries: Deliveries<Event<T>>,
    method_answer_timeout: Duration,
    client: Client,
    secrets: Arc<Secrets>,
    board: Arc<Board<Done>>,
    /// Attempts under way; with their owner they end.
    attempts: JoinSet<()>,
    verdicts: VecDeque<Verdict<T>>,
    tally: EventTally,
    /// The latest moment that was told.
    now: Duration,
}

impl<T> fmt::Debug for Webhooks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks")
            .field("attempts", &self.attempts.len())
            .finish_non_exhaustive()
    }
}

impl<T> Webhooks<T> {
    /// Nothing waits yet. Within a tokio runtime.
    ///
    /// # Errors
    /// [`TrustError`]: none of the authorities given can be used.
    pub fn new(options: Options) -> Result<Self, TrustError> {
        let shares = Shares::of_process();
        let config =
            DeliveryConfig::new(options.retry_limit, options.seed).with_attempts(shares.callbacks);
        Ok(Self {
            deliveries: Deliveries::new(config),
            method_answer_timeout: options.method_answer_timeout,
            client: Client::new(options.guard, options.authorities, shares.kept_callbacks)?,
            secrets: options.secrets,
            board: Arc::default(),
            attempts: JoinSet::new(),
            verdicts: VecDeque::new(),
            tally: EventTally::default(),
            now: Duration::ZERO,
        })
    }

    /// Queues an event behind the others of its device and kind. For a change of a connection there is always room, but at too many
    /// origins ([`ORIGINS`](drawspan_bridge::limits::ORIGINS)): it takes the place of the newest one that waits and counts it as `skipped`;
    /// that one has no verdict.
    ///
    /// # Errors
    /// There is no room, and why.
    pub fn offer(&mut self, event: Event<T>, now: Duration) -> Result<(), NoRoom> {
        self.now = now;
        let terms = terms::of(&event, self.method_answer_timeout);
        let lane = (event.device.clone(), event.content.kind());
        match self.deliveries.offer(&lane, event, &terms, now) {
            Offered::Queued => Ok(()),
            Offered::Merged => {
                self.tally.event(lane.1, Outcome::Skipped);
                Ok(())
            }
            Offered::Full(no_room) => {
                self.tally.event(lane.1, Outcome::NoRoom);
                self.tally.no_room(no_room);
                if no_room == NoRoom::Share {
                    tell_full(&terms.origin);
                }
                Err(no_room)
            }
        }
    }

    /// Events of this device and kind go there from now on, those that wait included.
    pub fn redirect(&mut self, device: &DeviceId, kind: SubscriptionType, callback: &CallbackUrl) {
        let update = |event: &mut Event<T>| event.callback = callback.clone();
        let lane = (device.clone(), kind);
        self.deliveries
            .redirect(&lane, callback.origin(), update, self.now);
    }

    /// Nobody wants events of this device and kind any more: those that wait are over, untried, and one that is under way
    /// is not tried again.
    pub fn withdraw(&mut self, device: &DeviceId, kind: SubscriptionType) {
        self.deliveries.withdraw(&(device.clone(), kind));
        self.hear_over();
    }

    /// Whether nothing of this device and kind waits or is under way.
    #[must_use]
    pub fn is_idle(&self, device: &DeviceId, kind: SubscriptionType) -> bool {
        self.deliveries.is_idle(&(device.clone(), kind))
    }

    /// Begins what may begin, gives up what is late, and says when to come back.
    pub fn run(&mut self, now: Duration) -> Option<Duration> {
        self.now = now;
        while self.attempts.try_join_next().is_some() {}
        self.deliveries.tick(now);
        while let Some(start) = self.deliveries.begin(now) {
            let post = post(&start, &self.client, &self.secrets, &self.board);
            self.attempts.spawn(post.run());
        }
        self.hear_over();
        while let Some(news) = self.deliveries.news() {
            tell(&news);
        }
        self.deliveries.due(now)
    }

    /// Where attempts leave their result, for [`done`](Self::done).
    #[must_use]
    pub fn board(&self) -> Arc<Board<Done>> {
        Arc::clone(&self.board)
    }

    /// An attempt is over.
    pub fn done(&mut self, done: Done, now: Duration) {
        self.now = now;
        self.tally.attempt(&done.answer);
        if let Some(over) = self.deliveries.done(done.attempt, done.answer, now) {
            self.over(verdict(over, done.body));
        }
    }

    /// What there is to do. Looks at every receiver for whom there is something.
    #[must_use]
    pub fn load(&self) -> Load {
        self.deliveries.load()
    }

    /// What came of all events so far.
    #[must_use]
    pub const fn tally(&self) -> EventTally {
        self.tally
    }

    /// What came of an event. To be asked until there is nothing more, after each call.
    pub fn verdict(&mut self) -> Option<Verdict<T>> {
        self.verdicts.pop_front()
    }

    fn hear_over(&mut self) {
        while let Some(over) = self.deliveries.over() {
            self.over(verdict(over, Bytes::new()));
        }
    }

    fn over(&mut self, verdict: Verdict<T>) {
        let kind = verdict.event.content.kind();
        self.tally.event(kind, Outcome::from(&verdict.outcome));
        self.verdicts.push_back(verdict);
    }
}

fn post<T>(
    start: &Start<'_, Event<T>>,
    client: &Client,
    secrets: &Arc<Secrets>,
    board: &Arc<Board<Done>>,
) -> Post {
    let event = start.job;
    Post {
        attempt: start.attempt,
        board: Arc::clone(board),
        client: client.clone(),
        secrets: Arc::clone(secrets),
        timeout: start.timeout,
        device: event.device.clone(),
        callback: event.callback.clone(),
        webhook_id: event.webhook_id.clone(),
        received_at: event.received_at,
        content: event.content.clone(),
    }
}

fn verdict<T>(over: Over<Event<T>>, answer: Bytes) -> Verdict<T> {
    Verdict {
        event: over.job,
        attempts: over.attempts,
        outcome: match over.end {
            End::Taken => Delivery::Taken { answer },
            End::Refused(status) => Delivery::Refused { status },
            End::Failed(why) => Delivery::Failed {
                reason: why.to_string(),
            },
            End::Untried => Delivery::Untried,
        },
    }
}

fn tell_full(origin: &str) {
    if let Some(Leave { left_out }) = NO_ROOM.pass(origin) {
        tracing::warn!(
            origin,
            left_out,
            "events that wait for a receiver take up its share of the memory; further ones are refused"
        );
    }
}

fn tell(news: &News) {
    let origin = &*news.origin;
    // Of one that fails and answers by turns, both are said once.
    let subject = format_args!("{origin} {:?}", news.change).to_string();
    let Some(Leave { left_out }) = RECEIVERS.pass(subject) else {
        return;
    };
    match (news.change, &news.why) {
        (OriginNews::LeftAlone, Some(reason)) => {
            tracing::warn!(origin, %reason, left_out, "a receiver of events fails again and again; it is tried now and then only");
        }
        (OriginNews::LeftAlone, None) => {
            tracing::warn!(
                origin,
                left_out,
                "a receiver of events is tried now and then only"
            );
        }
        (OriginNews::Answers, _) => {
            tracing::info!(origin, left_out, "a receiver of events answers again");
        }
    }
}
