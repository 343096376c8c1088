//! The check of this machine's clock against that of DPS or the hub.

use std::time::Duration;

use drawspan_client::clock_skew::{self, Skew};
use drawspan_client::limits::CLOCK_SKEW_S;
use drawspan_hub::HostName;
use drawspan_net::Connector;
use drawspan_settings::{Config, Profile};
use tokio::time::timeout;

use super::{Line, Seen};
use crate::limits::PROBE_TIMEOUT_MS;

pub(super) async fn look(config: &Config, connector: &Connector) -> Line {
    let Some(host) = host(&config.profile) else {
        return line(Seen::Skipped("no device is listed".to_owned()));
    };
    let limit = Duration::from_millis(PROBE_TIMEOUT_MS);
    let skew = timeout(limit, clock_skew::skew(connector, host)).await;
    line(match skew.ok().flatten() {
        Some(skew) => judge(skew, host),
        None => Seen::Skipped(format!("{host} does not say what time it is, at port 443")),
    })
}

fn line(seen: Seen) -> Line {
    Line {
        what: "clock",
        seen,
    }
}

/// The service that validates tokens.
fn host(profile: &Profile) -> Option<&HostName> {
    match profile {
        Profile::Dps { endpoint, .. } => Some(endpoint),
        Profile::Hub { host, .. } => Some(host),
        Profile::Devices(devices) => devices.values().map(|listed| &listed.hub).min(),
        Profile::Certificates(devices) => devices.values().map(|listed| &listed.hub).min(),
    }
}

/// Tokens are refused when the clocks differ by minutes.
pub(super) fn judge(skew: Skew, host: &HostName) -> Seen {
    if !skew.matters() {
        return Seen::Ok(format!("within {CLOCK_SKEW_S} s of that of {host}"));
    }
    Seen::failed(
        format_args!("this machine's clock is {skew} that of {host}"),
        "Set the clock (NTP): tokens are signed by it, and refused when it is off by minutes.",
    )
}
