//! Limits for log lines that a device, a caller or a receiver can cause repeatedly: one per subject and minute, the others are
//! counted.
//!
//! Each such line has its own [`LogLimit`]. The count is in the next line about the same subject, or in a separate line when a
//! minute has passed without one.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::{LOG_INTERVAL_S, MAX_LOG_SUBJECTS};

/// An event was not taken; the subject is its receiver.
pub static UNTAKEN_EVENTS: LogLimit = LogLimit::new("an event was not taken");
/// The answer of a receiver to a method cannot be read; the subject is the receiver.
pub static UNREAD_ANSWERS: LogLimit = LogLimit::new("the answer to a method cannot be read");
/// A receiver is left alone or answers again; the subject is the receiver.
pub static RECEIVERS: LogLimit = LogLimit::new("a receiver of events changed its state");
/// A hub, or DPS, refuses a device; the subject is the service with the reason.
pub static REFUSED_DEVICES: LogLimit = LogLimit::new("a hub refuses a device");
/// A connection to a hub ended; the subject is the hub with the reason.
pub static ENDED_CONNECTIONS: LogLimit = LogLimit::new("a connection ended");
/// The connections to a hub are full, or have room again; the subject is the hub with which of it.
pub static FULL_HUBS: LogLimit = LogLimit::new("the connections to a hub are full");
/// A hub refuses a link; the subject is the reason.
pub static REFUSED_LINKS: LogLimit = LogLimit::new("a hub refuses a link");
/// An event or answer had no room.
pub static NO_ROOM: LogLimit = LogLimit::new("something had no room");
/// The store failed; the subject is what was asked of it.
pub static STORE_FAILURES: LogLimit = LogLimit::new("the store failed");
/// A TLS handshake at the listener failed; the subject is the caller's address.
pub static HANDSHAKES: LogLimit = LogLimit::new("a caller's TLS handshake failed");
/// No room for another connection.
pub static CONNECTIONS: LogLimit = LogLimit::new("connections of callers are at their bound");

static ALL: [&LogLimit; 11] = [
    &UNTAKEN_EVENTS,
    &UNREAD_ANSWERS,
    &RECEIVERS,
    &REFUSED_DEVICES,
    &ENDED_CONNECTIONS,
    &FULL_HUBS,
    &REFUSED_LINKS,
    &NO_ROOM,
    &STORE_FAILURES,
    &HANDSHAKES,
    &CONNECTIONS,
];

/// The subject of everything beyond the bound of subjects.
const OTHERS: &str = "others";

/// Bounds one kind of line.
#[derive(Debug)]
pub struct LogLimit {
    what: &'static str,
    subjects: Mutex<Subjects>,
}

/// Leave to write a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    /// How many lines about the same subject were left out since the last one; `None` for zero.
    pub left_out: Option<u64>,
}

impl LogLimit {
    const fn new(what: &'static str) -> Self {
        Self {
            what,
            subjects: Mutex::new(Subjects(BTreeMap::new())),
        }
    }

    /// Whether to write a line about `subject` now.
    pub fn pass(&self, subject: impl Display) -> Option<Leave> {
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        subjects.pass(&subject.to_string(), Instant::now())
    }

    fn due(&self) -> Vec<(String, u64)> {
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        subjects.due(Instant::now())
    }
}

/// Writes the counts of subjects about which nothing was written for a minute. To be called now and then.
pub fn write_counts() {
    for limit in ALL {
        for (subject, left_out) in limit.due() {
            tracing::info!(subject, left_out, "more of the same: {}", limit.what);
        }
    }
}

/// When a line was written about each subject, and how many were left out since.
#[derive(Debug)]
struct Subjects(BTreeMap<String, (Instant, u64)>);

impl Subjects {
    fn pass(&mut self, subject: &str, now: Instant) -> Option<Leave> {
        let room = self.0.len() < MAX_LOG_SUBJECTS;
        let subject = match room || self.0.contains_key(subject) {
            true => subject,
            false => OTHERS,
        };
        let Some((written, left_out)) = self.0.get_mut(subject) else {
            self.0.insert(subject.to_owned(), (now, 0));
            return Some(Leave { left_out: None });
        };
        if !is_over(*written, now) {
            *left_out += 1;
            return None;
        }
        let before = std::mem::take(left_out);
        *written = now;
        let left_out = (before > 0).then_some(before);
        Some(Leave { left_out })
    }

    /// Forgets subjects whose minute is over; those of which something was left out are returned.
    fn due(&mut self, now: Instant) -> Vec<(String, u64)> {
        let over = self
            .0
            .extract_if(.., |_, (written, _)| is_over(*written, now));
        over.filter(|(_, (_, left_out))| *left_out > 0)
            .map(|(subject, (_, left_out))| (subject, left_out))
            .collect()
    }
}

fn is_over(written: Instant, now: Instant) -> bool {
    now.saturating_duration_since(written) >= Duration::from_secs(LOG_INTERVAL_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn leave(left_out: Option<u64>) -> Option<Leave> {
        Some(Leave { left_out })
    }

    #[test]
    fn one_line_per_subject_and_minute_and_a_count_of_the_rest() {
        let mut subjects = Subjects(BTreeMap::new());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(subjects.pass("a", at(0)), leave(None));
        assert_eq!(subjects.pass("a", at(1)), None);
        assert_eq!(subjects.pass("b", at(1)), leave(None));
        assert_eq!(subjects.pass("a", at(59)), None);
        assert_eq!(subjects.pass("a", at(60)), leave(Some(2)));
        assert_eq!(subjects.pass("a", at(61)), None);
        assert_eq!(subjects.due(at(62)), []);
        // b has nothing to count, and is forgotten.
        assert_eq!(subjects.due(at(120)), [("a".to_owned(), 1)]);
        assert!(subjects.0.is_empty());
    }

    #[test]
    fn subjects_are_bounded() {
        let mut subjects = Subjects(BTreeMap::new());
        let now = Instant::now();
        let written = (0..10 * MAX_LOG_SUBJECTS)
            .filter(|at| subjects.pass(&at.to_string(), now).is_some())
            .count();
        assert_eq!(written, MAX_LOG_SUBJECTS + 1);
        assert_eq!(subjects.0.len(), MAX_LOG_SUBJECTS + 1);
        let (_, left_out) = subjects.0.get(OTHERS).unwrap();
        assert_eq!(*left_out, 9 * MAX_LOG_SUBJECTS as u64 - 1);
    }
}
