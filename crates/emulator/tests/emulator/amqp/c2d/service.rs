//! The service's link.

use drawspan_amqp::engine::ClientSasl;
use drawspan_amqp::value::Symbol;

use super::super::client::{code_in, connect_with, policy, start};
use super::*;

#[tokio::test]
async fn what_is_not_taken_is_refused_by_name() {
    let running = start(&["a", "b"]).await;
    let mut service = service_of(&running).await;
    let mut to_nobody = message("a", "1", "none");
    to_nobody.properties.as_mut().unwrap().to = None;
    let large = Message {
        body: Body::Data(vec![vec![0; 65 * 1024].into()]),
        ..message("a", "1", "none")
    };
    service.0.heed_no_size();
    service.1 = service
        .0
        .attach(LinkOptions::sender("heedless", "/messages/deviceBound"))
        .await
        .unwrap();
    let huge = Message {
        body: Body::Data(vec![vec![0; 200 * 1024].into()]),
        ..message("a", "1", "none")
    };
    let size = "amqp:link:message-size-exceeded";
    let cases = [
        (message("nobody", "1", "none"), "amqp:not-found", 404_001),
        (to_nobody, "amqp:not-allowed", 400_003),
        (
            message("a", "1", "maybe"),
            "com.microsoft:argument-error",
            400_004,
        ),
        (large, size, 413_001),
        (huge, size, 413_001),
    ];
    for (message, condition, code) in cases {
        let error = refusal(&mut service, &message).await;
        assert_eq!(
            (error.condition.as_str(), code_in(&error)),
            (condition, code)
        );
    }
    assert_eq!(count(&running, "a").await, 0);
}

#[tokio::test]
async fn the_fifty_first_message_is_too_many() {
    let running = start(&["a", "b"]).await;
    let mut service = service_of(&running).await;
    let fifty: Vec<_> = (1..=50)
        .map(|id| message("a", &id.to_string(), "none"))
        .collect();
    send(&mut service, &fifty).await;
    let error = refusal(&mut service, &message("a", "51", "none")).await;
    assert_eq!(
        (error.condition.as_str(), code_in(&error)),
        ("amqp:resource-limit-exceeded", 403_004)
    );
    assert_eq!(count(&running, "a").await, 50);
    send(&mut service, &[message("b", "1", "none")]).await;
    let (mut device, link) = device_of(&running, "a", 1).await;
    let first = got(&mut device, link).await;
    agree(&mut device, &first, DeliveryState::Accepted).await;
    send(&mut service, &[message("a", "51", "none")]).await;
}

#[tokio::test]
async fn only_services_send_and_hear() {
    let running = start(&["a"]).await;
    let links = || {
        [
            LinkOptions::sender("c2d", "/messages/devicebound"),
            receiver(
                "/messages/servicebound/feedback",
                ReceiverSettleMode::First,
                Credit::Manual(0),
            ),
        ]
    };
    for token in [
        policy("device"),
        policy("registryRead"),
        device_token(&running, "a"),
    ] {
        let mut client = connect_as(&running, &token).await;
        for options in links() {
            let error = client.attach(options).await.unwrap_err();
            assert_eq!(error.condition.as_str(), "amqp:unauthorized-access");
        }
    }
    let mut client = connect_as(&running, &policy("service")).await;
    for options in links() {
        client.attach(options).await.unwrap();
    }
    // No device's link with a service's policy.
    let options = receiver(
        &devicebound("a"),
        ReceiverSettleMode::First,
        Credit::Manual(0),
    );
    let error = client.attach(options).await.unwrap_err();
    assert_eq!(error.condition.as_str(), "amqp:unauthorized-access");
}

#[tokio::test]
async fn a_service_may_bring_its_token_by_plain() {
    let running = start(&["a"]).await;
    let token = policy("service");
    let sasl = ClientSasl {
        mechanism: Symbol::from_static("PLAIN"),
        initial_response: Some(format!("\0service@sas.root.contoso\0{token}").into()),
    };
    let mut client = connect_with(&running, Some(sasl)).await.unwrap();
    let address = "amqps://contoso.test/messages/deviceBound";
    let link = client
        .attach(LinkOptions::sender("c2d", address))
        .await
        .unwrap();
    send(&mut (client, link), &[message("a", "1", "none")]).await;
    assert_eq!(count(&running, "a").await, 1);
}
