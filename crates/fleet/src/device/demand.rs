//! Demand for a device's connection.

use std::time::Duration;

use crate::limits::{TEMPORARY_MAX, TEMPORARY_MIN};
use crate::mutation::{Mutation, planted};
use crate::time::Jitter;

/// Whether anybody wants a device connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand {
    /// Subscriptions exist.
    pub(super) permanent: bool,
    /// The device was used, and is wanted until then.
    temporary: Option<Duration>,
}

impl Demand {
    pub(super) const NOT: Self = Self {
        permanent: false,
        temporary: None,
    };

    /// A use lengthens the time, never shortens it.
    pub(super) fn used(&mut self, at: Duration, jitter: Jitter) {
        let from = match self.temporary {
            Some(until) if planted(Mutation::UsesAddUp) => until,
            _ => at,
        };
        let until = from + jitter.between(TEMPORARY_MIN, TEMPORARY_MAX);
        self.temporary = self.temporary.max(Some(until));
    }

    pub(super) fn is_wanted(&self, now: Duration) -> bool {
        self.permanent || self.temporary.is_some_and(|until| now < until)
    }

    /// Until when the last use counts.
    pub(super) const fn temporary(&self) -> Option<Duration> {
        self.temporary
    }

    /// When it ends to be wanted if nothing more happens.
    pub(super) fn ends(&self) -> Option<Duration> {
        if self.permanent { None } else { self.temporary }
    }
}
