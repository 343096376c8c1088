//! Everything that happens at a hub passes by its observers, in its order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{Credit, DeliveryId, Event as Amqp, LinkId, LinkOptions};
use drawspan_amqp::message::{Message, Properties};
use drawspan_amqp::performative::DeliveryState;
use drawspan_emulator::{Clock, ClockHand, Observer, Running};
use drawspan_hub_model::dps::Allocation;
use drawspan_hub_model::event::{Event, HubEvent};
use serde_json::json;

use super::client::{Client, connect_as, data, device_token, owner, start_with, unix_s};
use super::methods::{Methods, invoke};
use super::twin::Twin;
use crate::dps::{register, token};
use crate::support::{HUB, ask, key};

/// Remembers what it saw.
#[derive(Debug, Default)]
struct Witness(Mutex<Vec<Event>>);

impl Observer for Witness {
    fn observe(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Witness {
    /// Waits until something has happened that is called `name`, and returns everything since this was asked before, as
    /// `name device details`.
    async fn until(&self, name: &str) -> Vec<String> {
        let seen = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                {
                    let mut events = self.0.lock().unwrap();
                    if events.iter().any(|event| event.what.name() == name) {
                        return std::mem::take(&mut *events);
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let seen = seen.await.unwrap_or_else(|_| panic!("no {name}: {self:?}"));
        seen.iter().map(line).collect()
    }
}

fn line(event: &Event) -> String {
    let what = &event.what;
    let of_hub = !matches!(
        what,
        HubEvent::RegistrationRefused { .. } | HubEvent::RegistrationThrottled { .. }
    );
    assert_eq!(
        event.hub.as_ref().map(|hub| hub.as_str()),
        of_hub.then_some(HUB)
    );
    let device = what.device().map_or("-", |device| device.as_str());
    let line = format!("{} {device} {what}", what.name());
    line.trim_end().to_owned()
}

/// A hub that is watched, whose time stands still.
async fn start() -> (Running, Arc<Witness>, ClockHand) {
    let witness = Arc::new(Witness::default());
    let (clock, hand) = Clock::manual(unix_s() * 1_000);
    let running = start_with(&[], |config| {
        config.clock = clock;
        config.observers = vec![Arc::<Witness>::clone(&witness) as Arc<dyn Observer>];
        config.group_key = Some(key(5));
        config.provisioning.allocation = Allocation::Static(config.hubs[0].clone());
        config.provisioning.registrations_per_minute = Some(1);
        config.cloud_to_device.default_ttl_ms = 10 * 60 * 1_000;
    })
    .await;
    (running, witness, hand)
}

fn to_device(id: &str, body: &str) -> Bytes {
    let message = Message {
        properties: Some(Properties {
            to: Some(format!("/devices/{id}/messages/devicebound")),
            ..Properties::default()
        }),
        ..data(body)
    };
    message.to_bytes()
}

async fn delivered(device: &mut Client, of: LinkId) -> DeliveryId {
    let delivery = device.next(|event| match event {
        Amqp::Delivery { link, delivery, .. } if *link == of => Some(*delivery),
        _ => None,
    });
    delivery.await
}

async fn settle(device: &mut Client, link: LinkId, state: DeliveryState) {
    let delivery = delivered(device, link).await;
    device.connection.settle(link, delivery, state).unwrap();
    device.settle_down().await;
}

#[tokio::test]
async fn a_day_of_a_device() {
    let (running, witness, hand) = start().await;

    let created = ask(&running, "PUT", "/devices/a", &[], r#"{"deviceId":"a"}"#).await;
    assert_eq!(created.status, 200, "{created:?}");
    assert_eq!(witness.until("deviceCreated").await, ["deviceCreated a"]);
    let foreign = [("Authorization", "SharedAccessSignature sr=x&sig=x&se=1")];
    ask(&running, "GET", "/devices/a", &foreign, "").await;
    assert_eq!(
        witness.until("authenticationFailed").await,
        ["authenticationFailed - reason=Malformed"]
    );

    // It connects and sends telemetry.
    let mut device = connect_as(&running, &device_token(&running, "a")).await;
    let of_another = LinkOptions::sender("b", "/devices/b/messages/events");
    device.attach(of_another).await.unwrap_err();
    let telemetry = device.telemetry("a").await;
    let hello = data("hello").to_bytes();
    device.deliver(telemetry, 0, &hello).await;
    device.deliver(telemetry, 7, &hello).await;
    assert_eq!(
        witness.until("telemetryRefused").await,
        [
            "accessDenied b reason=NoToken",
            "deviceConnected a protocol=Amqps",
            &format!("telemetryAccepted a bytes={}", hello.len()),
            "telemetryRefused a code=400004",
        ]
    );

    // Its twin.
    let session = device.session;
    let mut twin = Twin::attach(&mut device, session, "a").await;
    let update = json!({ "tags": { "room": 1 }, "properties": { "desired": { "on": true } } });
    ask(&running, "PATCH", "/twins/a", &[], &update.to_string()).await;
    twin.report(&mut device, json!({ "on": true })).await;
    assert_eq!(
        witness.until("twinReported").await,
        [
            "twinUpdated a version=3 tags=true desired=true",
            "twinReported a version=4",
        ]
    );

    // Cloud-to-device messages: one is completed, one rejected; one is abandoned, handed out again, and expires.
    let mut service = connect_as(&running, &owner()).await;
    let commands = LinkOptions::sender("c2d", "/messages/devicebound");
    let commands = service.attach(commands).await.unwrap();
    let address = "/devices/a/messages/devicebound";
    let messages = LinkOptions::receiver("messages", address, Credit::Auto(10));
    let messages = device.attach(messages).await.unwrap();
    service.deliver(commands, 0, &to_device("a", "1")).await;
    settle(&mut device, messages, DeliveryState::Accepted).await;
    service
        .deliver(commands, 0, &to_device("a", "of no use"))
        .await;
    settle(&mut device, messages, DeliveryState::Rejected(None)).await;
    service.deliver(commands, 0, &to_device("b", "")).await;
    service.deliver(commands, 0, &to_device("a", "2")).await;
    settle(&mut device, messages, DeliveryState::Released).await;
    delivered(&mut device, messages).await;
    hand.advance(Duration::from_secs(11 * 60));
    assert_eq!(
        witness.until("c2dExpired").await,
        [
            "c2dEnqueued a sequence=1",
            "c2dDelivered a sequence=1",
            "c2dCompleted a sequence=1",
            "c2dEnqueued a sequence=2",
            "c2dDelivered a sequence=2",
            "c2dRejected a sequence=2",
            "c2dRefused b code=404001",
            "c2dEnqueued a sequence=3",
            "c2dDelivered a sequence=3",
            "c2dAbandoned a sequence=3 delivery_count=1",
            "c2dDelivered a sequence=3",
            "c2dExpired a sequence=3",
        ]
    );

    // Methods: no device, an answer, no answer in time.
    let reboot = || json!({ "methodName": "reboot", "responseTimeoutInSeconds": 30 });
    invoke(&running, "a", reboot()).await;
    let methods = Methods::attach(&mut device, session, "a").await;
    tokio::join!(invoke(&running, "a", reboot()), async {
        let (id, ..) = methods.call(&mut device).await;
        methods.answer(&mut device, id, 200, "").await;
    });
    tokio::join!(invoke(&running, "a", reboot()), async {
        methods.call(&mut device).await;
        hand.advance(Duration::from_secs(31));
    });
    assert_eq!(
        witness.until("methodTimedOut").await,
        [
            "methodFailed a method=reboot code=404103",
            "methodInvoked a method=reboot",
            "methodAnswered a method=reboot status=200",
            "methodInvoked a method=reboot",
            "methodTimedOut a method=reboot",
        ]
    );

    // A newer connection takes its place, which ends when the device is disabled.
    let mut newer = connect_as(&running, &device_token(&running, "a")).await;
    newer.telemetry("a").await;
    let disabled = r#"{"deviceId":"a","status":"disabled"}"#;
    let any = [("If-Match", "*")];
    ask(&running, "PUT", "/devices/a", &any, disabled).await;
    let ended = newer.next(|event| matches!(event, Amqp::Detached { .. }).then_some(()));
    ended.await;
    newer.settle_down().await;
    service.deliver(commands, 0, &to_device("a", "4")).await;
    ask(&running, "DELETE", "/devices/a/commands", &[], "").await;
    let enabled = r#"{"deviceId":"a","status":"enabled"}"#;
    ask(&running, "PUT", "/devices/a", &any, enabled).await;
    ask(&running, "DELETE", "/devices/a", &any, "").await;
    assert_eq!(
        witness.until("deviceDeleted").await,
        [
            "deviceDisconnected a protocol=Amqps reason=Replaced code=409002",
            "deviceConnected a protocol=Amqps",
            "deviceUpdated a",
            "deviceDisabled a",
            "deviceDisconnected a protocol=Amqps reason=DeviceDisabled code=403012",
            "c2dEnqueued a sequence=4",
            "c2dPurged a sequence=4",
            "deviceUpdated a",
            "deviceEnabled a",
            "deviceDeleted a",
        ]
    );

    drop((device, service, newer));

    // The provisioning service takes one registration a minute.
    let good = token("c", &key(5).derive("c"));
    register(&running, "c", &token("c", &key(6))).await;
    register(&running, "c", &good).await;
    register(&running, "c", &good).await;
    assert_eq!(
        witness.until("registrationThrottled").await,
        [
            "registrationRefused - registration=c code=401002",
            "deviceCreated c",
            "registrationAssigned c registration=c substatus=initialAssignment",
            "registrationThrottled - registration=c retry_after_s=60",
        ]
    );

    // A connection that breaks, one that is closed, and the end.
    for (how, reason) in [
        ("breaks", "ConnectionLost code=404104"),
        ("closes", "ClientClosed"),
    ] {
        let mut device = connect_as(&running, &device_token(&running, "c")).await;
        device.telemetry("c").await;
        if how == "closes" {
            device.close().await;
        }
        drop(device);
        assert_eq!(
            witness.until("deviceDisconnected").await,
            [
                "deviceConnected c protocol=Amqps".to_owned(),
                format!("deviceDisconnected c protocol=Amqps reason={reason}"),
            ]
        );
    }
    let mut device = connect_as(&running, &device_token(&running, "c")).await;
    device.telemetry("c").await;
    tokio::join!(running.shutdown(), device.closed());
    assert_eq!(
        witness.until("deviceDisconnected").await,
        [
            "deviceConnected c protocol=Amqps",
            "deviceDisconnected c protocol=Amqps reason=HubStopped code=400029",
        ]
    );
}
