//! A service at the emulator: messages and direct methods reach a device, and refusals of the hub are reported.

#![allow(clippy::unwrap_used, reason = "helpers of tests count as tests")]

use std::sync::Arc;
use std::time::Duration;

use drawspan_client::service::{
    Call, EventConfig, EventStart, EventStream, Message, ServiceClient, ServiceConfig, WatchOptions,
};
use drawspan_client::{
    Credentials, DeviceClient, DeviceEvent, DeviceEvents, DeviceOptions, KeyPair, Keys, SendFailure,
};
use drawspan_emulator::{Config, Emulator, Ports, Running};
use drawspan_hub::{
    DeviceId, FailureKind, HostName, Outcome, Receive, SymmetricKey, Telemetry, Wants,
};
use drawspan_net::{Connector, Route, Transport, client_config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::Instant;

const HUB: &str = "one.test";

async fn emulator() -> Running {
    let mut config = Config::new(vec![HostName::parse(HUB).unwrap()]);
    config.ports = Ports {
        amqps: 0,
        mqtts: Some(0),
        https: Some(0),
    };
    config.devices = vec![device("d1")];
    Emulator::start(config).await.unwrap()
}

fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

fn connector(running: &Running) -> Connector {
    let addresses = running.addresses();
    let route = |port, to| Route {
        host: HUB.into(),
        port: Some(port),
        to,
    };
    let routes = vec![route(5_671, addresses.amqps), route(443, addresses.https)];
    let authority = CertificateDer::from_pem_file(running.ca_path()).unwrap();
    Connector::new(client_config(vec![authority]).unwrap(), routes)
}

fn service(running: &Running, policy: &str, key: Option<SymmetricKey>) -> ServiceClient {
    let hub = running.hubs().hubs().first().unwrap();
    let strings = hub.connection_strings();
    let string = strings.iter().find(|string| string.policy == policy);
    let string = string.unwrap();
    let keys = Keys::Policy {
        name: policy.into(),
        keys: KeyPair::single(key.unwrap_or_else(|| string.key.clone())),
    };
    ServiceClient::new(ServiceConfig {
        host: string.host.clone(),
        credentials: Arc::new(Credentials::new(keys)),
        connector: connector(running),
        transport: Transport::Amqps,
    })
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn call(to: &str) -> Call {
    Call {
        device: device(to),
        method: "turn".into(),
        payload: Some(serde_json::value::to_raw_value(&[1, 2]).unwrap()),
        response_timeout_s: 30,
        connect_timeout_s: 0,
    }
}

async fn connect(running: &Running) -> (DeviceClient, DeviceEvents) {
    let hub = running.hubs().hubs().first().unwrap();
    let string = hub.device_connection_string(&device("d1")).unwrap();
    let mut options = DeviceOptions::new(string, connector(running));
    options.wants = Wants {
        methods: true,
        c2d: Receive::Flowing,
        desired: false,
    };
    DeviceClient::connect(options).await.unwrap()
}

/// Takes all messages and doubles what methods are given, until it got so many of both.
async fn serve(mut events: DeviceEvents, until: usize) -> Vec<String> {
    let (mut ids, mut calls) = (Vec::new(), 0);
    while ids.len() < until || calls < until {
        match events.next().await.unwrap() {
            DeviceEvent::Message(message) => {
                ids.push(message.message().message_id.clone().unwrap());
                message.settle(Outcome::Complete).await.unwrap();
            }
            DeviceEvent::Method(method) => {
                calls += 1;
                let payload = method.payload().clone();
                method.answer(201, Some(payload));
            }
            _ => {}
        }
    }
    ids
}

#[tokio::test]
async fn messages_and_calls_reach_their_device() {
    const EACH: usize = 40;
    let running = emulator().await;
    let service = service(&running, "service", None);
    let (_device, events) = connect(&running).await;
    let served = tokio::spawn(serve(events, EACH));
    let messages = async {
        for number in 0..EACH {
            let message = Message {
                message_id: Some(number.to_string()),
                ..Message::new(device("d1"), "{}")
            };
            service.send(&message, soon()).await.unwrap();
        }
    };
    let calls = async {
        for _ in 0..EACH {
            let called = service.call(&call("d1")).await.unwrap();
            assert_eq!(called.status, 201);
            assert_eq!(called.payload.unwrap().get(), "[1,2]");
        }
    };
    tokio::join!(messages, calls);
    let expected: Vec<String> = (0..EACH).map(|number| number.to_string()).collect();
    assert_eq!(served.await.unwrap(), expected);
    running.shutdown().await;
}

#[tokio::test]
async fn what_the_hub_refuses_is_told() {
    let running = emulator().await;
    let service_client = service(&running, "service", None);
    let nobody = Message::new(device("nobody"), "{}");
    let refused = service_client.send(&nobody, soon()).await.unwrap_err();
    let kind = |failure| match failure {
        SendFailure::Refused(failure) => failure.kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(refused), FailureKind::DeviceNotFound);
    let offline = service_client.call(&call("d1")).await.unwrap_err();
    assert_eq!(offline.kind, FailureKind::DeviceNotOnline);

    let stranger = service(
        &running,
        "service",
        Some(SymmetricKey::from_bytes(&[7; 32]).unwrap()),
    );
    let refused = stranger.call(&call("d1")).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Unauthorized);
    for _ in 0..2 {
        let message = Message::new(device("d1"), "{}");
        let refused = stranger.send(&message, soon()).await.unwrap_err();
        assert_eq!(kind(refused), FailureKind::Unauthorized);
    }
    running.shutdown().await;
}

#[tokio::test]
async fn twins_are_read_changed_and_listed() {
    let running = emulator().await;
    let client = service(&running, "service", None);
    let twin = client.twin(&device("d1")).await.unwrap();
    assert!(twin.get().contains("\"deviceId\":\"d1\""), "{twin}");
    let patch = serde_json::value::to_raw_value(&serde_json::json!({"a": 1})).unwrap();
    let twin = client.set_desired(&device("d1"), &patch).await.unwrap();
    let twin: serde_json::Value = serde_json::from_str(twin.get()).unwrap();
    assert_eq!(twin["properties"]["desired"]["a"], 1);
    let refused = client.twin(&device("nobody")).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::DeviceNotFound);
    let page = client.devices(None).await.unwrap();
    let ids: Vec<_> = page
        .devices
        .iter()
        .map(|one| one.device_id.as_str())
        .collect();
    assert_eq!(ids, ["d1"]);
    assert_eq!(page.continuation, None);
    running.shutdown().await;
}

#[tokio::test]
async fn a_list_goes_on_from_page_to_page() {
    let mut config = Config::new(vec![HostName::parse(HUB).unwrap()]);
    config.ports = Ports {
        amqps: 0,
        mqtts: Some(0),
        https: Some(0),
    };
    config.devices = (0..250)
        .map(|number| device(&format!("d{number}")))
        .collect();
    let running = Emulator::start(config).await.unwrap();
    let client = service(&running, "service", None);
    let (mut ids, mut after, mut pages) = (std::collections::BTreeSet::new(), None, 0);
    loop {
        let page = client.devices(after.as_deref()).await.unwrap();
        ids.extend(page.devices.into_iter().map(|one| one.device_id));
        pages += 1;
        after = page.continuation;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((ids.len(), pages), (250, 3));
    running.shutdown().await;
}

#[tokio::test]
async fn telemetry_arrives_as_it_is_sent_more_than_fits_at_once() {
    const EACH: usize = 100;
    let running = emulator().await;
    let client = service(&running, "service", None);
    let endpoint = client.event_endpoint().await.unwrap();
    assert_eq!(
        (endpoint.host.as_str(), endpoint.entity.as_str()),
        (HUB, "one")
    );
    let hub = running.hubs().hubs().first().unwrap();
    let string = hub.connection_strings().pop().unwrap();
    let keys = |key| {
        let name = "service".to_owned();
        let keys = KeyPair::single(key);
        Arc::new(Credentials::new(Keys::Policy { name, keys }))
    };
    let config = EventConfig {
        endpoint,
        credentials: keys(string.key.clone()),
        connector: connector(&running),
    };
    let options = |start| WatchOptions {
        group: "$Default".to_owned(),
        start,
    };
    let mut stream = EventStream::open(config.clone(), options(EventStart::Now))
        .await
        .unwrap();
    assert_eq!(stream.partitions(), 4);
    let (sender, _events) = connect(&running).await;
    for number in 0..EACH {
        let message = Telemetry::json(format!("{{\"n\":{number}}}"));
        sender.send(&message).await.unwrap();
    }
    for number in 0..EACH {
        let event = stream.next().await.unwrap();
        assert_eq!(event.device.as_deref(), Some("d1"));
        assert_eq!(event.body, Some(format!("{{\"n\":{number}}}").into()));
    }
    let mut from_start = EventStream::open(config.clone(), options(EventStart::Oldest))
        .await
        .unwrap();
    let first = from_start.next().await.unwrap();
    assert_eq!(first.body, Some("{\"n\":0}".into()));

    let stranger = SymmetricKey::from_bytes(&[7; 32]).unwrap();
    let refused = EventConfig {
        credentials: keys(stranger.clone()),
        ..config.clone()
    };
    let refused = EventStream::open(refused, options(EventStart::Now)).await;
    assert_eq!(refused.unwrap_err().kind, FailureKind::Unauthorized);
    let refused = service(&running, "service", Some(stranger));
    let refused = refused.event_endpoint().await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Unauthorized);
    let no_group = WatchOptions {
        group: "nobody's".to_owned(),
        start: EventStart::Now,
    };
    let refused = EventStream::open(config, no_group).await.unwrap_err();
    assert!(refused.message.contains("nobody's"), "{refused}");
    running.shutdown().await;
    assert!(stream.next().await.is_err());
}
