//! Devices and requests that DPS refuses.

use drawspan_amqp::engine::{Closed, Credit, Event, LinkOptions};
use drawspan_amqp::message::{Body, Message};
use drawspan_amqp::performative::{DeliveryState, SaslCode};
use drawspan_amqp::value::Value;
use drawspan_emulator_hub::test_hub::{SCOPE, key, registration_token, unix_s};
use drawspan_hub::sas;

use super::super::{DPS, HUB, Pair, dps, hub, shared, shared_with};
use super::{
    Device, Heard, REGISTER, STATUS, address, code, device, opened, plain, request, wait_s,
};

#[test]
fn a_device_that_may_not_register_is_refused_at_sasl() {
    let shared = shared(&hub(&[]));
    let good = registration_token("a", 5, 600);
    let resource = sas::registration_resource(SCOPE, "a");
    let expired = sas::sign(&resource, &key(5).derive("a"), unix_s() - 600, None);
    let by_group_key = sas::sign(&resource, &key(5), unix_s() + 600, None);
    for (user, token) in [
        (address("a"), registration_token("a", 7, 600)),
        (address("a"), by_group_key),
        (address("a"), expired),
        (address("a"), String::new()),
        (address("b"), good.clone()),
        (address("a%"), good.clone()),
        ("0neX/registrations/a".into(), good.clone()),
    ] {
        let pair = Pair::open(&shared, DPS, plain(&user, &token));
        let [.., Event::Closed(Closed::SaslRefused(code))] = &pair.events[..] else {
            panic!("{user} {token}: {:?}", pair.events);
        };
        assert_eq!(*code, SaslCode::Auth, "{user}");
    }
    let pair = Pair::open(
        &shared,
        DPS,
        plain(&address("a"), &registration_token("a", 6, 60)),
    );
    assert!(
        matches!(&pair.events[..], [Event::Opened(_)]),
        "{:?}",
        pair.events
    );
}

#[test]
fn only_devices_with_a_token_reach_dps_and_only_hosts_that_there_are() {
    let shared = shared(&hub(&[]));
    let pair = Pair::open(&shared, DPS, None);
    let [.., Event::Closed(Closed::ByPeer(Some(error)))] = &pair.events[..] else {
        panic!("{:?}", pair.events);
    };
    assert_eq!(error.condition.as_str(), "amqp:unauthorized-access");
    assert_eq!(code(error), 401_002);

    let pair = opened(&shared, "other.test", "a");
    let [.., Event::Closed(Closed::ByPeer(Some(error)))] = &pair.events[..] else {
        panic!("{:?}", pair.events);
    };
    assert_eq!(error.condition.as_str(), "amqp:not-found");
}

#[test]
fn a_device_has_no_links_but_its_own() {
    let shared = shared(&hub(&["a"]));
    let mut pair = opened(&shared, HUB, "a");
    let session = pair.client.begin().unwrap();
    let other = address("b");
    for (at, target) in [
        other.as_str(),
        "0neX/registrations/a",
        "$cbs",
        "/devices/a/messages/events",
        "hub/ConsumerGroups/$Default/Partitions/0",
        "",
    ]
    .into_iter()
    .enumerate()
    {
        pair.events.clear();
        let options = if at % 2 == 0 {
            LinkOptions::sender(format!("{at}"), target)
        } else {
            LinkOptions::receiver(format!("{at}"), target, Credit::Auto(1))
        };
        pair.client.attach(session, options).unwrap();
        pair.run();
        let error = pair.events.iter().find_map(|event| match event {
            Event::Detached { error, .. } => error.as_ref(),
            _ => None,
        });
        let error = error.unwrap_or_else(|| panic!("{target}: {:?}", pair.events));
        assert_eq!(
            (error.condition.as_str(), code(error)),
            ("amqp:not-found", 404_201)
        );
    }
}

#[tokio::test]
async fn refused_requests_are_rejected_with_the_services_json() {
    let mut device = device(&shared(&hub(&[])));
    let large = format!(r#"{{"payload":"{}"}}"#, "x".repeat(96 * 1024));
    let argument = ("com.microsoft:argument-error", 400_004);
    let mut not_data = request(REGISTER, None, None, "");
    not_data.body = Body::Value(Value::from("{}"));
    for (message, expected) in [
        (request("iotdps-other", None, None, "{}"), argument),
        (Message::default(), argument),
        (request(STATUS, None, None, ""), argument),
        (
            request(STATUS, Some("4.x"), None, ""),
            ("amqp:not-found", 404_201),
        ),
        (request(REGISTER, None, None, "["), argument),
        (
            request(REGISTER, None, None, r#"{"registrationId":"b"}"#),
            argument,
        ),
        (not_data, argument),
        (
            request(REGISTER, None, None, &large),
            ("amqp:link:message-size-exceeded", 413_001),
        ),
    ] {
        let error = device.refused(&message).await;
        assert_eq!(
            (error.condition.as_str(), code(&error)),
            expected,
            "{error}"
        );
    }
    // The link lives on.
    device.ask(&request(REGISTER, None, None, "{}")).await;
}

#[tokio::test]
async fn a_throttled_device_hears_when_to_come_again() {
    let hub = hub(&[]);
    let mut device = device(&shared_with(&hub, dps(&hub, Some(1))));
    device.ask(&request(REGISTER, None, None, "{}")).await;
    let error = device.refused(&request(REGISTER, None, None, "{}")).await;
    assert_eq!(
        error.condition.as_str(),
        "com.microsoft:device-container-throttled"
    );
    assert_eq!(code(&error), 429_001);
    assert!((1..=60).contains(&wait_s(&error.info.unwrap())));
}

#[tokio::test]
async fn requests_that_wait_are_bounded() {
    let mut device = device(&shared(&hub(&[])));
    // Each link has credit of its own.
    let session = device.pair.client.session_of(device.requests).unwrap();
    let options = LinkOptions::sender("more", address("a"));
    let more = device.pair.client.attach(session, options).unwrap();
    device.pair.run();
    device.pair.events.clear();
    for link in [device.requests, more] {
        for _ in 0..16 {
            device.send_over(link, &request(REGISTER, None, None, "{}"), false);
        }
    }
    // One is carried out, 16 wait.
    let heard = device.hear(15 + 2 * 17).await;
    let refused = heard.iter().filter_map(|heard| match heard {
        Heard::Outcome(_, DeliveryState::Rejected(Some(error))) => Some(code(error)),
        _ => None,
    });
    assert_eq!(refused.collect::<Vec<_>>(), [429_001; 15]);
}

#[tokio::test]
async fn a_request_that_cannot_be_answered_is_not_left_alone() {
    let shared = shared(&hub(&[]));
    let mut pair = opened(&shared, DPS, "a");
    let session = pair.client.begin().unwrap();
    let options = LinkOptions::sender("requests", address("a"));
    let requests = pair.client.attach(session, options).unwrap();
    pair.run();
    pair.events.clear();
    let mut device = Device {
        pair,
        requests,
        answers: requests,
        tags: 0,
    };
    let error = device.refused(&request(REGISTER, None, None, "{}")).await;
    assert_eq!(code(&error), 400_004, "no link for answers");
    // Without an outcome to say so by, the link ends.
    device.send_over(requests, &request(REGISTER, None, None, "{}"), true);
    device.pair.run();
    let detached = device.pair.events.iter().find_map(|event| match event {
        Event::Detached { error, .. } => error.as_ref(),
        _ => None,
    });
    assert_eq!(code(detached.unwrap()), 400_004);
}
