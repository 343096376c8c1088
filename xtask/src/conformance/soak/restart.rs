//! A restart of the hub.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::api;
use super::latency::Window;
use crate::conformance::servers::Running;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// How long the hub is away.
const AWAY: Duration = Duration::from_secs(4);
/// The bridge must be ready again within this time.
const READY: Duration = Duration::from_secs(60);
/// Requests this long after that still belong to the restart.
const SETTLING: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

/// Kills the hub, starts it again with its state, and waits until the bridge is ready again.
pub(super) fn restart(
    workspace: &Workspace,
    running: &mut Running,
    folder: &Path,
) -> Result<Window> {
    let killed = Instant::now();
    let from_ms = unix_ms();
    running.kill_emulator()?;
    let mut noticed = false;
    while killed.elapsed() < AWAY {
        sleep(LOOK);
        noticed |= !api::is_ready()?;
    }
    running.start_emulator(workspace, folder)?;
    let started = Instant::now();
    while !api::is_ready()? {
        noticed = true;
        if started.elapsed() > READY {
            return Err(Error::Unexpected(format!(
                "not ready {} s after the hub was started again",
                READY.as_secs()
            )));
        }
        sleep(LOOK);
    }
    if !noticed {
        // Then it does not say when the hub is back, either.
        let text = "/readyz answered 200 all the time while the hub was away";
        return Err(Error::Unexpected(text.into()));
    }
    Ok(Window {
        from_ms,
        until_ms: unix_ms() + SETTLING.as_millis() as u64,
    })
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
