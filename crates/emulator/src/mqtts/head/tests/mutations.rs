//! What clients send, damaged: nothing panics, nothing grows, and nothing is left behind.

use drawspan_emulator_hub::test_hub::damage::{Conversation, Random, damage, damage_bytes, rounds};
use drawspan_emulator_hub::test_hub::{SCOPE, create_module, module_token, registration_token};

use super::*;

/// A million in `cargo xtask test --full`.
const ROUNDS: usize = 6_000;
/// Conversations at one hub before it is replaced, so that its log stays short.
const ROUNDS_PER_HUB: usize = 200;
/// Types of packets, their flags, and what topics and property bags are made of.
const TELLING: &[u8] = b"\x00\x10\x30\x32\x34\x40\x62\x82\xa2\xc0\xe0\xff/#+$%=&?";

#[derive(Debug, Default)]
struct Seen {
    taken: usize,
    broken: usize,
    stored: u64,
    registered: u64,
    written_bytes: usize,
}

#[tokio::test]
async fn damaged_conversations_do_no_harm() {
    let rounds = rounds(ROUNDS);
    let (mut seen, mut random) = (Seen::default(), Random::new(1));
    for _ in 0..rounds.div_ceil(ROUNDS_PER_HUB) {
        let hub = hub(&["d", "e"]);
        let create = |registry: &mut _| ((), vec![create_module(registry, "e", "m", "1")]);
        hub.change_soon(create, |_| {}).unwrap();
        let shared = shared(&hub);
        fill(&hub);
        let recorded = conversations();
        for _ in 0..ROUNDS_PER_HUB {
            let mut conversation = random.choice(&recorded).clone();
            for _ in 0..random.below(4) {
                let from: &Conversation = random.choice(&recorded);
                let other = random.choice(from).clone();
                damage(&mut conversation, &other, &mut random, |packet, random| {
                    damage_packet(packet, &other, random);
                });
            }
            talk(&shared, &conversation, &mut random, &mut seen).await;
            assert!(hub.sessions().is_empty(), "something is left behind");
        }
        seen.stored += hub.partition(0).unwrap().next_sequence;
        seen.registered += shared.dps.observations().registrations;
    }
    // Otherwise the damage is too coarse or too fine to test anything.
    let enough = |count: usize| count > rounds / 10;
    assert!(enough(seen.taken) && enough(seen.broken), "{seen:?}");
    assert!(seen.stored > 500 && seen.registered > 500, "{seen:?}");
}

/// Messages that wait for the device, which gets them again and again: it never completes them all.
fn fill(hub: &Arc<Hub>) {
    let id = DeviceId::parse("d").unwrap();
    for _ in 0..10 {
        let message = NewMessage {
            message_id: None,
            ack: Ack::None,
            expires_unix_ms: None,
            generation_id: "1".into(),
            payload: drawspan_amqp::message::Message::from_data("hello").to_bytes(),
        };
        hub.send_message(&id, message, |_| {}).unwrap();
    }
}

/// One conversation, in pieces of any size, with time that passes.
async fn talk(
    shared: &Arc<Shared>,
    conversation: &Conversation,
    random: &mut Random,
    seen: &mut Seen,
) {
    let mut link = Link::new(shared);
    let bytes = conversation.concat();
    let mut rest = &bytes[..];
    while !rest.is_empty() && link.head.ended().is_none() {
        let (piece, later) = rest.split_at((1 + random.below(200)).min(rest.len()));
        rest = later;
        let answered = link.take(piece).len();
        link.head.register(&mut link.server).await;
        let output = answered + link.look().len();
        assert!(output <= limits::MQTT_OUTPUT_BYTES_MAX, "{output}");
        seen.written_bytes += output;
        link.now += Duration::from_millis(random.below(200) as u64);
        link.head.on_time(&mut link.server, link.now);
    }
    match link.head.ended() {
        None | Some(DisconnectReason::ClientClosed | DisconnectReason::Replaced) => {
            seen.taken += 1;
        }
        Some(_) => seen.broken += 1,
    }
    link.head.leave(DisconnectReason::ClientClosed);
}

fn damage_packet(packet: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    // Mostly behind type and length, and with a short length put right, so that more than the head is looked at.
    let head = if random.below(8) == 0 { 0 } else { 2 };
    damage_bytes(packet, head.min(packet.len() - 1), other, TELLING, random);
    if head > 0 && (2..130).contains(&packet.len()) {
        packet[1] = (packet.len() - 2) as u8;
    }
}

/// A device that uses all there is, one that keeps its session and has a will, a module, and one that registers.
fn conversations() -> Vec<Conversation> {
    let events = "devices/d/messages/events/";
    let all = vec![
        connect("d", &device_token("d", 600)),
        subscribe("devices/d/messages/devicebound/#", 1),
        subscribe("$iothub/twin/res/#", 0),
        subscribe("$iothub/twin/PATCH/properties/desired/#", 0),
        subscribe("$iothub/methods/POST/#", 0),
        publish(
            &format!("{events}a=b&%24.ct=application%2Fjson&%24.ce=utf-8"),
            1,
            b"{}",
        ),
        publish("$iothub/twin/GET/?$rid=1", 2, b""),
        publish(
            "$iothub/twin/PATCH/properties/reported/?$rid=2",
            3,
            br#"{"a":{"b":[1,null]}}"#,
        ),
        publish("$iothub/methods/res/200/?$rid=1", 4, b"{}"),
        packet(0xc0, b""),
        packet(0xa2, &[&[0, 9][..], &text(b"$iothub/twin/res/#")].concat()),
        packet(0xe0, b""),
    ];
    let token = device_token("e", 600);
    let user = format!("{HUB}/e/?api-version=2021-04-12&model-id=dtmi%3Aa%3B1");
    let texts = ["e", "devices/e/messages/events/", "bye", &user, &token];
    let texts = texts.map(|it| text(it.as_bytes())).concat();
    let kept = vec![
        packet(0x10, &[&b"\0\x04MQTT\x04\xec\0\x3c"[..], &texts].concat()),
        publish("devices/e/messages/events/", 1, b"x"),
        packet(0x40, &[0, 1]),
    ];
    let user = format!("{SCOPE}/registrations/r/api-version=2019-03-31");
    let token = registration_token("r", 5, 600);
    let texts = ["r", &user, &token].map(|it| text(it.as_bytes())).concat();
    let registering = vec![
        packet(0x10, &[&b"\0\x04MQTT\x04\xc2\0\x3c"[..], &texts].concat()),
        subscribe("$dps/registrations/res/#", 1),
        publish(
            "$dps/registrations/PUT/iotdps-register/?$rid=1",
            1,
            br#"{"registrationId":"r"}"#,
        ),
        publish(
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=4.x",
            2,
            b"",
        ),
    ];
    let module = vec![
        connect("e/m", &module_token("e", "m", 600)),
        subscribe("$iothub/twin/res/#", 0),
        subscribe("devices/e/modules/m/inputs/#", 1),
        publish("devices/e/modules/m/messages/events/a=b", 1, b"x"),
        publish("$iothub/twin/GET/?$rid=1", 2, b""),
        packet(0xe0, b""),
    ];
    vec![all, kept, module, registering]
}
