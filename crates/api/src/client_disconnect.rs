//! The end of a caller's wait in a long poll.
//!
//! A long poll ends early, as if nothing had arrived, when the server stops or the caller hangs up; a stream ends. The server attaches a
//! [`ClientDisconnect`] to every request that could be one (with a query string, or for a stream); the handler polls it along with the
//! wait.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// What a handler can learn about its caller while a request is in progress.
pub(super) trait Caller: Send + Sync {
    /// Whether waiting has lost its sense. Asked whenever the connection's task wakes, which it does when that changes.
    fn is_to_be_answered(&self) -> bool;
}

/// How long a caller may be kept waiting; for ever without one.
#[derive(Clone)]
pub(super) struct ClientDisconnect(Arc<dyn Caller>);

impl ClientDisconnect {
    pub(super) fn new(caller: Arc<impl Caller + 'static>) -> Self {
        Self(caller)
    }

    /// Whether waiting has lost its sense.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_to_be_answered()
    }

    /// Resolves when waiting has lost its sense. To be polled in the task of the connection.
    pub(super) async fn over(patience: Option<&Self>) {
        poll_fn(|_| match patience {
            Some(Self(caller)) if caller.is_to_be_answered() => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }
}
