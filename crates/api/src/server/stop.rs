//! The progress of the shutdown, and the state of a connection: whether it is busy, when it last made progress, and whether it may
//! close.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use drawspan_gateway::Effect;
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client_disconnect::Caller;

/// How far the end of the server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// Not at all.
    Serving,
    /// No request is begun; requests in progress are finished.
    Stopping,
    /// Unfinished requests are answered 503.
    CutOff,
}

/// How a connection is to end for which there is no room any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Leaving {
    /// It is not.
    No,
    /// With an answer and a moment for the caller to read it.
    Told,
    /// At once.
    AtOnce,
}

/// The state shared by the parts of one connection (socket, requests, task) and the table of connections.
#[derive(Debug)]
pub(super) struct Shared {
    phase: AtomicU8,
    /// A request is being answered.
    under_way: AtomicBool,
    /// The whole request that is being answered has arrived.
    complete: AtomicBool,
    /// The peer does not take what is to be written.
    blocked: AtomicBool,
    /// The answer may be waited for; so it matters whether the peer hangs up meanwhile.
    watched: AtomicBool,
    /// The answer goes on until the peer hangs up.
    streaming: AtomicBool,
    /// The peer says nothing more, or is gone.
    hung_up: AtomicBool,
    /// [`Leaving`].
    leaving: AtomicU8,
    left: Notify,
    /// When bytes last came or went, in milliseconds since `opened`.
    progress_ms: AtomicU64,
    opened: Instant,
    effect: Effect,
    /// The unread rest of the body of the current request.
    unread: Mutex<Option<Incoming>>,
}

impl Shared {
    pub(super) fn new(opened: Instant) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Serving as u8),
            under_way: AtomicBool::default(),
            complete: AtomicBool::default(),
            blocked: AtomicBool::default(),
            watched: AtomicBool::default(),
            streaming: AtomicBool::default(),
            hung_up: AtomicBool::default(),
            leaving: AtomicU8::new(Leaving::No as u8),
            left: Notify::new(),
            progress_ms: AtomicU64::default(),
            opened,
            effect: Effect::default(),
            unread: Mutex::default(),
        }
    }

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
        self.effect.reset();
        self.complete.store(false, Ordering::Relaxed);
        self.under_way.store(true, Ordering::Relaxed);
    }

    pub(super) fn request_came(&self) {
        self.complete.store(true, Ordering::Relaxed);
    }

    pub(super) fn request_ends(&self) {
        self.under_way.store(false, Ordering::Relaxed);
        self.watched.store(false, Ordering::Relaxed);
        self.streaming.store(false, Ordering::Relaxed);
    }

    /// The answer goes on: the request ends with it.
    pub(super) fn streams(&self) {
        self.streaming.store(true, Ordering::Relaxed);
    }

    /// The rest of the request's body is not needed.
    pub(super) fn leave_unread(&self, body: Incoming) {
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }

    /// The unread rest.
    pub(super) fn take_unread(&self) -> Option<Incoming> {
        if self.complete.load(Ordering::Relaxed) {
            return None;
        }
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.take()
    }

    /// The effect of the current request so far.
    pub(super) const fn effect(&self) -> &Effect {
        &self.effect
    }

    pub(super) fn watch(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Whether to look for the peer's end: an answer may be waited for, or holds up the end of the server, and all of its request came.
    pub(super) fn is_watched(&self) -> bool {
        (self.watched.load(Ordering::Relaxed) || self.effect.is_watched() || self.is_stopping())
            && self.under_way.load(Ordering::Relaxed)
            && self.complete.load(Ordering::Relaxed)
            && !self.hung_up.load(Ordering::Relaxed)
    }

    pub(super) fn hang_up(&self) {
        self.hung_up.store(true, Ordering::Relaxed);
        self.effect.hangs_up();
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Bytes came or went.
    pub(super) fn progress(&self) {
        let ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.progress_ms.store(ms, Ordering::Relaxed);
    }

    /// When bytes last moved in either direction; initially the time of opening.
    pub(super) fn last_progress(&self) -> Instant {
        let ms = self.progress_ms.load(Ordering::Relaxed);
        self.opened + std::time::Duration::from_millis(ms)
    }

    /// Whether a request is being answered that came in full. A connection on which half a request lies, or an answer that is not read, is
    /// as idle as one on which nothing happens.
    pub(super) fn is_busy(&self) -> bool {
        let is_unread = self.is_streaming() && self.blocked.load(Ordering::Relaxed);
        self.is_under_way() && self.complete.load(Ordering::Relaxed) && !is_unread
    }

    fn is_streaming(&self) -> bool {
        self.streaming.load(Ordering::Relaxed)
    }

    /// Whether a request is being answered.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Whether somebody still waits for an answer, or for the rest of one.
    pub(super) fn is_waited_for(&self) -> bool {
        (self.is_under_way() || self.blocked.load(Ordering::Relaxed))
            && !self.hung_up.load(Ordering::Relaxed)
    }

    /// Whether the caller may still be sending a request when the connection ends.
    pub(super) fn is_unread(&self) -> bool {
        !self.complete.load(Ordering::Relaxed)
            && !self.hung_up.load(Ordering::Relaxed)
            && !self.is_leaving()
            && !self.is_cut_off()
    }

    /// Asks the connection to end.
    pub(super) fn leave(&self, how: Leaving) {
        self.leaving.store(how as u8, Ordering::Relaxed);
        self.left.notify_one();
    }

    /// Resolves once the connection is asked to end.
    pub(super) async fn asked_to_leave(&self) {
        self.left.notified().await;
    }

    /// Whether to end without a word.
    pub(super) fn leaves_at_once(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) == Leaving::AtOnce as u8
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) != Leaving::No as u8
    }

    /// Whether this answer is the last one on this connection.
    pub(super) fn closes(&self) -> bool {
        self.is_stopping() || self.is_leaving()
    }

    /// Whether the connection is to end now: no answer is owed on it.
    pub(super) fn may_close(&self) -> bool {
        self.is_cut_off() && !self.is_under_way() || self.is_leaving() && !self.is_busy()
    }

    /// Whether something can be said on it: not in the middle of an answer.
    pub(super) fn may_speak(&self) -> bool {
        !self.blocked.load(Ordering::Relaxed) && !self.is_streaming()
    }
}

impl Caller for Shared {
    fn is_to_be_answered(&self) -> bool {
        self.closes() || self.hung_up.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_kept_until_the_very_end() {
        let shared = Shared::new(Instant::now());
        let check = |expected: bool| assert_eq!(shared.may_close(), expected, "{shared:?}");
        check(false);
        shared.enter(Phase::Stopping);
        check(false);
        shared.request_begins();
        shared.enter(Phase::CutOff);
        check(false);
        shared.request_ends();
        check(true);
    }

    #[tokio::test]
    async fn a_stream_is_busy_while_it_is_read_and_nothing_is_said_into_it() {
        let shared = Shared::new(Instant::now());
        shared.request_begins();
        shared.request_came();
        shared.streams();
        assert!(shared.is_busy() && shared.is_waited_for());
        shared.set_blocked(true);
        assert!(!shared.is_busy(), "it may be the idlest");
        shared.leave(Leaving::Told);
        assert!(shared.may_close() && !shared.may_speak());
        shared.set_blocked(false);
        assert!(!shared.may_speak(), "it is in the middle of an answer");
        shared.request_ends();
        assert!(shared.may_speak());
    }

    #[tokio::test]
    async fn one_that_is_to_leave_finishes_a_request_that_came_in_full() {
        let shared = Shared::new(Instant::now());
        let check = |expected: bool| assert_eq!(shared.may_close(), expected, "{shared:?}");
        shared.leave(Leaving::Told);
        check(true);
        shared.request_begins();
        check(true);
        shared.request_came();
        check(false);
        assert!(shared.closes());
        shared.request_ends();
        check(true);
    }
}
