use super::{fresh, id, key, spec};
use crate::device::{Authentication, AuthenticationSpec, DeviceStatus};
use crate::groups::{ConsumerGroups, InvalidGroups};
use crate::limits::Limits;
use crate::registry::{Counts, IfMatch, Registry, RegistryError};

fn keys(authentication: &Authentication) -> [String; 2] {
    match authentication {
        Authentication::Sas { primary, secondary } => [primary.to_base64(), secondary.to_base64()],
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_is_created_once() {
    let mut registry = Registry::default();
    let entry = registry.create(spec("a"), fresh(1), 5).unwrap();
    assert_eq!(
        (&*entry.device.generation_id, entry.device.etag.as_str()),
        ("generation-1", "etag-1")
    );
    assert_eq!(
        keys(&entry.device.authentication),
        [key(1).to_base64(), key(101).to_base64()]
    );
    assert_eq!(entry.device.status_updated_unix_ms, None);
    assert_eq!(
        registry.create(spec("a"), fresh(2), 5).unwrap_err(),
        RegistryError::AlreadyExists(id("a"))
    );
    assert!(
        registry.create(spec("A"), fresh(2), 5).is_ok(),
        "ids differ by case"
    );
    assert_eq!(registry.get(&id("a")).unwrap().device.etag, "etag-1");
}

#[test]
fn an_update_resets_keys_that_it_does_not_name() {
    let mut registry = Registry::default();
    registry.create(spec("a"), fresh(1), 5).unwrap();
    let mut disabled = spec("a");
    disabled.status = DeviceStatus::Disabled;
    let device = registry
        .update(disabled.clone(), &IfMatch::Any, fresh(2), 7)
        .unwrap()
        .device;
    assert_eq!(
        (&*device.generation_id, device.etag.as_str()),
        ("generation-1", "etag-2")
    );
    assert_eq!(
        keys(&device.authentication),
        [key(2).to_base64(), key(102).to_base64()]
    );
    assert_eq!(
        (device.status, device.status_updated_unix_ms),
        (DeviceStatus::Disabled, Some(7))
    );
    let device = registry
        .update(disabled.clone(), &IfMatch::Any, fresh(3), 9)
        .unwrap()
        .device;
    assert_eq!(
        device.status_updated_unix_ms,
        Some(7),
        "the status did not change"
    );
    disabled.authentication = AuthenticationSpec::Sas(Some((key(8), key(9))));
    let device = registry
        .update(disabled.clone(), &IfMatch::Any, fresh(4), 9)
        .unwrap()
        .device;
    assert_eq!(
        keys(&device.authentication),
        [key(8).to_base64(), key(9).to_base64()]
    );
    disabled.authentication = AuthenticationSpec::Other(Authentication::None);
    registry
        .update(disabled, &IfMatch::Any, fresh(5), 9)
        .unwrap();
    let device = registry
        .update(spec("a"), &IfMatch::Any, fresh(6), 9)
        .unwrap()
        .device;
    assert_eq!(
        keys(&device.authentication),
        [key(6).to_base64(), key(106).to_base64()]
    );
}

#[test]
fn only_the_version_that_is_meant() {
    let mut registry = Registry::default();
    registry.create(spec("a"), fresh(1), 5).unwrap();
    let stale = IfMatch::Etag("other".into());
    let failed = RegistryError::PreconditionFailed {
        existing: "etag-1".into(),
    };
    assert_eq!(
        registry.update(spec("a"), &stale, fresh(2), 5).unwrap_err(),
        failed
    );
    assert_eq!(registry.delete(&id("a"), &stale).unwrap_err(), failed);
    let current = IfMatch::Etag("etag-1".into());
    assert!(registry.update(spec("a"), &current, fresh(2), 5).is_ok());
    assert!(
        registry.delete(&id("a"), &current).is_err(),
        "the update changed it"
    );
    assert!(registry.delete(&id("a"), &IfMatch::Any).is_ok());
    assert_eq!(
        registry.delete(&id("a"), &IfMatch::Any).unwrap_err(),
        RegistryError::NotFound(id("a"))
    );
    let gone = registry
        .update(spec("a"), &IfMatch::Any, fresh(3), 5)
        .unwrap_err();
    assert_eq!(gone, RegistryError::NotFound(id("a")));
}

#[test]
fn every_spelling_of_an_etag() {
    let etag = || IfMatch::Etag("AbC=".into());
    for header in ["\"AbC=\"", "W/\"AbC=\"", " \"AbC=\" "] {
        assert_eq!(IfMatch::parse_header(header), etag(), "{header}");
    }
    // Without quotes it is no condition.
    for header in ["*", "\"*\"", " * ", "AbC=", "W/AbC=", "\"", "\"AbC=", ""] {
        assert_eq!(IfMatch::parse_header(header), IfMatch::Any, "{header}");
    }
    for member in ["AbC=", "\"AbC=\""] {
        assert_eq!(IfMatch::parse_member(member), etag(), "{member}");
    }
    assert_eq!(IfMatch::parse_member("*"), IfMatch::Any);
}

#[test]
fn counts_and_connections() {
    let mut registry = Registry::default();
    for name in ["a", "b", "c"] {
        registry.create(spec(name), fresh(1), 5).unwrap();
    }
    let mut disabled = spec("c");
    disabled.status = DeviceStatus::Disabled;
    registry
        .update(disabled, &IfMatch::Any, fresh(2), 5)
        .unwrap();
    assert!(registry.set_connected(&id("a").into(), true, 10));
    assert!(registry.set_connected(&id("a").into(), true, 20));
    assert!(!registry.set_connected(&id("x").into(), true, 20));
    assert_eq!(
        registry.counts(),
        Counts {
            enabled: 2,
            disabled: 1,
            connected: 1
        }
    );
    registry.set_active(&id("a").into(), 25);
    registry.set_active(&id("x").into(), 25);
    let connection = registry.get(&id("a")).unwrap().connection;
    assert_eq!(
        (connection.updated_unix_ms, connection.last_activity_unix_ms),
        (Some(10), Some(25))
    );
    registry
        .update(spec("a"), &IfMatch::Any, fresh(3), 30)
        .unwrap();
    assert_eq!(
        registry.get(&id("a")).unwrap().connection,
        connection,
        "an update does not disconnect"
    );
    let names: Vec<_> = registry
        .list(2)
        .map(|entry| entry.device.id.to_string())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn consumer_groups_compare_without_case() {
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let groups = ConsumerGroups::new(
        &names(&["Dash-board", "$DEFAULT", "dash-BOARD"]),
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(groups.find("$default"), Some("$Default"));
    assert_eq!(groups.find("DASH-board"), Some("Dash-board"));
    assert_eq!(groups.find("other"), None);
    for name in ["", "a b", "a/b", &"x".repeat(51)] {
        assert_eq!(
            ConsumerGroups::new(&names(&[name]), &Limits::default()).unwrap_err(),
            InvalidGroups::Name(name.into())
        );
    }
    let many: Vec<String> = (0..20).map(|number| format!("group-{number}")).collect();
    assert_eq!(
        ConsumerGroups::new(&many, &Limits::default()).unwrap_err(),
        InvalidGroups::TooMany {
            count: 21,
            most: 20
        }
    );
    assert!(ConsumerGroups::new(&many[..19], &Limits::default()).is_ok());
}
