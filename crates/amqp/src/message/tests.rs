use super::*;
use crate::value::Symbol;

fn all_sections() -> Message {
    Message {
        header: Some(Header {
            durable: true,
            ttl_ms: Some(1000),
            ..Header::default()
        }),
        delivery_annotations: Some([(Symbol::from_static("d"), 1_u64)].into_iter().collect()),
        message_annotations: Some(
            [(
                Symbol::from_static("iothub-enqueuedtime"),
                Value::Timestamp(5),
            )]
            .into_iter()
            .collect(),
        ),
        properties: Some(Properties {
            message_id: Some("m".into()),
            correlation_id: Some([0xab; 16].into()),
            content_type: Some(Symbol::from_static("application/json")),
            creation_time: Some(9),
            group_sequence: Some(3),
            ..Properties::default()
        }),
        application_properties: Some([("k", "v")].into_iter().collect()),
        body: Body::Data(vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")]),
        footer: Some(Map::new()),
    }
}

/// Every encoded section of a message.
fn raw(message: &Message) -> Vec<Bytes> {
    sections(&message.to_bytes())
        .map(|section| section.unwrap().raw)
        .collect()
}

#[test]
fn bytes_of_a_message() {
    let mut message = Message::from_data("x");
    message.application_properties = Some([("k", "v")].into_iter().collect());
    assert_eq!(
        message.to_bytes(),
        b"\x00\x53\x74\xc1\x07\x02\xa1\x01k\xa1\x01v\x00\x53\x75\xa0\x01x"[..]
    );
    assert_eq!(
        Message::from_value("t").to_bytes(),
        b"\x00\x53\x77\xa1\x01t"[..]
    );
    assert_eq!(Message::default().to_bytes(), b""[..]);
}

#[test]
fn sections_may_come_in_any_order() {
    let message = all_sections();
    let mut sections = raw(&message);
    assert_eq!(sections.len(), 8);
    assert_eq!(
        Message::decode(&sections.concat().into()),
        Ok(message.clone())
    );
    // As the C SDK sends: annotations behind application properties; then the whole message backwards.
    sections.swap(2, 4);
    assert_eq!(
        Message::decode(&sections.concat().into()),
        Ok(message.clone())
    );
    sections.reverse();
    let backwards = Message::decode(&sections.concat().into()).unwrap();
    assert_eq!(
        backwards.body,
        Body::Data(vec![Bytes::from_static(b"two"), Bytes::from_static(b"one")])
    );
    assert_eq!(
        Message {
            body: message.body.clone(),
            ..backwards
        },
        message
    );
}

#[test]
fn a_section_may_come_once() {
    let message = all_sections();
    for (index, name) in [
        (0, "header"),
        (1, "delivery-annotations"),
        (2, "message-annotations"),
        (3, "properties"),
        (4, "application-properties"),
        (7, "footer"),
    ] {
        let section = &raw(&message)[index];
        let twice = [&section[..], section].concat();
        assert_eq!(
            Message::decode(&twice.into()),
            Err(DecodeError::SurplusSection(name))
        );
    }
    let mixed = [
        Message::from_data("x").to_bytes(),
        Message::from_value("x").to_bytes(),
    ]
    .concat();
    assert_eq!(
        Message::decode(&mixed.into()),
        Err(DecodeError::SurplusSection("amqp-value"))
    );
    let twice = [
        Message::from_value(1_i32).to_bytes(),
        Message::from_value(1_i32).to_bytes(),
    ]
    .concat();
    assert_eq!(
        Message::decode(&twice.into()),
        Err(DecodeError::SurplusSection("amqp-value"))
    );
}

#[test]
fn sections_are_walked_without_reading_them() {
    let message = all_sections();
    let bytes = message.to_bytes();
    let kinds: Vec<_> = sections(&bytes)
        .map(|section| section.unwrap().kind)
        .collect();
    use SectionKind::{
        ApplicationProperties, Data, DeliveryAnnotations, Footer, Header, MessageAnnotations,
        Properties,
    };
    assert_eq!(
        kinds,
        [
            Header,
            DeliveryAnnotations,
            MessageAnnotations,
            Properties,
            ApplicationProperties,
            Data,
            Data,
            Footer
        ]
    );
    let data: Vec<_> = sections(&bytes)
        .flatten()
        .filter(|s| s.kind == Data)
        .map(|s| s.data().unwrap())
        .collect();
    assert_eq!(data, ["one", "two"]);
    assert!(sections(&bytes).next().unwrap().unwrap().data().is_err());

    let mut broken = sections(&Bytes::from_static(
        b"\x00\x53\x75\xa0\x01x\x00\x53\x79\x40",
    ));
    assert!(broken.next().unwrap().is_ok());
    assert_eq!(
        broken.next(),
        Some(Err(DecodeError::UnknownDescriptor(Some(0x79))))
    );
    assert_eq!(broken.next(), None);
}

#[test]
fn strings_and_symbols_stand_for_each_other_in_properties() {
    let bytes =
        Bytes::from_static(b"\x00\x53\x73\xc0\x0c\x07\x40\x40\xa3\x01t\x40\x40\x40\xa1\x01c");
    let properties = Message::decode(&bytes).unwrap().properties.unwrap();
    assert_eq!(
        (properties.to.as_deref(), properties.content_type),
        (Some("t"), Some(Symbol::from_static("c")))
    );
}

#[test]
fn message_ids_keep_their_type_and_have_a_text() {
    let ids = [
        (MessageId::from(7), "7"),
        (MessageId::from("a-b"), "a-b"),
        (MessageId::Binary(Bytes::from_static(&[0, 255])), "00ff"),
        (
            MessageId::from([
                0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
                0xee, 0xff,
            ]),
            "00112233-4455-6677-8899-aabbccddeeff",
        ),
    ];
    for (id, text) in ids {
        assert_eq!(id.to_string(), text);
        let properties = Some(Properties {
            message_id: Some(id),
            ..Properties::default()
        });
        let message = Message {
            properties,
            ..Message::default()
        };
        assert_eq!(Message::decode(&message.to_bytes()), Ok(message));
    }
    let wrong = Bytes::from_static(b"\x00\x53\x73\xc0\x02\x01\x41");
    assert_eq!(
        Message::decode(&wrong),
        Err(DecodeError::InvalidValue("message id"))
    );
}

#[test]
fn batches() {
    let inner = [
        Message::from_data("1").to_bytes(),
        all_sections().to_bytes(),
    ];
    let outer = Message {
        message_annotations: Some(Map::new()),
        body: Body::Data(inner.to_vec()),
        ..Message::default()
    };
    let bytes = outer.to_bytes();
    assert_eq!(
        batch(&bytes).collect::<Result<Vec<_>, _>>().as_deref(),
        Ok(&inner[..])
    );
    let mut cut = batch(&bytes.slice(..bytes.len() - 1));
    assert_eq!(cut.next(), Some(Ok(inner[0].clone())));
    assert_eq!(cut.next(), Some(Err(DecodeError::Truncated)));
    assert_eq!(cut.next(), None);
}
