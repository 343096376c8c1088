//! The task that owns the shell: requests, news and time go in, one after the other.
//!
//! One task is enough: messages do not pass it, and what does (a device that connects or ends) costs it microseconds.

use std::sync::Arc;

use drawspan_client::{Board, Inbox, StatusBoard};
use drawspan_net::Clock;
use tokio::sync::mpsc;

use super::brought::Brought;
use super::registrations::Done;
use super::request::Request;
use super::shell::Shell;
use crate::limits;
use crate::webhooks;

/// What the shell hears from.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) requests: mpsc::Receiver<Request>,
    /// Of connections.
    pub(super) board: Arc<StatusBoard>,
    pub(super) registrations: Arc<Board<Done>>,
    /// What devices receive.
    pub(super) inbox: Arc<Inbox>,
    /// To deliver an event.
    pub(super) attempts: Arc<Board<webhooks::Done>>,
    /// What the shell's own tasks bring back.
    pub(super) brought: Arc<Board<Brought>>,
    pub(super) clock: Clock,
}

/// Runs until every [`Bridge`](super::Bridge) is gone.
pub(super) async fn run(mut shell: Shell, sources: Sources) {
    let Sources {
        mut requests,
        board,
        registrations,
        inbox,
        attempts,
        brought,
        clock,
    } = sources;
    let mut batch = Vec::new();
    loop {
        let due = shell.run();
        tokio::select! {
            taken = requests.recv_many(&mut batch, limits::SHARD_BATCH) => {
                if taken == 0 {
                    return;
                }
                for request in batch.drain(..) {
                    shell.request(request);
                }
            }
            news = board.take() => {
                for status in news {
                    shell.status(status);
                }
            }
            done = registrations.take() => {
                for registration in done {
                    shell.registered(registration);
                }
            }
            incoming = inbox.take() => {
                for incoming in incoming {
                    shell.arrived(incoming);
                }
            }
            brought = brought.take() => {
                for brought in brought {
                    shell.brought(brought);
                }
            }
            attempts = attempts.take() => {
                for attempt in attempts {
                    shell.attempted(attempt);
                }
            }
            () = tokio::time::sleep_until(clock.instant(due)) => {}
        }
    }
}
