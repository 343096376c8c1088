//! The outcome of every message and call. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::histogram::Histogram;

/// Message or call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message to a device.
    C2d,
    /// A direct method.
    Method,
}

/// The hub's answer to the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SenderOutcome {
    /// Pending.
    Pending,
    /// A message: the hub took it. A call: it was answered with what was expected.
    Ok,
    /// A call was answered with something else.
    Wrong,
    /// The hub refused it, or a call came to nothing.
    Failed,
    /// It is unknown whether the hub accepted it.
    Unknown,
}

/// One message or call.
#[derive(Debug, Clone)]
struct Item {
    sent_us: u64,
    fate: SenderOutcome,
    /// Counts in latencies.
    measured: bool,
    /// Whether it goes to the second receiver.
    bad: bool,
    /// How often it came to the receiver.
    arrivals: u16,
    /// How often the receiver answered 2xx.
    taken: u16,
    /// Of the first webhook-id.
    webhook: u64,
}

/// The messages or calls of a run. Ids are consecutive.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    items: Vec<Item>,
    groups: [Group; 2],
}

/// Sums of those that go to one of the receivers.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    /// Messages: until the receiver had them. Calls: until the answer.
    pub(super) latencies: Histogram,
    /// Calls and messages that came again under another webhook-id.
    pub(super) other_ids: u64,
}

/// Counts of those that go to one of the receivers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) sent: u64,
    /// With [`SenderOutcome::Ok`].
    pub(super) ok: u64,
    pub(super) wrong: u64,
    pub(super) failed: u64,
    pub(super) unknown: u64,
    /// Number that arrived at the receiver.
    pub(super) arrived: u64,
    /// Arrivals beyond the first one of each.
    pub(super) again: u64,
    /// Number that the receiver answered 2xx.
    pub(super) taken: u64,
    /// Number that the receiver answered 2xx more than once.
    pub(super) twice: u64,
    /// Messages that the hub took and the receiver never did.
    pub(super) missing: u64,
}

impl Tracker {
    /// Something is about to be sent; its number.
    pub(super) fn send(&mut self, sent_us: u64, measured: bool, bad: bool) -> u64 {
        self.items.push(Item {
            sent_us,
            fate: SenderOutcome::Pending,
            measured,
            bad,
            arrivals: 0,
            taken: 0,
            webhook: 0,
        });
        self.items.len() as u64 - 1
    }

    /// The outcome. `answered_us` is its time, if that is measured.
    pub(super) fn end(&mut self, number: u64, fate: SenderOutcome, answered_us: Option<u64>) {
        let Some(item) = at(&mut self.items, number) else {
            return;
        };
        item.fate = fate;
        if let (true, Some(now)) = (item.measured, answered_us)
            && let Some(group) = self.groups.get_mut(usize::from(item.bad))
        {
            group.latencies.record(now.saturating_sub(item.sent_us));
        }
    }

    /// It arrived at the receiver; false if it was not sent in this run. `first_us` is the time, if that is measured.
    pub(super) fn arrive(&mut self, number: u64, webhook_id: &str, now_us: Option<u64>) -> bool {
        let Some(item) = at(&mut self.items, number) else {
            return false;
        };
        let Some(group) = self.groups.get_mut(usize::from(item.bad)) else {
            return false;
        };
        let webhook = hash(webhook_id);
        item.arrivals = item.arrivals.saturating_add(1);
        if item.arrivals == 1 {
            item.webhook = webhook;
            if let (true, Some(now)) = (item.measured, now_us) {
                group.latencies.record(now.saturating_sub(item.sent_us));
            }
        } else if item.webhook != webhook {
            group.other_ids += 1;
        }
        true
    }

    /// The receiver answers it 2xx.
    pub(super) fn take(&mut self, number: u64) {
        if let Some(item) = at(&mut self.items, number) {
            item.taken = item.taken.saturating_add(1);
        }
    }

    pub(super) fn group(&self, bad: bool) -> &Group {
        let [good, other] = &self.groups;
        if bad { other } else { good }
    }

    /// Counts what goes to one of the receivers.
    pub(super) fn counts(&self, bad: bool) -> Counts {
        let mut counts = Counts::default();
        for item in self.items.iter().filter(|item| item.bad == bad) {
            counts.sent += 1;
            match item.fate {
                SenderOutcome::Pending | SenderOutcome::Unknown => counts.unknown += 1,
                SenderOutcome::Ok => counts.ok += 1,
                SenderOutcome::Wrong => counts.wrong += 1,
                SenderOutcome::Failed => counts.failed += 1,
            }
            counts.arrived += u64::from(item.arrivals > 0);
            counts.again += u64::from(item.arrivals.saturating_sub(1));
            counts.taken += u64::from(item.taken > 0);
            counts.twice += u64::from(item.taken > 1);
            counts.missing += u64::from(item.is_missing());
        }
        counts
    }

    /// The numbers of the first few that are missing.
    pub(super) fn missing(&self, bad: bool, most: usize) -> Vec<u64> {
        let missing = |(_, item): &(usize, &Item)| item.bad == bad && item.is_missing();
        let numbers = self.items.iter().enumerate().filter(missing);
        numbers.map(|(at, _)| at as u64).take(most).collect()
    }
}

impl Item {
    fn is_missing(&self) -> bool {
        self.fate == SenderOutcome::Ok && self.taken == 0
    }
}

fn at(items: &mut [Item], number: u64) -> Option<&mut Item> {
    items.get_mut(usize::try_from(number).ok()?)
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_and_what_came_twice_is_told() {
        let mut track = Tracker::default();
        for _ in 0..5 {
            track.send(10, true, false);
        }
        track.send(10, true, true);
        // Taken at once.
        track.end(0, SenderOutcome::Ok, None);
        assert!(track.arrive(0, "a", Some(110)));
        track.take(0);
        // Refused by the receiver first.
        track.end(1, SenderOutcome::Ok, None);
        track.arrive(1, "b", Some(210));
        track.arrive(1, "b", Some(900));
        track.take(1);
        // Taken twice, under two names.
        track.end(2, SenderOutcome::Ok, None);
        for id in ["c", "d"] {
            track.arrive(2, id, Some(310));
            track.take(2);
        }
        // Accepted, and never taken; refused by the hub.
        track.end(3, SenderOutcome::Ok, None);
        track.end(4, SenderOutcome::Failed, None);
        // Of the other receiver.
        track.end(5, SenderOutcome::Ok, None);
        assert!(!track.arrive(6, "x", None));

        let expected = Counts {
            sent: 5,
            ok: 4,
            failed: 1,
            arrived: 3,
            again: 2,
            taken: 3,
            twice: 1,
            missing: 1,
            ..Counts::default()
        };
        assert_eq!(track.counts(false), expected);
        assert_eq!(track.missing(false, 9), [3]);
        assert_eq!(track.missing(true, 9), [5]);
        let group = track.group(false);
        assert_eq!((group.other_ids, group.latencies.count()), (1, 3));
        assert_eq!(group.latencies.max_us(), 300);
    }

    #[test]
    fn warming_up_is_not_measured() {
        let mut track = Tracker::default();
        track.send(10, false, false);
        track.send(10, true, false);
        track.end(0, SenderOutcome::Ok, Some(1_010));
        track.end(1, SenderOutcome::Ok, Some(110));
        assert_eq!(track.group(false).latencies.max_us(), 100);
        assert_eq!(track.counts(false).ok, 2);
    }
}
