//! Which links are taken, and what those that are refused hear.

use drawspan_amqp::engine::{Credit, LinkOptions};
use drawspan_amqp::performative::DeliveryState;
use drawspan_hub::sas;

use super::client::{
    code_in, connect, connect_as, data, device, device_token, hub, owner, policy, reader,
    reader_of, start, stored, unix_s,
};
use crate::support::{HUB, ask, key, set_status};

fn sender(address: &str) -> LinkOptions {
    LinkOptions::sender("link", address)
}

#[tokio::test]
async fn addresses_are_understood_however_they_are_spelled() {
    let running = start(&["a", "b%41", "c#?", "Mixed:Case.1"]).await;
    let mut client = connect_as(&running, &owner()).await;
    let spellings = [
        ("/devices/a/messages/events", "a"),
        ("devices/a/messages/events", "a"),
        ("/devices/a/messages/events/", "a"),
        ("/Devices/a/Messages/EVENTS", "a"),
        ("amqps://contoso.test/devices/a/messages/events", "a"),
        ("amqps://contoso.test:5671/devices/a/messages/events", "a"),
        ("/devices/b%2541/messages/events", "b%41"),
        (
            "amqps://contoso.test:5671/devices/b%2541/messages/events",
            "b%41",
        ),
        ("/devices/c%23%3F/messages/events", "c#?"),
        ("/devices/Mixed%3aCase.1/messages/events", "Mixed:Case.1"),
    ];
    for (number, (address, _)) in spellings.iter().enumerate() {
        let name = format!("link-{number}");
        let link = client.attach(LinkOptions::sender(name, *address)).await;
        let link = link.unwrap_or_else(|error| panic!("{address}: {error}"));
        let state = client.deliver(link, 0, &data(address).to_bytes()).await;
        assert_eq!(state, DeliveryState::Accepted, "{address}");
    }
    let messages = stored(&running, spellings.len()).await;
    for (message, (address, id)) in messages.iter().zip(spellings) {
        let annotations = message.message_annotations.as_ref().unwrap();
        let from = annotations.get("iothub-connection-device-id").unwrap();
        assert_eq!(from.as_str(), Some(id), "{address}");
    }
}

#[tokio::test]
async fn addresses_that_mean_nothing_are_not_found() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &owner()).await;
    let receiver = |address: &str| LinkOptions::receiver("link", address, Credit::Manual(0));
    let cases = [
        sender("/devices/a"),
        sender("/devices/a/messages"),
        sender("/devices//messages/events"),
        sender("/devices/a b/messages/events"),
        sender("/devices/b%41/messages/events/more"),
        sender("somewhere/else/entirely"),
        sender(""),
        sender("contoso"),
        receiver("contoso/ConsumerGroups/$Default/Partitions/x"),
        receiver("contoso"),
    ];
    for options in cases {
        let what = format!("{:?} {:?}", options.target.address, options.source.address);
        let error = client.attach(options).await.expect_err(&what);
        assert_eq!(
            (error.condition.as_str(), code_in(&error)),
            ("amqp:not-found", 404_006),
            "{what}"
        );
        let info = error.info.unwrap();
        assert!(info.get("com.microsoft:tracking-id").is_some(), "{what}");
    }
    // What modules have at IoT Edge alone, or not at all, and what the emulator has not yet.
    for options in [
        receiver("/devices/a/modules/m/messages/events"),
        receiver("/devices/a/modules/m/messages/devicebound"),
        sender("/messages/servicebound/filenotifications"),
    ] {
        let error = client.attach(options).await.unwrap_err();
        assert_eq!(error.condition.as_str(), "amqp:not-implemented");
    }
    assert_eq!(
        client.put_token(&owner()).await.status,
        200,
        "the connection is none the worse"
    );
}

#[tokio::test]
async fn a_link_without_address_is_not_found() {
    let running = start(&[]).await;
    let mut client = connect_as(&running, &owner()).await;
    let mut options = sender("x");
    options.target.address = None;
    let error = client.attach(options).await.unwrap_err();
    assert_eq!(error.condition.as_str(), "amqp:not-found");
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let running = start(&["a", "b", "off"]).await;
    let (a, off) = (device_token(&running, "a"), device_token(&running, "off"));
    set_status(&running, "off", "disabled").await;
    let (unauthorized, missing) = ("amqp:unauthorized-access", "amqp:not-found");
    let telemetry = |id: &str| sender(&format!("/devices/{id}/messages/events"));
    let narrow = |path: &str| {
        sas::sign(
            &format!("{HUB}/{path}"),
            &key(1),
            unix_s() + 60,
            Some("iothubowner"),
        )
    };
    let cases = [
        (None, telemetry("a"), unauthorized, 401_003, "no token"),
        (None, reader("r", None), unauthorized, 401_003, "no token"),
        (
            None,
            sender("$management"),
            unauthorized,
            401_003,
            "no token",
        ),
        (
            Some(a.clone()),
            telemetry("b"),
            unauthorized,
            401_003,
            "no token",
        ),
        (
            Some(a),
            reader("r", None),
            unauthorized,
            401_003,
            "no token",
        ),
        (
            Some(owner()),
            telemetry("nobody"),
            missing,
            404_001,
            "not registered",
        ),
        (
            Some(owner()),
            telemetry("off"),
            unauthorized,
            403_012,
            "disabled",
        ),
        (
            Some(policy("service")),
            telemetry("a"),
            unauthorized,
            401_002,
            "policy",
        ),
        (
            Some(policy("device")),
            reader("r", None),
            unauthorized,
            401_002,
            "policy",
        ),
        (
            Some(policy("registryRead")),
            telemetry("a"),
            unauthorized,
            401_002,
            "policy",
        ),
        (
            Some(narrow("devices/a")),
            telemetry("b"),
            unauthorized,
            401_002,
            "covers",
        ),
        (
            Some(narrow("other")),
            reader("r", None),
            unauthorized,
            401_002,
            "covers",
        ),
    ];
    for (token, options, condition, code, words) in cases {
        let what = format!("{:?} {:?}", options.target.address, options.source.address);
        let mut client = connect(&running).await;
        if let Some(token) = token {
            assert_eq!(client.put_token(&token).await.status, 200, "{what}");
        }
        let error = client.attach(options).await.expect_err(&what);
        assert_eq!(
            (error.condition.as_str(), code_in(&error)),
            (condition, code),
            "{what}: {error}"
        );
        assert!(error.to_string().contains(words), "{what}: {error}");
    }
    let answer = connect(&running).await.put_token(&off).await;
    assert_eq!(answer.status, 401);
    assert!(
        answer.description.contains("403012"),
        "{}",
        answer.description
    );
}

#[tokio::test]
async fn a_token_for_part_of_the_hub_is_enough_for_that_part() {
    let running = start(&["a"]).await;
    let narrow = |path: &str| {
        sas::sign(
            &format!("sb://{HUB}:5671/{path}"),
            &key(1),
            unix_s() + 60,
            Some("service"),
        )
    };
    for path in [
        "contoso",
        "CONTOSO/consumergroups/$default",
        "contoso/ConsumerGroups/$Default/Partitions/0",
    ] {
        let mut client = connect_as(&running, &narrow(path)).await;
        client
            .attach(reader("r", None))
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let mut client = connect_as(&running, &narrow("messages/events")).await;
    let built_in = "messages/events/ConsumerGroups/$Default/Partitions/0";
    client.attach(reader_of("r", built_in, None)).await.unwrap();
    assert!(client.attach(reader("other", None)).await.is_err());
}

#[tokio::test]
async fn keys_that_were_exchanged_open_no_more_links() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let text = |byte: u8| key(byte).to_base64();
    let body = format!(
        r#"{{"deviceId":"a","status":"enabled","authentication":{{"type":"sas","symmetricKey":{{"primaryKey":"{}","secondaryKey":"{}"}}}}}}"#,
        text(20),
        text(21)
    );
    let answer = ask(&running, "PUT", "/devices/a", &[("If-Match", "*")], &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let error = client
        .attach(sender("/devices/a/messages/events"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.condition.as_str(), code_in(&error)),
        ("amqp:unauthorized-access", 401_003)
    );
    assert_eq!(
        client.put_token(&device_token(&running, "a")).await.status,
        200
    );
    client.telemetry("a").await;
    assert!(hub(&running).device(&device("a")).is_some());
}
