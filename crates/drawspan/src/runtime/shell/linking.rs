//! Which links devices have, and those that their hub does not let them have.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use drawspan_bridge::Now;
use drawspan_bridge::fleet::Attempt;
use drawspan_hub::{Failure, Link, Links};

use super::Shell;
use super::actions::owner;
use crate::limits::{LINK_RETRY_MAX_S, LINK_RETRY_MIN_S};
use crate::log_limit::{Leave, REFUSED_LINKS};
use crate::runtime::beside::Refused;
use crate::runtime::versions::Look;

/// When refused links are worth another try.
#[derive(Debug, Default)]
pub(super) struct Retries(BinaryHeap<Reverse<(Duration, u32, u32)>>);

impl Retries {
    fn add(&mut self, at: Duration, attempt: Attempt) {
        self.0.push(Reverse((at, attempt.device, attempt.serial)));
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((at, ..))| *at)
    }

    fn pop_due(&mut self, now: Duration) -> Option<Attempt> {
        if self.due()? > now {
            return None;
        }
        let Reverse((_, device, serial)) = self.0.pop()?;
        Some(Attempt { device, serial })
    }
}

impl Shell {
    /// The links that a device wants are there, as far as its hub lets it have them.
    pub(super) fn linked(&mut self, attempt: Attempt, links: Links) {
        if !self.fleet.is_current(attempt) {
            return;
        }
        let Some(beside) = self.fleet.beside_mut(attempt.device) else {
            return;
        };
        let before = std::mem::replace(&mut beside.up, links);
        beside
            .refused
            .take_if(|refused| !refuses(refused.links, links));
        if links.desired && !before.desired {
            // From here on nothing is missed; before, something may have been.
            self.look_at_desired(attempt, Look::Gap);
        }
        self.pull(attempt.device);
    }

    /// A hub does not let a device have a link: the rest of it works on.
    pub(super) fn link_refused(&mut self, attempt: Attempt, link: Link, failure: Failure) {
        if !self.fleet.is_current(attempt) {
            return;
        }
        self.note(attempt.device, &failure);
        let now = self.parts.clock.now();
        let jitter = self.chance.draw();
        let Some(id) = self.fleet.id(attempt.device).cloned() else {
            return;
        };
        let Some(beside) = self.fleet.beside_mut(attempt.device) else {
            return;
        };
        if let Some(Leave { left_out }) = REFUSED_LINKS.pass(format_args!("{:?}", failure.kind)) {
            tracing::info!(device = %id, ?link, reason = %failure, left_out, "a hub refuses a link");
        }
        let refused = beside.refused.get_or_insert_with(|| {
            Box::new(Refused {
                links: Links::default(),
                failure: failure.clone(),
                times: 0,
                retry_at: Duration::ZERO,
                of: attempt.serial,
            })
        });
        refused.links.add(link);
        refused.failure = failure;
        // One retry for all of them.
        if refused.retry_at <= now || refused.of != attempt.serial {
            refused.of = attempt.serial;
            let most = LINK_RETRY_MIN_S << refused.times.min(8);
            let most = Duration::from_secs(most.min(LINK_RETRY_MAX_S));
            refused.times += 1;
            refused.retry_at = now + jitter.between(most / 2, most);
            self.retries.add(refused.retry_at, attempt);
        }
    }

    /// Asks again for links that were refused some time ago.
    pub(super) fn retry_links(&mut self, now: Now) {
        while let Some(attempt) = self.retries.pop_due(now.monotonic) {
            if !self.fleet.is_current(attempt) {
                continue;
            }
            let (Some(beside), Some(connection)) = (
                self.fleet.beside(attempt.device),
                self.connection_of(attempt),
            ) else {
                continue;
            };
            let session = beside.place.and_then(|place| place.session);
            if let Some(session) = session
                && beside.refused.is_some()
            {
                // One that is too busy is asked for it with the next change, or connection.
                connection.want(owner(attempt), session, beside.told);
            }
        }
    }
}

/// Whether one of them is still missing.
const fn refuses(refused: Links, up: Links) -> bool {
    (refused.methods && !up.methods) || (refused.c2d && !up.c2d) || (refused.desired && !up.desired)
}
