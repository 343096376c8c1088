use drawspan_amqp::message::Header;

use super::*;

const NOW: u64 = 1_000_000;

fn sent(to: &str) -> Message {
    Message {
        properties: Some(Properties {
            to: Some(to.to_owned()),
            ..Properties::default()
        }),
        ..Message::from_data("x")
    }
}

fn read_it(message: &Message) -> Result<(DeviceId, NewMessage), Error> {
    read(0, &message.to_bytes(), &Limits::default(), NOW)
}

fn taken(message: &Message) -> (NewMessage, Message) {
    let (_, new) = read_it(message).unwrap();
    let outgoing = Message::decode(&new.payload).unwrap();
    (new, outgoing)
}

#[test]
fn a_message_names_its_device_in_any_spelling() {
    for to in [
        "/devices/a%23/messages/devicebound",
        "/devices/a%23/messages/deviceBound",
        "devices/a%23/Messages/DeviceBound/",
        "amqps://hub.test:5671/devices/a%23/messages/devicebound",
    ] {
        let (device, new) = read_it(&sent(to)).unwrap();
        assert_eq!(device.as_str(), "a#", "{to}");
        let outgoing = Message::decode(&new.payload).unwrap();
        let to = outgoing.properties.unwrap().to.unwrap();
        assert_eq!(to, "/devices/a%23/messages/deviceBound");
    }
}

#[test]
fn a_message_to_nobody_is_refused() {
    let mut nameless = sent("");
    nameless.properties = None;
    let cases = [
        (nameless, "amqp:not-allowed", "400003"),
        (sent("/devices/a"), "amqp:not-allowed", "400003"),
        (sent("/devices/a/twin"), "amqp:not-allowed", "400003"),
        (sent("/messages/devicebound"), "amqp:not-allowed", "400003"),
        (
            sent("/devices/a/modules/m/messages/devicebound"),
            "amqp:not-implemented",
            "400003",
        ),
    ];
    for (message, condition, code) in cases {
        let error = read_it(&message).unwrap_err();
        assert_eq!(error.condition.as_str(), condition, "{message:?}");
        assert!(error.description.unwrap().contains(code), "{message:?}");
    }
}

#[test]
fn ids_keep_their_type_and_properties_become_text() {
    let uuid: [u8; 16] = std::array::from_fn(|at| at as u8);
    let mut message = sent("/devices/a/messages/devicebound");
    let properties = message.properties.as_mut().unwrap();
    properties.message_id = Some(MessageId::Uuid(uuid));
    properties.correlation_id = Some(MessageId::Ulong(7));
    properties.group_id = Some("g".into());
    let values = [
        ("text", Value::from("x"), "x"),
        ("none", Value::Null, ""),
        ("truth", Value::Bool(true), "true"),
        ("int", Value::Int(-3), "-3"),
        ("ulong", Value::Ulong(u64::MAX), "18446744073709551615"),
        ("double", Value::Double(1.5), "1.5"),
        ("time", Value::Timestamp(0), "1970-01-01T00:00:00.0000000Z"),
        (
            "uuid",
            Value::Uuid(uuid),
            "00010203-0405-0607-0809-0a0b0c0d0e0f",
        ),
    ];
    let mut map = Map::new();
    for (name, value, _) in &values {
        map.push(*name, value.clone());
    }
    message.application_properties = Some(map);
    let (new, outgoing) = taken(&message);
    let text = "00010203-0405-0607-0809-0a0b0c0d0e0f";
    assert_eq!(new.message_id.as_deref(), Some(text));
    let properties = outgoing.properties.unwrap();
    assert_eq!(properties.message_id, Some(MessageId::Uuid(uuid)));
    assert_eq!(properties.correlation_id, Some(MessageId::Ulong(7)));
    assert_eq!(properties.group_id, None);
    let map = outgoing.application_properties.unwrap();
    for (name, _, expected) in values {
        assert_eq!(map.get(name), Some(&Value::from(expected)), "{name}");
    }
}

#[test]
fn expiry_comes_from_the_message_or_its_header() {
    let mut message = sent("/devices/a/messages/devicebound");
    let (new, outgoing) = taken(&message);
    assert_eq!(new.expires_unix_ms, None);
    assert_eq!(outgoing.properties.unwrap().absolute_expiry_time, None);
    message.header = Some(Header {
        ttl_ms: Some(500),
        ..Header::default()
    });
    assert_eq!(taken(&message).0.expires_unix_ms, Some(NOW + 500));
    message.properties.as_mut().unwrap().absolute_expiry_time = Some(77);
    let (new, outgoing) = taken(&message);
    assert_eq!(new.expires_unix_ms, Some(77));
    assert_eq!(outgoing.properties.unwrap().absolute_expiry_time, Some(77));
    assert_eq!(outgoing.header, None, "it concerns the service's hop only");
}

#[test]
fn what_a_device_cannot_take_is_refused() {
    let good = || sent("/devices/a/messages/devicebound");
    let with = |name: &str, value: Value| Message {
        application_properties: Some(Map(vec![(Value::from(name), value)])),
        ..good()
    };
    let mut long_id = good();
    long_id.properties.as_mut().unwrap().message_id = Some("x".repeat(129).into());
    let bad = [
        with("iothub-ack", Value::from("sometimes")),
        with("list", Value::List(vec![])),
        Message {
            body: Body::Value(Value::Int(1)),
            ..good()
        },
        Message {
            body: Body::Sequence(vec![]),
            ..good()
        },
        long_id,
    ];
    // A sequence section without entries cannot be seen on the wire.
    for message in bad
        .iter()
        .filter(|message| message.body != Body::Sequence(vec![]))
    {
        let error = read_it(message).unwrap_err();
        assert_eq!(
            error.condition.as_str(),
            "com.microsoft:argument-error",
            "{message:?}"
        );
    }
    for (name, ack) in [("full", Ack::Full), ("POSITIVE", Ack::Positive)] {
        let (new, _) = taken(&with("iothub-ack", Value::from(name)));
        assert_eq!(new.ack, ack);
    }
    let text = Message {
        body: Body::Value(Value::from("hello")),
        ..good()
    };
    assert_eq!(taken(&text).1.body, Body::Data(vec!["hello".into()]));
    let large = Message::from_data(vec![0; 64 * 1024 + 1]);
    let large = Message {
        body: large.body,
        ..good()
    };
    let error = read_it(&large).unwrap_err();
    assert_eq!(error.condition.as_str(), "amqp:link:message-size-exceeded");
    assert_eq!(
        read(1, &good().to_bytes(), &Limits::default(), NOW)
            .unwrap_err()
            .condition
            .as_str(),
        "amqp:not-implemented"
    );
}
