//! A connection's head without sockets, and a client's packets by hand.

mod clock;
mod modules;
mod mutations;
mod throttling;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_emulator_hub::clock::Clock;
use drawspan_emulator_hub::faults::Faults;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::hub_set::HubSet;
use drawspan_emulator_hub::refusals::Refusals;
use drawspan_emulator_hub::sessions::MethodCall;
use drawspan_emulator_hub::test_hub::{
    HUB, create, device_token, dps, hub, hub_at, key, owner, unix_s,
};
use drawspan_hub::limits::SAS_CONNECTED_GRACE_S;
use drawspan_hub::{DeviceId, HostName};
use drawspan_hub_model::c2d::{Ack, NewMessage};
use drawspan_hub_model::registry::{Change, IfMatch};
use drawspan_net::Transport;
use tokio::sync::oneshot;

use super::*;
use crate::config::Config;
use crate::startup::{self, Opened};

fn shared(hub: &Arc<Hub>) -> Arc<Shared> {
    Arc::new(Shared {
        clock: hub.clock().clone(),
        hubs: HubSet::new(vec![Arc::clone(hub)], None),
        dps: dps(hub, None),
        refusals: Refusals::new("ca.pem".into(), Clock::system()),
        mqtt_5_reason: 0x84,
        faults: Faults::none(),
    })
}

/// Both ends of a connection.
struct Link {
    head: Head,
    server: Server,
    now: Duration,
}

impl Link {
    fn new(shared: &Arc<Shared>) -> Self {
        let reached = Reached {
            sni: None,
            port: 8883,
            transport: Transport::Amqps,
            peer: ([127, 0, 0, 1], 1).into(),
            certificate: None,
        };
        let now = Duration::from_secs(1);
        Self {
            head: Head::new(Arc::clone(shared), reached, mpsc::channel(1).0),
            server: Server::new(limits::MQTT_PACKET_BYTES, now),
            now,
        }
    }

    /// A device's connection that was accepted.
    fn connected(shared: &Arc<Shared>, id: &str) -> Self {
        let mut link = Self::new(shared);
        let answer = link.take(&connect(id, &device_token(id, 600)));
        assert_eq!(answer[..2], [0x20, 2], "{answer:?}");
        assert_eq!(answer[3], 0, "accepted");
        link
    }

    /// What is answered to these bytes.
    fn take(&mut self, bytes: &[u8]) -> Bytes {
        self.head.received(&mut self.server, bytes, self.now);
        self.server.output()
    }

    /// What others made the connection send.
    fn look(&mut self) -> Bytes {
        self.head.look(&mut self.server, self.now);
        self.server.output()
    }
}

fn text(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text].concat()
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut length = body.len();
    let mut packet = vec![first];
    loop {
        let more = length >= 0x80;
        packet.push((length & 0x7f) as u8 | if more { 0x80 } else { 0 });
        length >>= 7;
        if !more {
            break;
        }
    }
    [&packet[..], body].concat()
}

/// CONNECT of a session that goes on, with a keep-alive of a minute.
fn connect(id: &str, token: &str) -> Vec<u8> {
    connect_with(0xc0, id, token)
}

/// The same with other flags.
fn connect_with(flags: u8, id: &str, token: &str) -> Vec<u8> {
    let user = format!("{HUB}/{id}/?api-version=2021-04-12");
    let head = [&b"\0\x04MQTT\x04"[..], &[flags, 0, 60]].concat();
    let texts = [id, &user, token].map(|it| text(it.as_bytes()));
    packet(0x10, &[head, texts.concat()].concat())
}

fn publish(topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
    let body = [&text(topic.as_bytes())[..], &id.to_be_bytes(), payload].concat();
    packet(0x32, &body)
}

fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    let body = [&[0, 1][..], &text(filter.as_bytes()), &[qos]].concat();
    packet(0x82, &body)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|it| it == text.as_bytes())
}

#[test]
fn telemetry_is_acknowledged_once_it_is_stored() {
    let hub = hub(&["d"]);
    let mut link = Link::connected(&shared(&hub), "d");
    let topic = "devices/d/messages/events/a=b&%24.mid=m";
    let two = [publish(topic, 1, b"x"), publish(topic, 2, b"y")].concat();
    assert_eq!(link.take(&two)[..], [0x40, 2, 0, 1, 0x40, 2, 0, 2]);
    let stored = hub.read(0, 0, 10, 10_000).unwrap();
    assert_eq!(stored.len(), 2);
    assert!(contains(&stored[0].message, "m"));
}

#[test]
fn a_newer_connection_takes_the_device_over() {
    let hub = hub(&["d"]);
    let shared = shared(&hub);
    let mut first = Link::connected(&shared, "d");
    let mut second = Link::connected(&shared, "d");
    // Whatever the first one still sends takes nothing back.
    first.take(&subscribe("$iothub/methods/POST/#", 0));
    assert_eq!(first.head.ended(), Some(DisconnectReason::Replaced));
    second.look();
    assert_eq!(second.head.ended(), None);
    first.head.leave(DisconnectReason::Replaced);
    assert!(!hub.sessions().is_empty(), "the second one is there");
    second.head.leave(DisconnectReason::ClientClosed);
    assert!(hub.sessions().is_empty());
}

#[test]
fn a_connection_ends_with_the_right_to_it() {
    type Deed = fn(&Hub);
    let check = |deed: Deed, expected| {
        let hub = hub(&["d"]);
        let mut link = Link::connected(&shared(&hub), "d");
        deed(&hub);
        link.look();
        assert_eq!(link.head.ended(), Some(expected));
    };
    fn change(
        hub: &Hub,
        change: impl FnOnce(&mut drawspan_hub_model::registry::Registry) -> Change,
    ) {
        hub.change_soon(|registry| ((), vec![change(registry)]), |_| {})
            .unwrap();
    }
    check(
        |hub| {
            change(hub, |registry| {
                let id = DeviceId::parse("d").unwrap();
                registry.delete(&id, &IfMatch::Any).unwrap();
                Change::Delete(id)
            });
        },
        DisconnectReason::DeviceDeleted,
    );
    // Created anew under the same name: it is another device.
    check(
        |hub| {
            change(hub, |registry| {
                let id = DeviceId::parse("d").unwrap();
                registry.delete(&id, &IfMatch::Any).unwrap();
                create(registry, "d", "2");
                Change::Delete(id)
            });
        },
        DisconnectReason::DeviceDeleted,
    );
}

#[test]
fn a_connection_ends_with_its_token() {
    let (clock, hand) = Clock::manual(unix_s() * 1_000);
    let hub = hub_at(clock, &["d"]);
    let mut link = Link::connected(&shared(&hub), "d");
    let sweep = |link: &mut Link| {
        link.now = link.head.due().unwrap();
        let now = link.now;
        link.head.on_time(&mut link.server, now);
        link.head.ended()
    };
    hand.advance(Duration::from_secs(600 + SAS_CONNECTED_GRACE_S - 1));
    assert_eq!(sweep(&mut link), None);
    hand.advance(Duration::from_secs(2));
    assert_eq!(sweep(&mut link), Some(DisconnectReason::TokenExpired));
}

#[test]
fn messages_are_handed_out_and_completed_by_their_acknowledgement() {
    let hub = hub(&["d"]);
    let id = DeviceId::parse("d").unwrap();
    let mut link = Link::connected(&shared(&hub), "d");
    link.take(&subscribe("devices/d/messages/devicebound/#", 1));
    let message = NewMessage {
        message_id: None,
        ack: Ack::None,
        expires_unix_ms: None,
        generation_id: "1".into(),
        payload: drawspan_amqp::message::Message::from_data("hello").to_bytes(),
    };
    hub.send_message(&id, message, |_| {}).unwrap();
    let sent = link.look();
    assert!(contains(&sent, "hello"), "{sent:?}");
    assert_eq!(sent[0], 0x32, "QoS 1");
    assert_eq!(hub.message_count(&id), 1);
    // Topic, then the packet's id.
    let topic = usize::from(u16::from_be_bytes([sent[2], sent[3]]));
    link.take(&[0x40, 2, sent[4 + topic], sent[5 + topic]]);
    assert_eq!(hub.message_count(&id), 0);
}

#[test]
fn a_message_that_mqtt_cannot_carry_holds_up_no_other() {
    use drawspan_amqp::message::Message;
    use drawspan_amqp::value::{Map, Value};
    let hub = hub(&["a#b"]);
    let id = DeviceId::parse("a#b").unwrap();
    let mut link = Link::connected(&shared(&hub), "a#b");
    link.take(&subscribe("devices/+/messages/devicebound/#", 1));
    let send = |message: Message| {
        let message = NewMessage {
            message_id: None,
            ack: Ack::None,
            expires_unix_ms: None,
            generation_id: "1".into(),
            payload: message.to_bytes(),
        };
        hub.send_message(&id, message, |_| {}).unwrap();
    };
    // Its properties take more than a topic's 65,535 bytes once they are percent-encoded.
    let mut properties = Map::new();
    properties.push("long", Value::from("ä".repeat(20_000)));
    send(Message {
        application_properties: Some(properties),
        ..Message::from_data("large")
    });
    send(Message::from_data("small"));
    let sent = link.look();
    assert!(!contains(&sent, "large"));
    assert!(contains(&sent, "small"), "{} bytes", sent.len());
    // A topic has no wildcard, whatever the device is called.
    assert!(contains(&sent, "devices/a%23b/messages/devicebound/"));
    assert_eq!(link.head.ended(), None);
}

#[test]
fn a_method_is_answered_by_its_request_id() {
    let hub = hub(&["d"]);
    let id = DeviceId::parse("d").unwrap();
    let mut link = Link::connected(&shared(&hub), "d");
    let call = || {
        let (answer, answered) = oneshot::channel();
        let call = MethodCall {
            name: "reboot".into(),
            payload: "{}".into(),
            answer,
        };
        (call, answered)
    };
    assert!(
        hub.sessions().call(&(&id).into(), call().0).is_err(),
        "it takes no calls"
    );
    link.take(&subscribe("$iothub/methods/POST/#", 0));
    let (made, mut answered) = call();
    hub.sessions().call(&id.into(), made).unwrap();
    assert!(contains(
        &link.look(),
        "$iothub/methods/POST/reboot/?$rid=1"
    ));
    link.take(&publish("$iothub/methods/res/200/?$rid=9", 1, b"{}"));
    assert!(answered.try_recv().is_err(), "the answer to another call");
    link.take(&publish("$iothub/methods/res/201/?$rid=1", 1, b"{\"a\":1}"));
    let answer = answered.try_recv().unwrap().unwrap();
    assert_eq!(
        (answer.status, &answer.payload[..]),
        (201, &b"{\"a\":1}"[..])
    );
}

#[test]
fn subscriptions_go_on_and_end_with_their_device() {
    let hub = hub(&["d"]);
    let shared = shared(&hub);
    let session_present = || {
        let mut link = Link::new(&shared);
        let answer = link.take(&connect("d", &device_token("d", 600)));
        link.take(&subscribe("$iothub/methods/POST/#", 0));
        link.head.leave(DisconnectReason::ConnectionLost);
        answer[2]
    };
    assert_eq!([session_present(), session_present()], [0, 1]);
    let id = DeviceId::parse("d").unwrap();
    hub.change_soon(
        |registry| {
            registry.delete(&id, &IfMatch::Any).unwrap();
            ((), vec![Change::Delete(id.clone())])
        },
        |_| {},
    )
    .unwrap();
    hub.change_soon(|registry| ((), vec![create(registry, "d", "1")]), |_| {})
        .unwrap();
    assert_eq!(session_present(), 0, "another device of the same name");
}

/// An emulator's state, with a hub whose owner has key 1.
fn opened(state: &Path) -> Opened {
    let mut config = Config::new(vec![HostName::parse(HUB).unwrap()]);
    config.state = Some(state.to_path_buf());
    config.policy_key = Some(key(1));
    startup::open(&config).unwrap()
}

/// Connects with these CONNECT flags, subscribes to methods on request, and closes the connection. True if the session was present.
fn session_present(hub: &Arc<Hub>, flags: u8, id: &DeviceId, subscribes: bool) -> bool {
    let mut link = Link::new(&shared(hub));
    let answer = link.take(&connect_with(flags, id.as_str(), &owner(HUB, 600)));
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:?}");
    if subscribes {
        link.take(&subscribe("$iothub/methods/POST/#", 1));
    }
    link.head.leave(DisconnectReason::ConnectionLost);
    answer[2] == 1
}

#[tokio::test]
async fn subscriptions_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ["kept", "deleted", "clean"].map(|id| DeviceId::parse(id).unwrap());
    let [kept, deleted, clean] = &ids;
    let commits = || {
        let mark = std::fs::read_to_string(folder.path().join("registry.mark")).unwrap();
        let count = mark.split_whitespace().nth(4).unwrap();
        count.parse::<u64>().unwrap()
    };
    // Waits until everything before it is stored.
    let change = async |hub: &Hub| {
        let id = DeviceId::parse("deleted").unwrap();
        hub.change(|registry| {
            registry.delete(&id, &IfMatch::Any).unwrap();
            ((), vec![Change::Delete(id.clone())])
        })
        .await
        .unwrap();
        hub.ensure_devices(&[id], None).await.unwrap();
    };
    {
        let opened = opened(folder.path());
        let hub = &opened.hubs[0];
        hub.ensure_devices(&ids, None).await.unwrap();
        for id in &ids {
            assert!(!session_present(hub, 0xc0, id, true));
        }
        assert!(!session_present(hub, 0xc2, clean, true));
        change(hub).await;
        let before = commits();
        assert!(session_present(hub, 0xc0, kept, true));
        change(hub).await;
        assert_eq!(commits(), before + 2, "nothing changed but the device");
        opened.store.as_ref().unwrap().close();
    }
    {
        let opened = opened(folder.path());
        let hub = &opened.hubs[0];
        assert!(!session_present(hub, 0xc0, deleted, false));
        assert!(!session_present(hub, 0xc0, clean, false));
        let mut link = Link::new(&shared(hub));
        let answer = link.take(&connect("kept", &owner(HUB, 600)));
        assert_eq!(answer[2], 1);
        let (answer, _answered) = oneshot::channel();
        let call = MethodCall {
            name: "reboot".into(),
            payload: "{}".into(),
            answer,
        };
        hub.sessions().call(&kept.into(), call).unwrap();
        assert!(contains(
            &link.look(),
            "$iothub/methods/POST/reboot/?$rid=1"
        ));
        // What the store does not take is kept in memory.
        opened.store.as_ref().unwrap().close();
        link.take(&subscribe("$iothub/twin/res/#", 1));
        link.head.leave(DisconnectReason::ConnectionLost);
        assert!(session_present(hub, 0xc0, kept, false));
        assert!(!session_present(hub, 0xc2, kept, false), "a clean session");
        assert!(!session_present(hub, 0xc0, kept, false));
    }
}

/// Whatever a client sends, the head ends the connection or goes on.
#[test]
fn no_bytes_of_a_client_harm_it() {
    let hub = hub(&["d"]);
    let shared = shared(&hub);
    let seeds = [
        connect("d", &device_token("d", 600)),
        publish("devices/d/messages/events/a=b", 3, b"body"),
        publish("$iothub/twin/GET/?$rid=1", 4, b""),
        publish(
            "$iothub/twin/PATCH/properties/reported/?$rid=2",
            5,
            b"{\"a\":[1,null]}",
        ),
        publish("$iothub/methods/res/200/?$rid=1", 6, b"{}"),
        subscribe("devices/d/messages/devicebound/#", 2),
        vec![0xa2, 5, 0, 2, 0, 1, b'a'],
        vec![0x40, 2, 0, 1],
        vec![0xc0, 0],
        vec![0xe0, 0],
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit.max(1) as u64) as usize
    };
    for round in 0..3_000 {
        let mut bytes = seeds[0].clone();
        if round % 3 == 0 {
            let at = below(bytes.len());
            bytes[at] ^= 1 << below(8);
        }
        for _ in 0..below(5) {
            let mut next = seeds[below(seeds.len())].clone();
            if below(2) == 0 {
                let at = below(next.len());
                match below(3) {
                    0 => next[at] = below(256) as u8,
                    1 => next.truncate(at),
                    _ => next.insert(at, below(256) as u8),
                }
            }
            bytes.extend(next);
        }
        let mut link = Link::new(&shared);
        for piece in bytes.chunks(1 + below(200)) {
            link.take(piece);
            if link.head.ended().is_some() {
                break;
            }
        }
        link.head.leave(DisconnectReason::ConnectionLost);
    }
    assert!(hub.sessions().is_empty(), "no session is left behind");
    Link::connected(&shared, "d");
}
