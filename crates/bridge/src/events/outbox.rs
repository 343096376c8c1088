//! Events on their way to subscribers.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use drawspan_hub::{DeviceId, SubscriptionType, UtcTime};

use super::counters::{CountedOutcome, EventCounters};
use super::event::{Content, DeliveryOutcome, Event, FinishedEvent};
use super::terms;
use crate::delivery::{
    AttemptOutcome, Deliveries, DeliveryAttempt, DeliveryConfig, Finished, Load, News, NoRoom,
    Offered, Outcome, Start,
};
use crate::subscriptions::Callback;

/// Events that wait or are under way, and what became of those that are over. Decides which is tried when
/// ([`delivery`](crate::delivery)); the requests are the caller's.
#[derive(Debug)]
pub struct Outbox<C, T> {
    deliveries: Deliveries<Event<C, T>>,
    method_answer_timeout: Duration,
    finished: VecDeque<FinishedEvent<C, T>>,
    counters: EventCounters,
}

/// A request to a receiver that is to be made now.
#[derive(Debug, Clone, PartialEq)]
pub struct Post<C> {
    /// The attempt, to be repeated with its result.
    pub attempt: DeliveryAttempt,
    /// How long it may take.
    pub timeout: Duration,
    /// The device of the event.
    pub device: DeviceId,
    /// The receiver.
    pub callback: C,
    /// Names the event.
    pub webhook_id: String,
    /// When it came.
    pub received_at: UtcTime,
    /// The contents.
    pub content: Content,
}

impl<C: Callback, T> Outbox<C, T> {
    /// Without events. `method_answer_timeout`: how long the receiver of a method may take, retries included.
    #[must_use]
    pub fn new(config: DeliveryConfig, method_answer_timeout: Duration) -> Self {
        Self {
            deliveries: Deliveries::new(config),
            method_answer_timeout,
            finished: VecDeque::new(),
            counters: EventCounters::default(),
        }
    }

    /// Queues an event behind the others of its device and kind. For a change of a connection there is always room, but at too many
    /// origins ([`ORIGINS`](crate::limits::ORIGINS)): it takes the place of the newest one that waits and counts it as `skipped`;
    /// the replaced event does not finish.
    ///
    /// # Errors
    /// There is no room, and why.
    pub fn offer(&mut self, event: Event<C, T>, now: Duration) -> Result<(), NoRoom> {
        let terms = terms::of(&event, self.method_answer_timeout);
        let lane = (event.device.clone(), event.content.kind());
        match self.deliveries.offer(&lane, event, &terms, now) {
            Offered::Queued => Ok(()),
            Offered::Merged => {
                self.counters.event(lane.1, CountedOutcome::Skipped);
                Ok(())
            }
            Offered::Full(no_room) => {
                self.counters.event(lane.1, CountedOutcome::NoRoom);
                self.counters.no_room(no_room);
                Err(no_room)
            }
        }
    }

    /// Sends events of this device and kind there from now on, those that wait included.
    pub fn redirect(&mut self, device: &DeviceId, kind: SubscriptionType, to: &C, now: Duration) {
        let update = |event: &mut Event<C, T>| event.callback = to.clone();
        let lane = (device.clone(), kind);
        self.deliveries.redirect(&lane, to.origin(), update, now);
    }

    /// Ends the events of this device and kind: those that wait are over, untried, and one that is under way is not tried again.
    pub fn withdraw(&mut self, device: &DeviceId, kind: SubscriptionType) {
        self.deliveries.withdraw(&(device.clone(), kind));
        self.collect_over();
    }

    /// Whether nothing of this device and kind waits or is under way.
    #[must_use]
    pub fn is_idle(&self, device: &DeviceId, kind: SubscriptionType) -> bool {
        self.deliveries.is_idle(&(device.clone(), kind))
    }

    /// Gives up what is late. Before [`begin`](Self::begin).
    pub fn tick(&mut self, now: Duration) {
        self.deliveries.tick(now);
    }

    /// The next request to make now, if there is one.
    pub fn begin(&mut self, now: Duration) -> Option<Post<C>> {
        let post = self.deliveries.begin(now).map(|start| post(&start));
        if post.is_none() {
            self.collect_over();
        }
        post
    }

    /// When to come back, at the latest.
    pub fn due(&mut self, now: Duration) -> Option<Duration> {
        self.deliveries.due(now)
    }

    /// A request is over.
    pub fn answered(
        &mut self,
        attempt: DeliveryAttempt,
        answer: AttemptOutcome,
        body: Bytes,
        now: Duration,
    ) {
        self.counters.attempt(&answer);
        if let Some(over) = self.deliveries.done(attempt, answer, now) {
            self.over(finished(over, body));
        }
    }

    /// The next finished event. Call this until it returns `None`, after each input.
    pub fn next_finished(&mut self) -> Option<FinishedEvent<C, T>> {
        self.finished.pop_front()
    }

    /// Changes of receivers. Call this until it returns `None`.
    pub fn news(&mut self) -> Option<News> {
        self.deliveries.news()
    }

    /// Counts of current events, attempts and receivers. Visits every receiver with events.
    #[must_use]
    pub fn load(&self) -> Load {
        self.deliveries.load()
    }

    /// Counts since the start.
    #[must_use]
    pub const fn counters(&self) -> EventCounters {
        self.counters
    }

    fn collect_over(&mut self) {
        while let Some(over) = self.deliveries.finished() {
            self.over(finished(over, Bytes::new()));
        }
    }

    fn over(&mut self, finished: FinishedEvent<C, T>) {
        let kind = finished.event.content.kind();
        self.counters
            .event(kind, CountedOutcome::from(&finished.outcome));
        self.finished.push_back(finished);
    }
}

fn post<C: Clone, T>(start: &Start<'_, Event<C, T>>) -> Post<C> {
    let event = start.job;
    Post {
        attempt: start.attempt,
        timeout: start.timeout,
        device: event.device.clone(),
        callback: event.callback.clone(),
        webhook_id: event.webhook_id.clone(),
        received_at: event.received_at,
        content: event.content.clone(),
    }
}

fn finished<C, T>(over: Finished<Event<C, T>>, answer: Bytes) -> FinishedEvent<C, T> {
    FinishedEvent {
        event: over.job,
        attempts: over.attempts,
        outcome: match over.outcome {
            Outcome::Taken => DeliveryOutcome::Taken { answer },
            Outcome::Refused(status) => DeliveryOutcome::Refused { status },
            Outcome::Failed(why) => DeliveryOutcome::Failed {
                reason: why.to_string(),
            },
            Outcome::Untried => DeliveryOutcome::Untried,
        },
    }
}
