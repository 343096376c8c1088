//! The event endpoint: what an event looks like, what `$management` tells, and where the hub sends those who ask it.

use bytes::Bytes;
use drawspan_amqp::engine::{Credit, LinkId, LinkOptions};
use drawspan_amqp::message::{Body, Header, Message, MessageId, Properties};
use drawspan_amqp::performative::DeliveryState;
use drawspan_amqp::value::{Array, Map, Symbol, Value};
use drawspan_emulator::Running;

use super::client::{
    Client, connect_as, data, device, device_token, hub, owner, policy, reader, start, start_with,
    stored,
};
use crate::support::{HUB, ask};

fn symbol(text: &'static str) -> Value {
    Value::Symbol(Symbol::from_static(text))
}

fn timestamp(value: &Value) -> u64 {
    let Value::Timestamp(unix_ms) = value else {
        panic!("no timestamp: {value:?}");
    };
    u64::try_from(*unix_ms).unwrap()
}

/// A message that uses all there is, with annotations that are the hub's to say among those of the sender.
fn full() -> Message {
    Message {
        header: Some(Header {
            durable: true,
            ..Header::default()
        }),
        delivery_annotations: Some(Map(vec![(symbol("hop"), Value::from("1"))])),
        message_annotations: Some(Map(vec![
            (symbol("dt-subject"), Value::from("thermostat1")),
            (
                symbol("iothub-connection-device-id"),
                Value::from("somebody else"),
            ),
            (symbol("x-opt-offset"), Value::from("99")),
            (symbol("x-opt-mine"), Value::from("mine")),
            (symbol("custom"), Value::Ulong(7)),
        ])),
        properties: Some(Properties {
            message_id: Some(MessageId::Uuid([3; 16])),
            user_id: Some(Bytes::from_static(b"user")),
            to: Some("/devices/a/messages/events".into()),
            correlation_id: Some("c/ä:1".into()),
            content_type: Some(Symbol::from_static("application/json")),
            content_encoding: Some(Symbol::from_static("utf-8")),
            absolute_expiry_time: Some(1_700_000_000_000),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![
            (Value::from("text"), Value::from("žluťoučký 漢字 🚀")),
            (Value::from("empty"), Value::from("")),
            (Value::from("number"), Value::Int(-5)),
            (
                Value::from("iothub-creation-time-utc"),
                Value::from("2021-03-04T05:06:07.0890000Z"),
            ),
        ])),
        body: Body::Data(vec![Bytes::from_static(b"{\"t\":1}")]),
        footer: Some(Map(vec![(symbol("foot"), Value::from("1"))])),
    }
}

async fn send_as_device(running: &Running, id: &str, message: &Message) {
    let mut client = connect_as(running, &device_token(running, id)).await;
    let link = client.telemetry(id).await;
    let state = client.deliver(link, 0, &message.to_bytes()).await;
    assert_eq!(state, DeliveryState::Accepted);
}

#[tokio::test]
async fn an_event_is_the_devices_message_with_the_hubs_stamps() {
    let running = start(&["a"]).await;
    let before = hub(&running).now_unix_ms();
    send_as_device(&running, "a", &full()).await;
    let after = hub(&running).now_unix_ms();
    let event = stored(&running, 1).await.remove(0);
    let sent = full();
    assert_eq!(event.properties, sent.properties);
    assert_eq!(event.application_properties, sent.application_properties);
    assert_eq!(event.body, sent.body);
    assert_eq!(
        (event.header, event.delivery_annotations, event.footer),
        (None, None, None)
    );

    let annotations = event.message_annotations.unwrap();
    let of = |name: &'static str| annotations.get_symbol(name).cloned().unwrap_or(Value::Null);
    for name in ["x-opt-enqueued-time", "iothub-enqueuedtime"] {
        let time = timestamp(&of(name));
        assert!((before..=after).contains(&time), "{name}: {time}");
    }
    let registered = hub(&running).device(&device("a")).unwrap();
    let auth = r#"{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}"#;
    let offset = hub(&running)
        .partition(0)
        .unwrap()
        .last_offset
        .unwrap()
        .to_string();
    let expected = [
        ("x-opt-sequence-number", Value::Long(0)),
        ("x-opt-offset", Value::from(offset.as_str())),
        ("iothub-connection-device-id", Value::from("a")),
        (
            "iothub-connection-auth-generation-id",
            Value::from(&*registered.generation_id),
        ),
        ("iothub-connection-auth-method", Value::from(auth)),
        ("iothub-message-source", Value::from("Telemetry")),
        ("dt-subject", Value::from("thermostat1")),
        ("custom", Value::Ulong(7)),
        ("x-opt-mine", Value::Null),
    ];
    for (name, value) in expected {
        assert_eq!(of(name), value, "{name}");
    }
    assert_eq!(annotations.len(), 10, "{annotations:?}");
}

#[tokio::test]
async fn an_event_names_the_model_of_its_device() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let mut options = LinkOptions::sender("model", "/devices/a/messages/events");
    let model = (symbol("com.microsoft:model-id"), Value::from("dtmi:a:b;1"));
    options.properties = Some(Map(vec![model]));
    let link = client.attach(options).await.unwrap();
    client.deliver(link, 0, &full().to_bytes()).await;
    let [event] = &stored(&running, 1).await[..] else {
        panic!("not one event");
    };
    let annotations = event.message_annotations.as_ref().unwrap();
    let of = |name: &str| annotations.get(name).and_then(Value::as_str);
    assert_eq!(of("dt-dataschema"), Some("dtmi:a:b;1"));
    assert_eq!(
        of("dt-subject"),
        Some("thermostat1"),
        "what the sender wrote stays"
    );
    assert_eq!(event.properties, full().properties);
    assert_eq!(event.body, full().body);
    let twin = ask(&running, "GET", "/twins/a", &[], "").await.json();
    assert_eq!(twin["modelId"], "dtmi:a:b;1");
}

#[tokio::test]
async fn an_event_says_when_a_policy_vouched_for_its_device() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &policy("device")).await;
    let link = client.telemetry("a").await;
    client.deliver(link, 0, &data("x").to_bytes()).await;
    let event = stored(&running, 1).await.remove(0);
    let annotations = event.message_annotations.unwrap();
    let method = annotations.get("iothub-connection-auth-method").unwrap();
    assert!(
        method
            .as_str()
            .unwrap()
            .contains(r#""scope":"hub","type":"sas""#),
        "{method:?}"
    );
}

/// The links of `$management`; answers come at the address that the requests name.
async fn management(client: &mut Client) -> (LinkId, LinkId) {
    let sender = client
        .attach(LinkOptions::sender("m", "$management"))
        .await
        .unwrap();
    let mut receiver = LinkOptions::receiver("m", "$management", Credit::Auto(10));
    receiver.target.address = Some("answers".into());
    (sender, client.attach(receiver).await.unwrap())
}

fn read(fields: &[(&str, &str)], message_id: MessageId) -> Message {
    let text = |(name, value): &(&str, &str)| (Value::from(*name), Value::from(*value));
    Message {
        properties: Some(Properties {
            message_id: Some(message_id),
            reply_to: Some("answers".into()),
            ..Properties::default()
        }),
        application_properties: Some(Map(fields.iter().map(text).collect())),
        body: Body::Value(Value::List(Vec::new())),
        ..Message::default()
    }
}

fn map_of(message: &Message) -> Map {
    match &message.body {
        Body::Value(Value::Map(map)) => map.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn management_tells_of_the_event_hub() {
    let running = start_with(&[], |config| config.partitions = 3).await;
    let mut client = connect_as(&running, &owner()).await;
    let links = management(&mut client).await;
    let fields = [
        ("operation", "READ"),
        ("type", "com.microsoft:eventhub"),
        ("name", "Contoso"),
    ];
    let id = MessageId::Uuid([9; 16]);
    let answer = client.request(links, read(&fields, id.clone())).await;
    assert_eq!((answer.status, answer.description.as_str()), (200, "OK"));
    assert_eq!(
        answer.message.properties.as_ref().unwrap().correlation_id,
        Some(id)
    );
    let map = map_of(&answer.message);
    let ids = ["0", "1", "2"].map(Value::from);
    let created = hub(&running).created_unix_ms();
    let expected = [
        ("name", Value::from("contoso")),
        ("type", Value::from("com.microsoft:eventhub")),
        (
            "created_at",
            Value::Timestamp(i64::try_from(created).unwrap()),
        ),
        ("partition_count", Value::Int(3)),
        (
            "partition_ids",
            Value::Array(Array::new(ids.to_vec()).unwrap()),
        ),
    ];
    for (name, value) in &expected {
        assert_eq!(map.get(name), Some(value), "{name}");
    }
    assert!(
        map.iter().all(|(key, _)| matches!(key, Value::String(_))),
        "{map:?}"
    );
}

#[tokio::test]
async fn management_tells_of_a_partition() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &owner()).await;
    let links = management(&mut client).await;
    let fields = [
        ("operation", "READ"),
        ("type", "com.microsoft:partition"),
        ("name", "contoso"),
        ("partition", "0"),
    ];
    let expect = |map: &Map, last: i64, offset: &str, empty: bool| {
        let expected = [
            ("name", Value::from("contoso")),
            ("type", Value::from("com.microsoft:partition")),
            ("partition", Value::from("0")),
            ("begin_sequence_number", Value::Long(0)),
            ("last_enqueued_sequence_number", Value::Long(last)),
            ("last_enqueued_offset", Value::from(offset)),
            ("is_partition_empty", Value::Bool(empty)),
        ];
        for (name, value) in &expected {
            assert_eq!(map.get(name), Some(value), "{name}");
        }
        timestamp(map.get("last_enqueued_time_utc").unwrap())
    };
    let answer = client.request(links, read(&fields, "1".into())).await;
    assert_eq!(expect(&map_of(&answer.message), -1, "-1", true), 0);
    for body in ["1", "2"] {
        send_as_device(&running, "a", &data(body)).await;
    }
    let info = hub(&running).partition(0).unwrap();
    let answer = client.request(links, read(&fields, "2".into())).await;
    let offset = info.last_offset.unwrap().to_string();
    let time = expect(&map_of(&answer.message), 1, &offset, false);
    assert_eq!(Some(time), info.last_enqueued_unix_ms);
}

#[tokio::test]
async fn management_refuses_what_it_does_not_know() {
    let running = start(&[]).await;
    let mut client = connect_as(&running, &owner()).await;
    let links = management(&mut client).await;
    let (read_it, hub_type) = (("operation", "READ"), ("type", "com.microsoft:eventhub"));
    let (name, partition) = (("name", "contoso"), ("type", "com.microsoft:partition"));
    let cases: [(&[(&str, &str)], i32); 6] = [
        (&[("operation", "WRITE"), hub_type, name], 400),
        (&[read_it, ("type", "com.microsoft:other"), name], 400),
        (&[read_it, hub_type, ("name", "other")], 404),
        (&[read_it, partition, name, ("partition", "1")], 404),
        (&[read_it, partition, name, ("partition", "x")], 404),
        (&[], 400),
    ];
    for (fields, status) in cases {
        let answer = client.request(links, read(fields, "1".into())).await;
        assert_eq!(answer.status, status, "{fields:?}");
        assert_eq!(answer.message.body, Body::Empty);
    }
}

#[tokio::test]
async fn the_hub_itself_sends_readers_to_the_event_endpoint() {
    let running = start(&[]).await;
    let port = running.addresses().amqps.port();
    let mut client = connect_as(&running, &owner()).await;
    for address in [
        "messages/events/$management",
        "amqps://contoso.test/messages/events/$management",
    ] {
        let options = LinkOptions::receiver("r", address, Credit::Manual(0));
        let error = client.attach(options).await.unwrap_err();
        assert_eq!(error.condition.as_str(), "amqp:link:redirect");
        let info = error.info.unwrap();
        let address = format!("amqps://{HUB}:{port}/contoso/$management");
        let expected = [
            ("hostname", Value::from(HUB)),
            ("network-host", Value::from(HUB)),
            ("port", Value::Uint(port.into())),
            ("address", Value::from(address.as_str())),
        ];
        for (name, value) in &expected {
            assert_eq!(info.get_symbol(name), Some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn a_reader_that_asks_is_told_where_its_partition_ends() {
    let running = start(&["a"]).await;
    for body in ["1", "2"] {
        send_as_device(&running, "a", &data(body)).await;
    }
    let info = hub(&running).partition(0).unwrap();
    let mut client = connect_as(&running, &owner()).await;
    let mut options = reader("r", None);
    let metric = Symbol::from_static("com.microsoft:enable-receiver-runtime-metric");
    options.desired_capabilities = Some(vec![metric]);
    let link = client.attach(options).await.unwrap();
    client.grant(link, 1);
    let event = client.receive(link).await;
    let told = event.delivery_annotations.unwrap();
    let offset = info.last_offset.unwrap().to_string();
    assert_eq!(
        told.get_symbol("last_enqueued_sequence_number"),
        Some(&Value::Long(1))
    );
    assert_eq!(
        told.get_symbol("last_enqueued_offset"),
        Some(&Value::from(offset.as_str()))
    );
    let time = timestamp(told.get_symbol("last_enqueued_time_utc").unwrap());
    assert_eq!(Some(time), info.last_enqueued_unix_ms);
    assert!(timestamp(told.get_symbol("runtime_info_retrieval_time_utc").unwrap()) >= time);
}
