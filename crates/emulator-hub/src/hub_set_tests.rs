use std::sync::Arc;

use drawspan_hub::{HostName, SymmetricKey};
use drawspan_hub_model::groups::ConsumerGroups;
use drawspan_hub_model::limits::Limits;
use drawspan_hub_model::policy::Policies;
use drawspan_hub_model::registry::Registry;
use drawspan_hub_model::throttle::RateLimits;
use drawspan_segment_log::{LogLimits, TelemetryLog};

use super::{HubSet, Served};
use crate::clock::Clock;
use crate::hub::{Hub, Parts};
use crate::observe::Events;

fn set(names: &[&str]) -> HubSet {
    let hub = |name: &&str| {
        Arc::new(Hub::new(Parts {
            host: HostName::parse(name).unwrap(),
            clock: Clock::system(),
            connections: crate::connections::Connections::new(Clock::system()),
            limits: Limits::default(),
            rate_limits: RateLimits::default(),
            events: Events::new(Clock::system(), Vec::new()),
            created_unix_ms: 0,
            policies: Policies {
                key: SymmetricKey::from_bytes(&[1; 32]).unwrap(),
            },
            authorities: drawspan_hub_model::x509::Authorities::default(),
            groups: ConsumerGroups::new(&[], &Limits::default()).unwrap(),
            registry: Registry::default(),
            messages: drawspan_hub_model::c2d::CloudToDevice::default(),
            mqtt_sessions: Vec::new(),
            uploads: drawspan_hub_model::uploads::Uploads::default(),
            storage: crate::test_hub::storage(&Clock::system()),
            store: None,
            log: Arc::new(TelemetryLog::open(None, 1, LogLimits::default()).unwrap()),
        }))
    };
    HubSet::new(
        names.iter().map(hub).collect(),
        Some(HostName::parse("dps.test").unwrap()),
    )
}

#[test]
fn a_name_of_hub_and_service_is_the_hubs() {
    let found = set(&["dps.test"]).select(Some("DPS.test"), None);
    assert!(matches!(found, Served::Hub(_)), "{found:?}");
}

#[test]
fn names_find_their_hub() {
    let check = |names: &[&str], named: Option<&str>, sni: Option<&str>, expected: &str| {
        let found = match set(names).select(named, sni) {
            Served::Hub(hub) => hub.host().to_string(),
            Served::Dps => "DPS".to_owned(),
            Served::Nothing => "nothing".to_owned(),
        };
        assert_eq!(found, expected, "{names:?} {named:?} {sni:?}");
    };
    let two = ["a.test", "b.test"];
    check(&two, Some("b.test"), None, "b.test");
    check(&two, Some("B.Test:8443"), Some("a.test"), "b.test");
    check(&two, Some("DPS.test"), None, "DPS");
    check(&two, Some("c.test"), Some("a.test"), "nothing");
    check(&two, Some("localhost:8443"), Some("b.test"), "b.test");
    check(&two, Some("127.0.0.1:5671"), None, "a.test");
    check(&two, Some("[::1]:443"), Some("localhost"), "a.test");
    check(&two, Some("::1"), None, "a.test");
    check(&two, None, Some("b.test"), "b.test");
    check(&two, None, None, "a.test");
    check(&two, Some(""), None, "a.test");
    check(
        &["a.test", "localhost"],
        Some("localhost"),
        Some("a.test"),
        "localhost",
    );
}
