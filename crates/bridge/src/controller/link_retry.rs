//! Links that a hub refuses to a device.

use std::time::Duration;

use drawspan_fleet::mutation::{Mutation, planted};
use drawspan_hub::{AttemptId, Failure, Link, Links};

use super::Controller;
use super::action::{Action, Note};
use super::context::RefusedLinks;
use super::platform::Platform;
use crate::limits::{LINK_RETRY_MAX, LINK_RETRY_MIN};

impl RefusedLinks {
    /// Whether one of them is still missing among those that are there.
    pub(super) const fn is_missing(&self, up: Links) -> bool {
        let refused = self.links;
        (refused.methods && !up.methods)
            || (refused.c2d && !up.c2d)
            || (refused.desired && !up.desired)
    }
}

impl<P: Platform> Controller<P> {
    /// A hub does not let a device have a link: the rest of it works on.
    pub(super) fn link_refused(&mut self, attempt: AttemptId, link: Link, failure: Failure) {
        self.note_failure(attempt.device, &failure);
        let now = self.now.monotonic;
        let jitter = self.chance.draw();
        let (Some(id), Some(context)) = (
            self.fleet.id(attempt.device).cloned(),
            self.fleet.context_mut(attempt.device),
        ) else {
            return;
        };
        let refused = context.refused.get_or_insert_with(|| {
            Box::new(RefusedLinks {
                links: Links::default(),
                times: 0,
                retry_at: Duration::ZERO,
                of: attempt.serial,
            })
        });
        refused.links.add(link);
        // One retry for all of them.
        if refused.retry_at <= now || refused.of != attempt.serial {
            refused.of = attempt.serial;
            let most = (LINK_RETRY_MIN * (1 << refused.times.min(8))).min(LINK_RETRY_MAX);
            refused.times = refused.times.saturating_add(1);
            refused.retry_at = now + jitter.between(most / 2, most);
            if !planted(Mutation::LinkNotRetried) {
                self.retries.add(refused.retry_at, attempt);
            }
        }
        self.act(Action::Note(Note::LinkRefused(id, link, failure)));
    }

    /// Asks again for links that were refused some time ago.
    pub(super) fn retry_links(&mut self) {
        while let Some(attempt) = self.retries.pop_due(self.now.monotonic) {
            if !self.fleet.is_current(attempt) {
                continue;
            }
            let Some(place) = self.open_place(attempt.device) else {
                continue;
            };
            let context = self.fleet.context(attempt.device);
            if let Some(context) = context.filter(|context| context.refused.is_some()) {
                let told = context.told;
                self.act(Action::Want(place, told));
            }
        }
    }
}
