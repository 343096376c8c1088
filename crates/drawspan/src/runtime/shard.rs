//! The task that owns the fleet: requests, news of connections and time go in, one after the other.

use std::sync::Arc;

use drawspan_client::StatusBoard;
use drawspan_hub::DeviceId;
use drawspan_net::Clock;
use tokio::sync::mpsc;

use super::entry::Waiter;
use super::fleet::Fleet;
use crate::limits;

/// What callers ask of the shard.
#[derive(Debug)]
pub(super) struct Connect {
    pub(super) device: DeviceId,
    pub(super) waiter: Waiter,
}

/// Runs until every [`Bridge`](super::Bridge) is gone.
pub(super) async fn run(
    mut fleet: Fleet,
    mut requests: mpsc::Receiver<Connect>,
    board: Arc<StatusBoard>,
    clock: Clock,
) {
    let mut batch = Vec::new();
    loop {
        let due = fleet.run();
        let timer = async {
            match due {
                Some(at) => tokio::time::sleep_until(clock.instant(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            taken = requests.recv_many(&mut batch, limits::SHARD_BATCH) => {
                if taken == 0 {
                    return;
                }
                for Connect { device, waiter } in batch.drain(..) {
                    fleet.connect(device, waiter);
                }
            }
            news = board.take() => {
                for status in news {
                    fleet.status(status);
                }
            }
            () = timer => {}
        }
    }
}
