//! Advice about refusals and failures of a hub or DPS.

use std::time::Duration;

use drawspan_client::clock_skew;
use drawspan_hub::{Failure, FailureKind, HostName};
use drawspan_net::Connector;

use crate::limits::PROBE_TIMEOUT_MS;

/// Advice on a failure of a service at `host`: one sentence or two.
pub(super) async fn for_service(
    failure: &Failure,
    host: &HostName,
    connector: &Connector,
) -> String {
    if failure.kind == FailureKind::Unauthorized
        && let Some(clock) = clock_of(connector, host).await
    {
        return clock;
    }
    word(failure.kind, &failure.message).to_owned()
}

/// Advice if this machine's clock is the fault. Asks the host for the time.
pub(super) async fn clock_of(connector: &Connector, host: &HostName) -> Option<String> {
    let limit = Duration::from_millis(PROBE_TIMEOUT_MS);
    let skew = tokio::time::timeout(limit, clock_skew::skew(connector, host)).await;
    let skew = skew.ok()??;
    skew.matters().then(|| {
        format!(
            "This machine's clock is {skew} that of {host}, and tokens are signed by it: set the clock (NTP)."
        )
    })
}

fn word(kind: FailureKind, message: &str) -> &'static str {
    match kind {
        FailureKind::Unauthorized => {
            "Check the connection string: name and key of a policy of this hub, with the right ServiceConnect (`service` and `iothubowner` have it)."
        }
        FailureKind::Forbidden => {
            "The policy lacks the right ServiceConnect; `service` and `iothubowner` have it."
        }
        FailureKind::DeviceNotFound => {
            "Ids are case-sensitive; `drawspan hub list` shows those of the hub. A device that registers through DPS is there after its first message."
        }
        FailureKind::DeviceNotOnline => {
            "The device is not connected, or its methods have no subscription: at the bridge, subscribe with PUT /devices/{id}/methods/sub."
        }
        FailureKind::QueueFull => {
            "50 messages wait for the device already: it must take some first, or they must expire."
        }
        FailureKind::Throttled | FailureKind::QuotaExceeded | FailureKind::ResourceLimit => {
            "The hub is asked more than its edition allows: try again later."
        }
        FailureKind::HubUnreachable => for_unreachable(message),
        FailureKind::HubNotFound => "Check the host name in the connection string.",
        FailureKind::MessageTooLarge => {
            "A message to a device has 64 KB at most, a method's payload 128 KB."
        }
        FailureKind::InvalidRequest => "The hub does not take this; see its message.",
        FailureKind::NotFound => {
            "There is no such event endpoint or consumer group: check EntityPath and --group."
        }
        FailureKind::Timeout => {
            "Nothing was heard in time: try again; the device or the hub may be busy."
        }
        _ => "Try again; if it stays, ask the hub's operator with the message above.",
    }
}

/// Advice on a connection that failed, by the words of the failure.
pub(super) fn for_unreachable(message: &str) -> &'static str {
    const KINDS: [(&[&str], &str); 6] = [
        (
            &["UnknownIssuer", "BadSignature", "CaUsedAsEndEntity"],
            "Its certificate is not from an authority that is trusted here: give that authority with --ca FILE (the emulator's is ca.pem in its state directory); without --ca the system's count.",
        ),
        (
            &["NotValidForName"],
            "What answers there has a certificate for another name: check the host name, and --connect.",
        ),
        (
            &["Expired", "NotValidYet"],
            "Its certificate is not valid at this time: check this machine's clock, then the certificate.",
        ),
        (
            &["proxy"],
            "Check the proxy (--proxy, HTTPS_PROXY) and what it lets through.",
        ),
        (
            &[
                "failed to lookup",
                "lookup address",
                "Name or service",
                "nodename",
            ],
            "The name is not known here: check it, or say where it leads with --connect NAME:PORT=ADDR:PORT.",
        ),
        (
            &["refused"],
            "Nothing listens there: is it running? Where it is on other ports, say so with --connect NAME:PORT=ADDR:PORT.",
        ),
    ];
    let found = KINDS
        .iter()
        .find(|(signs, _)| signs.iter().any(|sign| message.contains(sign)));
    found.map_or(
        "Check the network: hubs are spoken to on ports 5671 and 443, DPS on 443.",
        |(_, word)| word,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_not_to_be_reached_has_its_own_advice() {
        let check = |message: &str, expected: &str| {
            assert!(for_unreachable(message).contains(expected), "{message}");
        };
        check(
            "TLS with h:443 failed: invalid peer certificate: UnknownIssuer",
            "--ca FILE",
        );
        check(
            "TLS with h:443 failed: invalid peer certificate: certificate not valid for name \"h\"; NotValidForName",
            "another name",
        );
        check(
            "cannot reach h:443: Connection refused (os error 111)",
            "Nothing listens",
        );
        check(
            "cannot reach h:443: failed to lookup address information",
            "name is not known",
        );
        check("h:443 did not answer within 20 s", "Check the network");
    }
}
