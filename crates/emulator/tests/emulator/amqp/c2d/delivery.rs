//! From the queue to the device.

use drawspan_amqp::message::MessageId;
use drawspan_amqp::performative::SenderSettleMode;
use drawspan_amqp::value::Symbol;

use super::super::client::{connect_as, start};
use super::*;

#[tokio::test]
async fn a_message_arrives_as_it_was_sent_with_the_hubs_annotations() {
    let running = start(&["a#1"]).await;
    let mut service = service_of(&running).await;
    let uuid: [u8; 16] = std::array::from_fn(|at| at as u8);
    let sent = Message {
        properties: Some(Properties {
            message_id: Some(MessageId::Uuid(uuid)),
            user_id: Some("somebody".into()),
            to: Some("/devices/a%231/messages/devicebound".into()),
            correlation_id: Some("correlation".into()),
            content_type: Some(Symbol::from_static("application/json")),
            content_encoding: Some(Symbol::from_static("utf-8")),
            absolute_expiry_time: Some(4_000_000_000_000),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![
            (Value::from("iothub-ack"), Value::from("full")),
            (Value::from("number"), Value::Int(7)),
        ])),
        ..Message::from_data("{}")
    };
    send(&mut service, std::slice::from_ref(&sent)).await;
    let (mut device, link) = device_of(&running, "a#1", 5).await;
    let got = got(&mut device, link).await;

    assert_eq!(got.tag.len(), 16);
    assert_eq!((got.sequence(), got.count()), (1, 0));
    let annotations = got.message.message_annotations.as_ref().unwrap();
    assert_eq!(annotations.iter().count(), 4, "{annotations:?}");
    let time = annotations.get_symbol("iothub-enqueuedtime");
    assert!(matches!(time, Some(Value::Timestamp(_))), "{time:?}");
    let token = annotations.get_symbol("x-opt-lock-token");
    assert_eq!(token.and_then(Value::as_str).map(str::len), Some(36));

    let expected = Message {
        message_annotations: got.message.message_annotations.clone(),
        properties: Some(Properties {
            to: Some("/devices/a%231/messages/deviceBound".into()),
            ..sent.properties.unwrap()
        }),
        application_properties: Some(Map(vec![
            (Value::from("iothub-ack"), Value::from("full")),
            (Value::from("number"), Value::from("7")),
        ])),
        ..Message::from_data("{}")
    };
    assert_eq!(got.message, expected);
}

#[tokio::test]
async fn messages_wait_for_their_device_and_wake_it() {
    let running = start(&["a", "b"]).await;
    let mut service = service_of(&running).await;
    send(
        &mut service,
        &[message("a", "1", "none"), message("a", "2", "none")],
    )
    .await;
    assert_eq!(count(&running, "a").await, 2);
    let (mut device, link) = device_of(&running, "a", 10).await;
    for id in ["1", "2"] {
        let got = got(&mut device, link).await;
        assert_eq!(got.body(), id);
        let properties = got.message.properties.as_ref().unwrap();
        assert_eq!(properties.absolute_expiry_time, None, "nobody set it");
        let state = agree(&mut device, &got, DeliveryState::Accepted).await;
        assert_eq!(state, DeliveryState::Accepted);
    }
    assert_eq!(count(&running, "a").await, 0);
    send(
        &mut service,
        &[message("b", "other", "none"), message("a", "3", "none")],
    )
    .await;
    let got = got(&mut device, link).await;
    assert_eq!((got.body().as_str(), got.sequence()), ("3", 4));
}

#[tokio::test]
async fn a_device_gets_what_it_has_credit_for_in_order() {
    let running = start(&["a"]).await;
    let mut service = service_of(&running).await;
    let ids = ["1", "2", "3", "4"];
    send(&mut service, &ids.map(|id| message("a", id, "none"))).await;
    let (mut device, link) = device_of(&running, "a", 0).await;
    device.settle_down().await;
    assert!(device.arrived(link).is_empty());
    device.grant(link, 1);
    assert_eq!(got(&mut device, link).await.body(), "1");
    device.settle_down().await;
    assert!(device.arrived(link).is_empty());
    let rest = device.drain(link, 10).await;
    assert_eq!(rest.iter().map(body_of).collect::<Vec<_>>(), ids[1..]);
}

#[tokio::test]
async fn devices_on_one_connection_get_their_own() {
    let running = start(&["a", "b"]).await;
    let mut service = service_of(&running).await;
    let mut client = connect_as(&running, &owner()).await;
    let mut links = Vec::new();
    for id in ["a", "b"] {
        let session = client.begin();
        let mode = ReceiverSettleMode::Second;
        let options = receiver(&devicebound(id), mode, Credit::Manual(10));
        links.push(client.attach_on(session, options).await.unwrap());
    }
    send(
        &mut service,
        &[message("b", "for b", "none"), message("a", "for a", "none")],
    )
    .await;
    for (link, body) in links.iter().zip(["for a", "for b"]) {
        let got = got(&mut client, *link).await;
        assert_eq!(got.body(), body);
        let state = agree(&mut client, &got, DeliveryState::Accepted).await;
        assert_eq!(state, DeliveryState::Accepted);
    }
    client.detach(links[0]);
    send(&mut service, &[message("b", "more", "none")]).await;
    assert_eq!(got(&mut client, links[1]).await.body(), "more");
    for id in ["a", "b"] {
        count_becomes(&running, id, u64::from(id == "b")).await;
    }
}

#[tokio::test]
async fn a_receiver_that_settles_first_has_the_last_word() {
    let running = start(&["a"]).await;
    let mut service = service_of(&running).await;
    let ids = ["1", "2"];
    send(&mut service, &ids.map(|id| message("a", id, "none"))).await;
    let mut device = connect_as(&running, &device_token(&running, "a")).await;
    let mode = ReceiverSettleMode::First;
    let options = receiver(&devicebound("a"), mode, Credit::Manual(10));
    let link = device.attach(options).await.unwrap();
    let first = got(&mut device, link).await;
    let second = got(&mut device, link).await;
    for (got, state) in [(&first, DeliveryState::Released), (&second, rejected())] {
        device.connection.settle(link, got.delivery, state).unwrap();
    }
    let again = got(&mut device, link).await;
    assert_eq!((again.body().as_str(), again.count()), ("1", 1));
    assert_ne!(again.tag, first.tag);
    let done = DeliveryState::Accepted;
    device
        .connection
        .settle(link, again.delivery, done)
        .unwrap();
    device.settle_down().await;
    count_becomes(&running, "a", 0).await;
}

#[tokio::test]
async fn a_receiver_that_wants_messages_settled_gets_them_once() {
    let running = start(&["a"]).await;
    let mut service = service_of(&running).await;
    let mut device = connect_as(&running, &device_token(&running, "a")).await;
    let mode = ReceiverSettleMode::First;
    let mut options = receiver(&devicebound("a"), mode, Credit::Manual(10));
    options.snd_settle_mode = SenderSettleMode::Settled;
    let link = device.attach(options).await.unwrap();
    send(&mut service, &[message("a", "1", "none")]).await;
    assert_eq!(body_of(&device.receive(link).await), "1");
    assert_eq!(count(&running, "a").await, 0);
}

#[tokio::test]
async fn a_device_is_gone_with_its_messages() {
    let running = start(&["a"]).await;
    let mut service = service_of(&running).await;
    let (mut device, link) = device_of(&running, "a", 1).await;
    send(
        &mut service,
        &[message("a", "1", "none"), message("a", "2", "none")],
    )
    .await;
    let got = got(&mut device, link).await;
    let deleted = ask(&running, "DELETE", "/devices/a", &[], "").await;
    assert_eq!(deleted.status, 204);
    let detached = device.detached(link).await;
    assert_eq!(detached.condition.as_str(), "amqp:not-found");
    assert_eq!(got.body(), "1");
    ask(&running, "PUT", "/devices/a", &[], r#"{"deviceId":"a"}"#).await;
    assert_eq!(count(&running, "a").await, 0);
    let (mut again, link) = device_of(&running, "a", 0).await;
    nothing_for(&mut again, link).await;
}
