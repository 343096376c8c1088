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

/// Runs until every [`Bridge`](super::Bridge) is gone.
pub(super) async fn run(
    mut shell: Shell,
    mut requests: mpsc::Receiver<Request>,
    board: Arc<StatusBoard>,
    registrations: Arc<Board<Done>>,
    inbox: Arc<Inbox>,
    attempts: Arc<Board<webhooks::Done>>,
    brought: Arc<Board<Brought>>,
    clock: Clock,
) {
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
