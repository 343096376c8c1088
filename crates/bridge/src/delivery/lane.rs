//! The events of one device and kind.

use std::collections::VecDeque;
use std::time::Duration;

use super::event::{AttemptFailure, Deadline};
use super::origin::OriginId;
use super::{LaneName, event};

/// Names a lane for as long as something is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LaneId(pub(super) u64);

/// Never empty.
#[derive(Debug)]
pub(super) struct Lane<J> {
    pub(super) name: LaneName,
    /// In their order; the first one's turn it is.
    pub(super) events: VecDeque<Waiting<J>>,
    pub(super) turn: Turn,
    /// The earliest moment that is set for it.
    pub(super) timer: Option<Duration>,
}

/// The state of the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It waits for its origin, in this place of its queue.
    Ready { place: u64 },
    /// It waits for another attempt.
    Resting { until: Duration },
    /// It is under way.
    UnderWay(UnderWay),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnderWay {
    pub(super) serial: u64,
    pub(super) origin: OriginId,
    /// The attempt was given less time than it takes to tell that a receiver hangs.
    pub(super) hurried: bool,
    /// The event is no longer wanted: this attempt is its last.
    pub(super) last: bool,
}

#[derive(Debug)]
pub(super) struct Waiting<J> {
    pub(super) job: J,
    pub(super) origin: OriginId,
    pub(super) size_bytes: usize,
    /// Its use of its origin's share: its size, or 0 if it was accepted without room.
    pub(super) charged_bytes: usize,
    pub(super) deadline_rule: Deadline,
    pub(super) merges: bool,
    /// When it must be over, once that is known.
    pub(super) deadline: Option<Duration>,
    pub(super) attempts: u32,
    /// The last failure.
    pub(super) why: Option<AttemptFailure>,
}

impl<J> Lane<J> {
    pub(super) const fn is_under_way(&self) -> bool {
        matches!(self.turn, Turn::UnderWay(_))
    }

    /// How many of the first events are under way.
    pub(super) const fn begun(&self) -> usize {
        if self.is_under_way() { 1 } else { 0 }
    }

    /// The newest event that may be replaced, which was never tried.
    pub(super) fn replaceable(&mut self) -> Option<&mut Waiting<J>> {
        let begun = self.begun();
        let waiting = self.events.iter_mut().skip(begun);
        waiting
            .rev()
            .find(|event| event.merges && event.attempts == 0)
    }

    /// When something is to be done for it without anybody else's doing.
    pub(super) fn next_timer(&self) -> Option<Duration> {
        let resting = match self.turn {
            Turn::Resting { until } => Some(until),
            Turn::Ready { .. } | Turn::UnderWay(_) => None,
        };
        let waiting = self.events.iter().skip(self.begun());
        let deadlines = waiting.filter_map(|event| event.deadline);
        deadlines.chain(resting).min()
    }
}

impl<J> Waiting<J> {
    /// The outcome when its time ends.
    pub(super) fn end(&self) -> event::Outcome {
        match (&self.why, self.deadline_rule) {
            (Some(why), _) => event::Outcome::Failed(why.clone()),
            (None, Deadline::FromFirstAttempt(_)) => {
                event::Outcome::Failed(AttemptFailure::LeftAlone)
            }
            (None, _) => event::Outcome::Untried,
        }
    }

    pub(super) fn finished(self, outcome: event::Outcome) -> event::Finished<J> {
        event::Finished {
            job: self.job,
            attempts: self.attempts,
            outcome,
        }
    }
}
