//! Counters of events.

use drawspan_hub::SubscriptionType;

use super::event::DeliveryOutcome;
use crate::delivery::{AttemptFailure, AttemptOutcome, NoRoom};

/// Events by kind and outcome, and attempts by result, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventCounters {
    outcomes: [[u64; OUTCOMES.len()]; SubscriptionType::ALL.len()],
    attempts: [u64; RESULTS.len()],
    no_room: [u64; NO_ROOM.len()],
}

/// The outcomes of events, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CountedOutcome {
    Taken,
    Refused,
    Failed,
    Untried,
    /// A newer one took its place.
    Skipped,
    /// It was not taken in.
    NoRoom,
}

const OUTCOMES: [&str; 6] = ["taken", "refused", "failed", "untried", "skipped", "noRoom"];

const RESULTS: [&str; 5] = ["taken", "refused", "status", "timeout", "unreachable"];

const NO_ROOM: [&str; 3] = ["device", "receiver", "receivers"];

impl EventCounters {
    pub(super) fn event(&mut self, kind: SubscriptionType, outcome: CountedOutcome) {
        let outcomes = self.outcomes.get_mut(kind as usize);
        if let Some(count) = outcomes.and_then(|it| it.get_mut(outcome as usize)) {
            *count += 1;
        }
    }

    pub(super) fn attempt(&mut self, answer: &AttemptOutcome) {
        let result = match answer {
            AttemptOutcome::Taken => 0,
            AttemptOutcome::Refused(_) => 1,
            AttemptOutcome::Failed { why, .. } => match why {
                AttemptFailure::Status(_) => 2,
                AttemptFailure::TimedOut => 3,
                // Suspended receivers are not tried.
                AttemptFailure::Unreachable(_) | AttemptFailure::LeftAlone => 4,
            },
        };
        if let Some(count) = self.attempts.get_mut(result) {
            *count += 1;
        }
    }

    pub(super) fn no_room(&mut self, why: NoRoom) {
        let [device, receiver, receivers] = &mut self.no_room;
        *match why {
            NoRoom::Lane => device,
            NoRoom::Share => receiver,
            NoRoom::Origins => receivers,
        } += 1;
    }

    /// Counts of events that found no room: whose was used up, how many.
    pub fn without_room(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        NO_ROOM.into_iter().zip(self.no_room)
    }

    /// Counts of events: kind, outcome, how many.
    pub fn events(&self) -> impl Iterator<Item = (SubscriptionType, &'static str, u64)> + use<> {
        let kinds = SubscriptionType::ALL.into_iter().zip(self.outcomes);
        kinds.flat_map(|(kind, counts)| {
            let outcomes = OUTCOMES.into_iter().zip(counts);
            outcomes.map(move |(outcome, count)| (kind, outcome, count))
        })
    }

    /// Counts of attempts: result, how many.
    pub fn attempts(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        RESULTS.into_iter().zip(self.attempts)
    }
}

impl From<&DeliveryOutcome> for CountedOutcome {
    fn from(delivery: &DeliveryOutcome) -> Self {
        match delivery {
            DeliveryOutcome::Taken { .. } => Self::Taken,
            DeliveryOutcome::Refused { .. } => Self::Refused,
            DeliveryOutcome::Failed { .. } => Self::Failed,
            DeliveryOutcome::Untried => Self::Untried,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_of_each_kind_has_its_own_count() {
        let outcomes = [
            (CountedOutcome::Taken, "taken"),
            (CountedOutcome::Refused, "refused"),
            (CountedOutcome::Failed, "failed"),
            (CountedOutcome::Untried, "untried"),
            (CountedOutcome::Skipped, "skipped"),
            (CountedOutcome::NoRoom, "noRoom"),
        ];
        for kind in SubscriptionType::ALL {
            for (outcome, word) in outcomes {
                let mut counters = EventCounters::default();
                counters.event(kind, outcome);
                let counted = counters.events().filter(|(.., count)| *count > 0);
                assert_eq!(counted.collect::<Vec<_>>(), [(kind, word, 1)]);
            }
        }
    }
}
