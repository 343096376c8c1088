//! Telemetry: what is stored, what is refused.

use bytes::{Bytes, BytesMut};
use drawspan_amqp::codec::encode_value;
use drawspan_amqp::engine::{Event, LinkId, LinkOptions};
use drawspan_amqp::message::{BATCH_MESSAGE_FORMAT, Body, Message};
use drawspan_amqp::performative::{DeliveryState, condition};
use drawspan_amqp::value::{Map, Symbol, Value};

use super::client::{Client, body_of, code_in, connect_as, data, device_token, hub, start, stored};

/// Bytes of body in a message whose sections take 5 + 3 more.
const KIB: usize = 1024;

fn section(code: u8, value: &Value) -> Bytes {
    let mut out = BytesMut::new();
    encode_value(&Value::described(u64::from(code), value.clone()), &mut out);
    out.freeze()
}

/// A batch of encoded messages.
fn batch(messages: &[Bytes]) -> Bytes {
    let sections = messages
        .iter()
        .map(|message| section(0x75, &Value::Binary(message.clone())));
    sections.collect::<Vec<_>>().concat().into()
}

/// A message with its sections in the order of the C client: properties, application properties, annotations, data.
fn in_order_of_c(body: &str) -> Bytes {
    let symbol = |text: &'static str| Value::Symbol(Symbol::from_static(text));
    let application = Map(vec![(Value::from("room"), Value::from("12"))]);
    let annotations = Map(vec![(symbol("Diagnostic-Id"), Value::from("0af7"))]);
    [
        section(0x73, &Value::List(vec![Value::from("id-1")])),
        section(0x74, &Value::Map(application)),
        section(0x72, &Value::Map(annotations)),
        section(
            0x75,
            &Value::Binary(Bytes::copy_from_slice(body.as_bytes())),
        ),
    ]
    .concat()
    .into()
}

async fn rejected(client: &mut Client, link: LinkId, format: u32, payload: &[u8]) -> (String, u64) {
    match client.deliver(link, format, payload).await {
        DeliveryState::Rejected(Some(error)) => {
            (error.condition.as_str().to_owned(), code_in(&error))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn single_messages_and_batches_become_one_event_each() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let link = client.telemetry("a").await;
    let plain = |body: &str| data(body).to_bytes();
    let sent = [
        (0, plain("single")),
        (BATCH_MESSAGE_FORMAT, batch(&[plain("batch of one")])),
        (
            BATCH_MESSAGE_FORMAT,
            batch(&[plain("first"), in_order_of_c("second"), plain("third")]),
        ),
        (0, in_order_of_c("single, as C orders it")),
    ];
    for (format, payload) in sent {
        assert_eq!(
            client.deliver(link, format, &payload).await,
            DeliveryState::Accepted
        );
    }
    let messages = stored(&running, 6).await;
    let bodies: Vec<_> = messages.iter().map(body_of).collect();
    assert_eq!(
        bodies,
        [
            "single",
            "batch of one",
            "first",
            "second",
            "third",
            "single, as C orders it"
        ]
    );
    for message in [&messages[3], &messages[5]] {
        let text = |map: &Option<Map>, name: &str| map.as_ref().unwrap().get(name).cloned();
        assert_eq!(
            text(&message.application_properties, "room"),
            Some(Value::from("12"))
        );
        assert_eq!(
            text(&message.message_annotations, "Diagnostic-Id"),
            Some(Value::from("0af7"))
        );
        assert_eq!(
            message.properties.as_ref().unwrap().message_id,
            Some("id-1".into())
        );
    }
}

#[tokio::test]
async fn settled_messages_are_stored_without_a_word() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let link = client.telemetry("a").await;
    for body in ["1", "2"] {
        client.send(link, 0, &data(body).to_bytes(), true).await;
    }
    client.send(link, 0, b"no message", true).await;
    let state = client.deliver(link, 0, &data("3").to_bytes()).await;
    assert_eq!(state, DeliveryState::Accepted);
    let bodies: Vec<_> = stored(&running, 3).await.iter().map(body_of).collect();
    assert_eq!(bodies, ["1", "2", "3"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_rejected_and_nothing_of_it_is_stored() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let link = client.telemetry("a").await;
    let good = data("good").to_bytes();
    let mut cut = good.to_vec();
    cut.pop();
    // A map of application properties with a key and no value, whole by its size.
    let odd = [
        &[0x00, 0x53, 0x74, 0xc1, 0x04, 0x01, 0xa1, 0x01, b'k'][..],
        &good,
    ]
    .concat();
    let unknown_section = section(0x10, &Value::List(Vec::new()));
    let twice = [good.clone(), section(0x77, &Value::Uint(1))].concat();
    let cases: [(&str, u32, Vec<u8>); 9] = [
        ("cut", 0, cut.clone()),
        ("odd map", 0, odd),
        ("a frame for a section", 0, unknown_section.to_vec()),
        ("bodies of two kinds", 0, twice),
        ("text", 0, b"hello".to_vec()),
        (
            "cut batch",
            BATCH_MESSAGE_FORMAT,
            batch(std::slice::from_ref(&good))[..8].to_vec(),
        ),
        (
            "cut inner message",
            BATCH_MESSAGE_FORMAT,
            batch(&[good.clone(), cut.into(), good.clone()]).to_vec(),
        ),
        (
            "inner text",
            BATCH_MESSAGE_FORMAT,
            batch(&[good.clone(), Bytes::from_static(b"hello")]).to_vec(),
        ),
        (
            "batch in format 0 of a batch",
            BATCH_MESSAGE_FORMAT,
            good.to_vec(),
        ),
    ];
    for (what, format, payload) in cases {
        let refused = rejected(&mut client, link, format, &payload).await;
        assert_eq!(
            refused,
            (condition::DECODE_ERROR.as_str().into(), 400_006),
            "{what}"
        );
    }
    let (condition, _) = rejected(&mut client, link, 7, &good).await;
    assert_eq!(condition, "amqp:not-implemented");
    let (condition, _) = rejected(&mut client, link, BATCH_MESSAGE_FORMAT, b"").await;
    assert_eq!(condition, "amqp:invalid-field");
    let many: Vec<_> = std::iter::repeat_n(good.clone(), 501).collect();
    let (condition, _) = rejected(&mut client, link, BATCH_MESSAGE_FORMAT, &batch(&many)).await;
    assert_eq!(condition, "amqp:invalid-field");
    assert_eq!(hub(&running).partition(0).unwrap().next_sequence, 0);

    let state = client
        .deliver(link, BATCH_MESSAGE_FORMAT, &batch(&many[..500]))
        .await;
    assert_eq!(state, DeliveryState::Accepted);
    assert_eq!(stored(&running, 500).await.len(), 500);
}

#[tokio::test]
async fn what_is_too_large_is_rejected_and_the_link_still_works() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    client.heed_no_size();
    let link = client.telemetry("a").await;
    let of = |body: usize, property: usize| {
        let properties = (property > 0).then(|| {
            Map(vec![(
                Value::from("p"),
                Value::from("x".repeat(property - 1)),
            )])
        });
        let message = Message {
            application_properties: properties,
            body: Body::Data(vec![Bytes::from(vec![b'x'; body])]),
            ..Message::default()
        };
        message.to_bytes()
    };
    let too_large = ("amqp:link:message-size-exceeded".to_owned(), 413_001);
    let large = of(256 * KIB + 1, 0);
    // Three messages that are small enough, and together are not: one byte over the limit of the batch as it is encoded.
    let parts = |last: usize| batch(&[of(100 * KIB, 0), of(100 * KIB, 0), of(last, 0)]);
    let most = 256 * KIB - (parts(50 * KIB).len() - 50 * KIB);
    assert_eq!(parts(most).len(), 256 * KIB);
    let cases = [
        (0, large.clone()),
        (0, of(256 * KIB - 10, 11)),
        (0, of(300 * KIB, 0)),
        (
            BATCH_MESSAGE_FORMAT,
            batch(&[data("small").to_bytes(), large]),
        ),
        (BATCH_MESSAGE_FORMAT, parts(most + 1)),
    ];
    for (format, payload) in cases {
        assert_eq!(
            rejected(&mut client, link, format, &payload).await,
            too_large
        );
    }
    for payload in [of(256 * KIB, 0), of(256 * KIB - 10, 10), of(1, 0)] {
        assert_eq!(
            client.deliver(link, 0, &payload).await,
            DeliveryState::Accepted
        );
    }
    let state = client
        .deliver(link, BATCH_MESSAGE_FORMAT, &parts(most))
        .await;
    assert_eq!(state, DeliveryState::Accepted);
    assert_eq!(hub(&running).partition(0).unwrap().next_sequence, 6);
}

#[tokio::test]
async fn a_link_announces_the_size_that_real_hubs_do() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let options = LinkOptions::sender("telemetry", "/devices/a/messages/events");
    let session = client.session;
    let wanted = client.connection.attach(session, options).unwrap();
    let announced = client.next(|event| match event {
        Event::Attached { link, attach } if *link == wanted => Some(attach.max_message_size),
        _ => None,
    });
    assert_eq!(announced.await, Some(1_048_576));
    // More than a message may have goes out, and is refused.
    let large = data(&"x".repeat(300 * KIB)).to_bytes();
    let refused = rejected(&mut client, wanted, 0, &large).await;
    assert_eq!(
        refused,
        ("amqp:link:message-size-exceeded".to_owned(), 413_001)
    );
}

#[tokio::test]
async fn what_the_link_says_is_too_large_is_not_even_kept() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    client.heed_no_size();
    let link = client.telemetry("a").await;
    for bytes in [321 * KIB, 1024 * KIB, 2048 * KIB] {
        let message = data(&"x".repeat(bytes));
        let refused = rejected(&mut client, link, 0, &message.to_bytes()).await;
        assert_eq!(
            refused,
            ("amqp:link:message-size-exceeded".to_owned(), 413_001)
        );
    }
    let state = client.deliver(link, 0, &data("x").to_bytes()).await;
    assert_eq!(state, DeliveryState::Accepted);
    assert_eq!(hub(&running).partition(0).unwrap().next_sequence, 1);
}
