//! What a newcomer gets wrong first: key, id scope, address.

use std::time::Duration;

use drawspan_client::KeyPair;
use drawspan_gateway::{DeviceError, DeviceGateway as _};
use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, HostName, SymmetricKey, Telemetry};
use drawspan_runtime::Gateway;
use drawspan_settings::{Enrollment, Profile};
use tokio::time::{Instant, timeout};

use crate::stand::{HUB, Stand, id, policy, soon};

/// Sends with time for much more than an answer takes.
async fn send(bridge: &Gateway) -> DeviceError {
    let message = Telemetry::json("{}");
    let deadline = Instant::now() + Duration::from_secs(600);
    let sent = bridge.send(id("first-1"), message, deadline);
    let sent = timeout(Duration::from_secs(60), sent).await;
    sent.unwrap().unwrap_err()
}

fn dps(stand: &Stand, endpoint: &str, id_scope: Option<&str>, key: Option<&[u8]>) -> Profile {
    let dps = stand.emulator.dps();
    let right = || dps.groups()[0].primary.clone();
    let wrong = |bytes: &[u8]| SymmetricKey::from_bytes(bytes).unwrap();
    Profile::Dps {
        endpoint: HostName::parse(endpoint).unwrap(),
        id_scope: id_scope.unwrap_or(dps.id_scope()).to_owned(),
        group: Enrollment::Keys(KeyPair::single(key.map_or_else(right, wrong))),
    }
}

#[tokio::test]
async fn a_caller_is_told_at_once_why_dps_refuses() {
    let check = async |id_scope: Option<&str>, key: Option<&[u8]>, code: u32, advice: &str| {
        let stand = Stand::start(&[]).await;
        let (bridge, _) = stand.bridge_of(dps(&stand, HUB, id_scope, key), None);
        for attempt in 0..2 {
            let error = send(&bridge).await;
            let DeviceError::RefusedUntil { failure, .. } = &error else {
                panic!("{error:?}");
            };
            assert_eq!(failure.code.map(|it| it.number()), Some(code), "{attempt}");
            assert!(failure.message.contains(advice), "{failure}");
        }
        let readiness = bridge.readiness();
        let codes: Vec<_> = readiness.problems.iter().map(|it| it.code()).collect();
        assert_eq!(codes, ["dps-refuses-credentials"]);
        bridge.connection_status(id("first-1")).await.unwrap()
    };
    let status = check(None, Some(&[7; 32]), 401_002, "enrollment group's key").await;
    let bad_credential = ConnectionStatusReason::BadCredential;
    assert_eq!(
        status,
        Some((ConnectionStatus::Disconnected, bad_credential))
    );
    check(Some("0ne0000WRONG"), None, 404_201, "check the id scope").await;
}

#[tokio::test]
async fn a_caller_is_told_soon_that_dps_was_never_there() {
    let stand = Stand::start(&[]).await;
    // No such name exists (RFC 6761).
    let (bridge, _) = stand.bridge_of(dps(&stand, "dps.invalid", None, None), None);
    let error = send(&bridge).await;
    let DeviceError::HubUnreachable { why, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(
        why.as_deref()
            .is_some_and(|why| why.contains("dps.invalid")),
        "{why:?}"
    );
    let readiness = bridge.readiness();
    assert_eq!(readiness.problems[0].code(), "dps-unreachable");
}

#[tokio::test]
async fn a_caller_is_told_soon_that_what_is_there_says_nothing() {
    let stand = Stand::start(&[]).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let check = async |profile: Profile, code: &str| {
        let bridge = stand.bridge_at(address, profile);
        let error = send(&bridge).await;
        let DeviceError::HubUnreachable { why, .. } = &error else {
            panic!("{error:?}");
        };
        let why = why.as_deref().unwrap_or_default();
        assert!(why.starts_with("no answer from localhost"), "{why}");
        let codes: Vec<_> = bridge
            .readiness()
            .problems
            .iter()
            .map(|it| it.code())
            .collect();
        assert_eq!(codes, [code]);
        bridge
    };
    let hub = Profile::of_hub(&policy(&stand.emulator, "device"));
    check(hub, "hub-silent").await;
    let bridge = check(dps(&stand, HUB, None, None), "dps-silent").await;
    // Registrations by request are no exception.
    let registered = bridge.register(id("other-1"), None, soon()).await;
    let error = registered.unwrap_err();
    assert!(
        matches!(error, DeviceError::HubUnreachable { .. }),
        "{error:?}"
    );
}
