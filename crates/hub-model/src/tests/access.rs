//! Access control, as a table.

use drawspan_hub::{HostName, SymmetricKey, sas};

use super::{fresh, id, key, spec};
use crate::access::{Denied, Grant, verify};
use crate::device::{Authentication, AuthenticationSpec, DeviceStatus};
use crate::policy::{Policies, Right};
use crate::registry::Registry;

const NOW_S: u64 = 1_700_000_000;
const POLICY_KEY: u8 = 50;

fn host() -> HostName {
    HostName::parse("contoso.test").unwrap()
}

/// Devices `a` (keys 1 and 101), `d%41` (keys 2 and 102), `off` (disabled), `cert` (no keys).
fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.create(spec("a"), fresh(1), 0).unwrap();
    registry.create(spec("d%41"), fresh(2), 0).unwrap();
    let mut off = spec("off");
    off.status = DeviceStatus::Disabled;
    registry.create(off, fresh(3), 0).unwrap();
    let mut cert = spec("cert");
    cert.authentication = AuthenticationSpec::Other(Authentication::CertificateAuthority);
    registry.create(cert, fresh(4), 0).unwrap();
    registry
}

fn grant(token: &str) -> Result<Grant, Denied> {
    verify(
        token,
        &host(),
        &Policies {
            key: key(POLICY_KEY),
        },
        &registry(),
        &super::presented(NOW_S),
    )
}

fn token(resource: &str, key: &SymmetricKey, policy: Option<&str>) -> String {
    sas::sign(resource, key, NOW_S + 3600, policy)
}

#[test]
fn what_each_policy_may() {
    use Right::{DeviceConnect, RegistryRead, RegistryWrite, ServiceConnect};
    let table: [(&str, &[Right]); 5] = [
        (
            "iothubowner",
            &[RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect],
        ),
        ("service", &[ServiceConnect]),
        ("device", &[DeviceConnect]),
        ("registryRead", &[RegistryRead]),
        ("registryReadWrite", &[RegistryRead, RegistryWrite]),
    ];
    for (policy, rights) in table {
        let grant = grant(&token("contoso.test", &key(POLICY_KEY), Some(policy))).unwrap();
        for right in [RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect] {
            let expected = if rights.contains(&right) {
                Ok(())
            } else {
                Err(Denied::MissingRight)
            };
            assert_eq!(
                grant.allows(right, &host(), "/devices/a"),
                expected,
                "{policy} {right:?}"
            );
        }
    }
}

#[test]
fn a_device_key_is_for_that_device_only() {
    for number in [1, 101] {
        let grant = grant(&token("contoso.test%2Fdevices%2Fa", &key(number), None)).unwrap();
        assert_eq!(grant.device().unwrap().id, id("a"));
        let allows = |right, path| grant.allows(right, &host(), path);
        assert_eq!(allows(Right::DeviceConnect, "/devices/a"), Ok(()));
        assert_eq!(
            allows(Right::DeviceConnect, "/devices/a/messages/events"),
            Ok(())
        );
        assert_eq!(
            allows(Right::DeviceConnect, "/devices/A"),
            Err(Denied::MissingRight)
        );
        assert_eq!(
            allows(Right::DeviceConnect, "/devices/ab"),
            Err(Denied::MissingRight)
        );
        assert_eq!(
            allows(Right::DeviceConnect, "/messages/events"),
            Err(Denied::MissingRight)
        );
        assert_eq!(
            allows(Right::RegistryRead, "/devices/a"),
            Err(Denied::MissingRight)
        );
    }
}

#[test]
fn a_scope_covers_what_is_below_it() {
    let owner =
        |resource: &str| grant(&token(resource, &key(POLICY_KEY), Some("iothubowner"))).unwrap();
    let service = Right::ServiceConnect;
    assert_eq!(
        owner("contoso.test/devices").allows(service, &host(), "/devices/a"),
        Ok(())
    );
    assert_eq!(
        owner("contoso.test/devices").allows(service, &host(), "/messages/events"),
        Err(Denied::OutOfScope)
    );
    assert_eq!(
        owner("contoso.test/devices/a").allows(service, &host(), "/devices/ab"),
        Err(Denied::OutOfScope)
    );
    let events = owner("sb%3A%2F%2FContoso.test%2Fcontoso%2FConsumerGroups%2F%24default");
    assert_eq!(
        events.allows(
            service,
            &host(),
            "/contoso/consumergroups/$Default/Partitions/0"
        ),
        Ok(())
    );
}

#[test]
fn who_is_denied() {
    let owner = Some("iothubowner");
    let check = |token: String, expected: Denied| {
        assert_eq!(grant(&token).unwrap_err(), expected, "{token}")
    };
    check("Bearer abc".into(), Denied::Malformed);
    check(String::new(), Denied::Malformed);
    check(
        token("other.test", &key(POLICY_KEY), owner),
        Denied::OtherHost,
    );
    check(
        token("contoso.test.evil", &key(POLICY_KEY), owner),
        Denied::OtherHost,
    );
    check(token("contoso.test", &key(9), owner), Denied::WrongKey);
    check(
        token("contoso.test", &key(POLICY_KEY), Some("nobody")),
        Denied::UnknownPolicy,
    );
    check(
        token("contoso.test", &key(POLICY_KEY), None),
        Denied::UnknownDevice,
    );
    check(
        token("contoso.test/devices/x", &key(1), None),
        Denied::UnknownDevice,
    );
    check(
        token("contoso.test/devices/a", &key(2), None),
        Denied::WrongKey,
    );
    check(
        token("contoso.test/devices/a", &key(POLICY_KEY), None),
        Denied::WrongKey,
    );
    check(
        token("contoso.test/devices/cert", &key(4), None),
        Denied::WrongKey,
    );
    check(
        token("contoso.test/devices/off", &key(3), None),
        Denied::DeviceDisabled,
    );
    check(
        token("contoso.test/devices/a/modules/m", &key(1), None),
        Denied::UnknownModule,
    );
    let altered =
        token("contoso.test/devices/a", &key(1), None).replace("devices/a", "devices/off");
    check(altered, Denied::WrongKey);
}

#[test]
fn an_id_with_a_percent_sign_is_found_in_every_encoding() {
    for resource in [
        "contoso.test/devices/d%41",
        "contoso.test%2Fdevices%2Fd%2541",
        "contoso.test%2Fdevices%2Fd%252541",
    ] {
        let grant = grant(&token(resource, &key(2), None)).unwrap();
        assert_eq!(grant.device().unwrap().id, id("d%41"), "{resource}");
        assert_eq!(
            grant.allows(Right::DeviceConnect, &host(), "/devices/d%41"),
            Ok(()),
            "{resource}"
        );
    }
}

#[test]
fn time_is_forgiven_for_five_minutes() {
    let at = |expiry| {
        grant(&sas::sign(
            "contoso.test",
            &key(POLICY_KEY),
            expiry,
            Some("service"),
        ))
    };
    assert!(at(NOW_S - 300).is_ok());
    assert_eq!(at(NOW_S - 301).unwrap_err(), Denied::Expired);
    assert_eq!(at(NOW_S - 300).unwrap().expires_unix_s(), NOW_S - 300);
}

#[test]
fn an_event_hubs_client_signs_with_the_keys_text() {
    // The token is signed by the base64 text's bytes, here given as the key itself.
    let text_key = SymmetricKey::from_bytes(key(POLICY_KEY).to_base64().as_bytes()).unwrap();
    assert!(
        grant(&token(
            "sb://contoso.test/contoso",
            &text_key,
            Some("iothubowner")
        ))
        .is_ok()
    );
}
