//! What connections tell of devices, brought to their machines.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use drawspan_bridge::Input;
use drawspan_bridge::device::{Epoch, State};
use drawspan_client::{ConnectionKey, DeviceSession, Owner};
use drawspan_hub::{Failure, FailureKind};

use super::{Fleet, is_final};
use crate::runtime::directory::Route;
use crate::runtime::entry::Entry;

/// Least time between two warnings of connections that ended.
const WARNING_INTERVAL: Duration = Duration::from_secs(1);

impl Fleet {
    pub(super) fn opened(&mut self, owner: Owner, session: DeviceSession, now: Duration) {
        let Some(attempt) = self.attempt(owner) else {
            return;
        };
        attempt.session = Some(session);
        let attempt = *attempt;
        self.governor.accepted(now);
        if self.governor.breaker.accepted() {
            tracing::info!(hub = %self.config.host, "the hub takes credentials again");
            self.permit_at = None;
        }
        let Some(connection) = self.pool.get(attempt.connection).cloned() else {
            return;
        };
        self.feed(
            owner.index,
            Input::Opened {
                epoch: attempt.epoch,
            },
        );
        let directory = Arc::clone(&self.directory);
        let Some(entry) = self.entry(owner.index) else {
            return;
        };
        if !matches!(entry.machine.state(), State::Connected { .. }) {
            return;
        }
        let route = Arc::new(Route::new(connection, session, attempt.serial, now));
        entry.route = Some(Arc::clone(&route));
        entry.answer_waiters();
        directory.insert(entry.id.clone(), route);
    }

    /// The device's attempt is over.
    pub(super) fn down<'a>(
        &mut self,
        owner: Owner,
        input: impl FnOnce(Epoch) -> Input<'a>,
        failure: Option<&Failure>,
    ) {
        let now = self.config.clock.now();
        let Some(attempt) = self.attempt(owner).copied() else {
            return;
        };
        if let Some(device) = self.entry(owner.index).map(|entry| entry.id.clone()) {
            self.pool
                .leave(&device, attempt.connection, attempt.session.is_some());
        }
        self.forget_attempt(owner.index);
        match failure.map(|failure| failure.kind) {
            Some(FailureKind::Unauthorized) => self.refused_credentials(owner.index, now),
            Some(FailureKind::Throttled) => self.governor.throttled(now),
            // The hub kept up: it answered.
            Some(FailureKind::DeviceNotFound | FailureKind::DeviceDisabled) => {
                self.governor.accepted(now);
            }
            _ => {}
        }
        self.feed(owner.index, input(attempt.epoch));
        if let Some(failure) = failure {
            self.tell_waiters(owner.index, failure);
        }
    }

    pub(super) fn connection_ended(
        &mut self,
        key: ConnectionKey,
        failure: &Failure,
        now: Duration,
    ) {
        self.pool.ended(key);
        if failure.kind == FailureKind::HubUnreachable && self.governor.hub.unreachable(now) {
            self.hub_down.store(true, Ordering::Relaxed);
            tracing::warn!(hub = %self.config.host, reason = %failure.message, "the hub cannot be reached");
        }
        let on_it = |entry: &Entry| entry.attempt.filter(|attempt| attempt.connection == key);
        let lost: Vec<_> = (0u32..)
            .zip(&self.entries)
            .filter_map(|(index, entry)| Some((index, on_it(entry.as_ref()?)?)))
            .collect();
        if !lost.is_empty() {
            self.warn_of_connection(lost.len(), failure, now);
        }
        if failure.kind == FailureKind::Unauthorized {
            // The token was for all of them.
            for (index, _) in &lost {
                self.refused_credentials(*index, now);
            }
        }
        for (index, attempt) in lost {
            self.forget_attempt(index);
            let closing = self
                .entry(index)
                .is_some_and(|entry| entry.machine.state() == State::Closing);
            let epoch = attempt.epoch;
            self.feed(
                index,
                if closing {
                    Input::Closed { epoch }
                } else {
                    Input::Lost { epoch, failure }
                },
            );
            self.tell_waiters(index, failure);
        }
        // The connection may have been the probe: whoever is next is due as the governor says.
        self.permit_at = None;
    }

    /// Once a second at most: with a wrong key every attempt ends like this.
    fn warn_of_connection(&mut self, devices: usize, failure: &Failure, now: Duration) {
        // A hub that cannot be reached was told already, and there was no connection.
        if failure.kind == FailureKind::HubUnreachable || now < self.next_warning {
            return;
        }
        self.next_warning = now + WARNING_INTERVAL;
        tracing::warn!(hub = %self.config.host, devices, reason = %failure, "a connection ended");
    }

    pub(super) fn refused_credentials(&mut self, index: u32, now: Duration) {
        if self.governor.breaker.refused(index.into(), now) {
            tracing::error!(
                hub = %self.config.host,
                "the hub refuses the credentials of many devices: wrong key, or the clock is wrong"
            );
        }
    }

    pub(super) fn forget_attempt(&mut self, index: u32) {
        let directory = Arc::clone(&self.directory);
        let Some(entry) = self.entry(index) else {
            return;
        };
        entry.attempt = None;
        if entry.route.take().is_some() {
            directory.remove(&entry.id);
        }
    }

    /// Refuses those who wait when waiting on does not help.
    pub(super) fn tell_waiters(&mut self, index: u32, failure: &Failure) {
        let Some(entry) = self.entry(index) else {
            return;
        };
        let waiting = matches!(
            entry.machine.state(),
            State::Waiting { .. } | State::Yielded { .. }
        );
        if waiting && is_final(failure.kind) {
            entry.refuse_waiters(failure);
        }
    }
}
