//! How far the end has come, and what a connection knows about itself so that it can tell when it may close.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::http::patience::Caller;

/// How far the end of the server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// Not at all.
    Serving,
    /// Nothing new is begun; what was begun is finished.
    Stopping,
    /// What is not finished is answered all the same.
    CutOff,
}

/// What the parts of one connection (socket, requests, task) tell each other. All run in the connection's task.
#[derive(Debug, Default)]
pub(super) struct Shared {
    phase: AtomicU8,
    /// A request is being answered.
    under_way: AtomicBool,
    /// All of the request that is being answered came.
    complete: AtomicBool,
    /// Bytes came that belong to no answered request.
    heard: AtomicBool,
    /// The peer does not take what is to be written.
    blocked: AtomicBool,
    /// Nothing waits in the socket; known only once the server stops.
    silent: AtomicBool,
    /// The answer may be waited for; so it matters whether the peer hangs up meanwhile.
    watched: AtomicBool,
    /// The peer says nothing more, or is gone.
    hung_up: AtomicBool,
}

impl Shared {
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.phase.load(Ordering::Relaxed) >= Phase::Stopping as u8
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.phase.load(Ordering::Relaxed) >= Phase::CutOff as u8
    }

    pub(super) fn request_begins(&self) {
        self.complete.store(false, Ordering::Relaxed);
        self.under_way.store(true, Ordering::Relaxed);
    }

    pub(super) fn request_came(&self) {
        self.complete.store(true, Ordering::Relaxed);
    }

    /// Nothing is sent for a request before all of it came.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    pub(super) fn request_ends(&self) {
        self.under_way.store(false, Ordering::Relaxed);
        self.heard.store(false, Ordering::Relaxed);
        self.watched.store(false, Ordering::Relaxed);
    }

    pub(super) fn watch(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Whether to look for the peer's end: an answer may be waited for, and all of its request came.
    pub(super) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
            && self.is_complete()
            && !self.hung_up.load(Ordering::Relaxed)
    }

    pub(super) fn hang_up(&self) {
        self.hung_up.store(true, Ordering::Relaxed);
    }

    pub(super) fn read(&self) {
        self.heard.store(true, Ordering::Relaxed);
        self.silent.store(false, Ordering::Relaxed);
    }

    pub(super) fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Whether the server stops and nobody would miss an answer.
    pub(super) fn may_close(&self) -> bool {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        if !self.is_stopping() || is(&self.under_way) || is(&self.blocked) {
            return false;
        }
        // Half a request's head is not waited for any more at the very end.
        self.is_cut_off() || !is(&self.heard) && is(&self.silent)
    }
}

impl Caller for Shared {
    fn is_to_be_answered(&self) -> bool {
        self.is_stopping() || self.hung_up.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_closes_when_nobody_would_miss_an_answer() {
        let shared = Shared::default();
        let check = |expected: bool| assert_eq!(shared.may_close(), expected, "{shared:?}");
        shared.set_silent(true);
        check(false);
        shared.enter(Phase::Stopping);
        check(true);
        shared.read();
        check(false);
        shared.set_silent(true);
        check(false);
        shared.request_begins();
        check(false);
        shared.request_ends();
        check(true);
        shared.set_blocked(true);
        check(false);
        shared.set_blocked(false);
        shared.read();
        check(false);
        shared.enter(Phase::CutOff);
        check(true);
        shared.request_begins();
        check(false);
    }
}
