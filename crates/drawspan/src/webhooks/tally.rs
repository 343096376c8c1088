//! What is counted of events.

use drawspan_bridge::delivery::{Answer, NoRoom, Why};
use drawspan_hub::SubscriptionType;

use super::Delivery;
use crate::metrics::{Metric, Page, Sample};

/// Events by kind and outcome, and attempts by result, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventTally {
    outcomes: [[u64; OUTCOMES.len()]; SubscriptionType::ALL.len()],
    attempts: [u64; RESULTS.len()],
    no_room: [u64; NO_ROOM.len()],
}

/// What can come of an event, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
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

impl EventTally {
    pub(super) fn event(&mut self, kind: SubscriptionType, outcome: Outcome) {
        let outcomes = self.outcomes.get_mut(kind as usize);
        if let Some(count) = outcomes.and_then(|it| it.get_mut(outcome as usize)) {
            *count += 1;
        }
    }

    pub(super) fn attempt(&mut self, answer: &Answer) {
        let result = match answer {
            Answer::Taken => 0,
            Answer::Refused(_) => 1,
            Answer::Failed { why, .. } => match why {
                Why::Status(_) => 2,
                Why::TimedOut => 3,
                // Nobody is tried who is left alone.
                Why::Unreachable(_) | Why::LeftAlone => 4,
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

    /// Adds them to a page.
    pub fn tell(&self, page: &mut Page) {
        let kinds = SubscriptionType::ALL.into_iter().zip(self.outcomes);
        let samples = kinds.flat_map(|(kind, counts)| {
            let outcomes = OUTCOMES.into_iter().zip(counts);
            outcomes.map(move |(outcome, count)| Sample::of([kind.as_str(), outcome], count))
        });
        page.add(Metric::Events, samples);
        let attempts = RESULTS.into_iter().zip(self.attempts);
        let attempts = attempts.map(|(result, count)| Sample::of([result], count));
        page.add(Metric::EventAttempts, attempts);
        let no_room = NO_ROOM.into_iter().zip(self.no_room);
        let no_room = no_room.map(|(reason, count)| Sample::of([reason], count));
        page.add(Metric::EventsNoRoom, no_room);
    }
}

impl From<&Delivery> for Outcome {
    fn from(delivery: &Delivery) -> Self {
        match delivery {
            Delivery::Taken { .. } => Self::Taken,
            Delivery::Refused { .. } => Self::Refused,
            Delivery::Failed { .. } => Self::Failed,
            Delivery::Untried => Self::Untried,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_of_each_kind_has_its_own_count() {
        let outcomes = [
            (Outcome::Taken, "taken"),
            (Outcome::Refused, "refused"),
            (Outcome::Failed, "failed"),
            (Outcome::Untried, "untried"),
            (Outcome::Skipped, "skipped"),
            (Outcome::NoRoom, "noRoom"),
        ];
        for kind in SubscriptionType::ALL {
            for (outcome, word) in outcomes {
                let mut tally = EventTally::default();
                tally.event(kind, outcome);
                let mut page = Page::default();
                tally.tell(&mut page);
                let text = page.text(crate::metrics::Format::OpenMetrics);
                let lines = text.lines().filter(|line| line.ends_with("} 1"));
                let line = format!("drawspan_events_total{{kind=\"{kind}\",outcome=\"{word}\"}} 1");
                assert_eq!(lines.collect::<Vec<_>>(), [line]);
            }
        }
    }
}
