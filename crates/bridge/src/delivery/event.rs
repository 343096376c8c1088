//! An event as its owner sees it: its description, and its outcome.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::LaneName;
use super::breaker::OriginNews;
use super::lane::LaneId;

/// An event of the owner.
pub trait Job {
    /// Replaces this event by a newer one, which carries a count of the events it replaced.
    fn replace(&mut self, newer: Self);
}

/// The terms of delivery of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Its destination: scheme, host and port.
    pub origin: Arc<str>,
    /// Its weight, for as long as it is here.
    pub size_bytes: usize,
    /// How long it may take.
    pub deadline: Deadline,
    /// Whether a newer one may take its place when there is no room. It is taken in even then, and takes no other event's room.
    pub merges: bool,
}

/// How long an event may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// A caller waits for it until then, and gets the result as soon as it is final.
    Answer(Duration),
    /// It must be over by then.
    Until(Duration),
    /// It must be over so long after its first attempt, or after its turn came at an origin that is left alone. It waits as long as it takes for its
    /// turn at an origin that answers.
    FromFirstAttempt(Duration),
}

/// The result of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It waits for its turn.
    Queued,
    /// It took the place of an older one, which will not come out.
    Merged,
    /// No room for it.
    Full(NoRoom),
}

/// Why there is no room for an event, and so when it is worth offering again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// As many events of its lane wait as may. Each of them comes out with a [`Finished`], and then there is room.
    Lane,
    /// The events of its origin use their share of the memory. This lane need not have a waiting event, so the owner that keeps the
    /// event sets a timer.
    Share,
    /// Events wait for as many origins as may be. As with [`Share`](Self::Share), only time helps.
    Origins,
}

/// Names an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryAttempt {
    pub(super) lane: LaneId,
    pub(super) serial: u64,
}

/// An attempt to make now.
#[derive(Debug)]
pub struct Start<'a, J> {
    /// Its name, for [`done`](super::Deliveries::done).
    pub attempt: DeliveryAttempt,
    /// The lane of the event.
    pub lane: &'a LaneName,
    /// The receiver of the event.
    pub origin: &'a Arc<str>,
    /// The event.
    pub job: &'a J,
    /// How long it may take.
    pub timeout: Duration,
}

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The receiver took the event.
    Taken,
    /// The receiver will not take it, however often it is asked. HTTP status.
    Refused(u16),
    /// Worth another attempt.
    Failed {
        /// The failure.
        why: AttemptFailure,
        /// How long the receiver wants to be left alone with this event.
        retry_after: Option<Duration>,
    },
}

/// A change of an origin's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Scheme, host and port.
    pub origin: Arc<str>,
    /// The change.
    pub change: OriginNews,
    /// The failure, if there was one.
    pub why: Option<AttemptFailure>,
}

/// The kinds of failures of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptFailure {
    /// A status that may change.
    Status(u16),
    /// No answer in time.
    TimedOut,
    /// No connection, or one that broke; why, in one line.
    Unreachable(Arc<str>),
    /// Nothing: its origin was left alone, since others had failed there.
    LeftAlone,
}

/// An event that is over.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished<J> {
    /// The event.
    pub job: J,
    /// How often it was tried.
    pub attempts: u32,
    /// The outcome.
    pub outcome: Outcome,
}

/// The possible outcomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver took it.
    Taken,
    /// The receiver refused it. HTTP status.
    Refused(u16),
    /// It was tried in vain, or its origin left alone, for as long, or as often, as may be.
    Failed(AttemptFailure),
    /// It was not tried within its time, or is not wanted any more.
    Untried,
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the receiver answered {status}"),
            Self::TimedOut => f.write_str("the receiver did not answer in time"),
            Self::Unreachable(why) => write!(f, "the receiver cannot be reached: {why}"),
            Self::LeftAlone => f.write_str("the receiver had failed too often to be tried"),
        }
    }
}
