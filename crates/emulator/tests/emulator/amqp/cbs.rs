//! Tokens put on a connection.

use bytes::Bytes;
use drawspan_amqp::engine::LinkOptions;
use drawspan_amqp::message::{Body, Message, MessageId};
use drawspan_amqp::performative::{DeliveryState, condition};
use drawspan_amqp::value::Value;
use drawspan_hub::sas;

use super::client::{
    Client, SASTOKEN, connect, connect_as, data, device_token, device_token_by, device_token_until,
    owner, put_token, start, stored, unix_s,
};
use crate::support::{HUB, key};

async fn check(client: &mut Client, what: &str, request: Message, status: i32, words: &str) {
    let answer = client.request_cbs(request).await;
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert!(
        answer.description.contains(words),
        "{what}: {}",
        answer.description
    );
}

#[tokio::test]
async fn tokens_are_judged_by_themselves() {
    let running = start(&["a"]).await;
    let mut client = connect(&running).await;
    let soon = unix_s() + 3600;
    let ask = |token: &str| put_token(token, SASTOKEN, "1".into());
    let by =
        |resource: &str, byte: u8, name: &str| sas::sign(resource, &key(byte), soon, Some(name));
    let cases = [
        ("a device's", ask(&device_token(&running, "a")), 200, "OK"),
        ("the owner's", ask(&owner()), 200, "OK"),
        (
            "within the tolerance for clocks",
            ask(&device_token_until(&running, "a", unix_s() - 200)),
            200,
            "OK",
        ),
        (
            "expired",
            ask(&device_token_until(&running, "a", unix_s() - 301)),
            401,
            "expired",
        ),
        (
            "another key",
            ask(&device_token_by(&key(9), "a", soon)),
            401,
            "another key",
        ),
        (
            "unknown device",
            ask(&device_token_by(&key(9), "b", soon)),
            404,
            "Device b at IotHub contoso not registered.",
        ),
        (
            "another hub",
            ask(&by("second.test", 1, "iothubowner")),
            401,
            "another host",
        ),
        (
            "unknown policy",
            ask(&by(HUB, 1, "nobody")),
            401,
            "unknown policy",
        ),
        (
            "no signature",
            ask("SharedAccessSignature sr=contoso.test"),
            400,
            "not a shared access signature",
        ),
        ("a word", ask("token"), 400, "not a shared access signature"),
        (
            "of .NET's type",
            put_token(&owner(), "azure-devices.net:sastoken", "1".into()),
            200,
            "OK",
        ),
        (
            "in another case",
            put_token(&owner(), "ServiceBus.windows.net:SASToken", "1".into()),
            200,
            "OK",
        ),
        (
            "a JSON web token",
            put_token("a.b.c", "jwt", "1".into()),
            401,
            "shared access signatures",
        ),
    ];
    for (what, request, status, words) in cases {
        check(&mut client, what, request, status, words).await;
    }
}

#[tokio::test]
async fn a_refusal_is_the_hubs_json_and_the_link_stays() {
    let running = start(&["a"]).await;
    let mut client = connect(&running).await;
    let answer = client
        .put_token(&device_token_by(&key(9), "a", unix_s() + 60))
        .await;
    let json: serde_json::Value = serde_json::from_str(&answer.description).unwrap();
    assert_eq!(
        (answer.status, json["errorCode"].as_u64()),
        (401, Some(401_003))
    );
    assert_eq!(client.put_token(&owner()).await.status, 200);
}

#[tokio::test]
async fn requests_that_are_none() {
    let running = start(&[]).await;
    let mut client = connect(&running).await;
    let good = || put_token(&owner(), SASTOKEN, "1".into());
    let operation = |name: &str| {
        let mut request = good();
        let properties = request.application_properties.as_mut().unwrap();
        properties.insert("operation", name);
        request
    };
    let body = |body: Body| Message { body, ..good() };
    let cases = [
        (
            "another operation",
            operation("get-token"),
            400,
            "put-token",
        ),
        ("to take it back", operation("delete-token"), 200, "OK"),
        ("no properties", data("x"), 400, "put-token"),
        (
            "bytes for a token",
            body(Body::Data(vec![Bytes::from(owner())])),
            400,
            "string",
        ),
        (
            "a number for a token",
            body(Body::Value(Value::Uint(1))),
            400,
            "string",
        ),
        ("no body", body(Body::Empty), 400, "string"),
    ];
    for (what, request, status, words) in cases {
        check(&mut client, what, request, status, words).await;
    }
    let sender = client
        .attach(LinkOptions::sender("other", "$cbs"))
        .await
        .unwrap();
    let DeliveryState::Rejected(Some(error)) = client.deliver(sender, 0, b"no message").await
    else {
        panic!("what is no message is rejected");
    };
    assert_eq!(error.condition, condition::DECODE_ERROR);
}

#[tokio::test]
async fn answers_carry_the_requests_id_with_its_type() {
    let running = start(&[]).await;
    let mut client = connect(&running).await;
    let ids = [
        MessageId::String("1".into()),
        MessageId::Ulong(0),
        MessageId::Ulong(u64::MAX),
        MessageId::Uuid([7; 16]),
        MessageId::Binary(Bytes::from_static(b"\0\xff")),
    ];
    for id in ids {
        let answer = client
            .request_cbs(put_token(&owner(), SASTOKEN, id.clone()))
            .await;
        assert_eq!(answer.message.properties.unwrap().correlation_id, Some(id));
    }
    let answer = client.request_cbs(Message::default()).await;
    assert_eq!(answer.message.properties.unwrap().correlation_id, None);
}

#[tokio::test]
async fn each_session_gets_its_own_answers() {
    let running = start(&[]).await;
    let mut client = connect(&running).await;
    let second = client.begin();
    let first = client.cbs_on(client.session).await;
    let second = client.cbs_on(second).await;
    for (links, id) in [(second, "second"), (first, "first"), (second, "again")] {
        let answer = client
            .request(links, put_token(&owner(), SASTOKEN, id.into()))
            .await;
        assert_eq!(
            answer.message.properties.unwrap().correlation_id,
            Some(id.into())
        );
    }
}

#[tokio::test]
async fn a_connection_holds_1000_devices_tokens() {
    let ids: Vec<_> = (0..1001).map(|number| format!("d{number}")).collect();
    let names: Vec<_> = ids.iter().map(String::as_str).collect();
    let running = start(&names).await;
    let mut client = connect(&running).await;
    for id in &ids[..1000] {
        assert_eq!(
            client.put_token(&device_token(&running, id)).await.status,
            200,
            "{id}"
        );
    }
    let answer = client.put_token(&device_token(&running, &ids[1000])).await;
    let text = "The maximum number of tokens per connection (1000) has been reached.";
    assert_eq!((answer.status, answer.description.as_str()), (500, text));
    let answer = client.put_token(&device_token(&running, &ids[0])).await;
    assert_eq!(
        answer.status, 200,
        "an identity that is there is renewed: {answer:?}"
    );
    let answer = client.put_token(&device_token(&running, &ids[1000])).await;
    assert_eq!(answer.status, 500, "{answer:?}");
    connect_as(&running, &device_token(&running, &ids[1000])).await;
}

#[tokio::test]
async fn a_renewed_token_leaves_links_alone() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let link = client.telemetry("a").await;
    for round in 0..3 {
        let state = client
            .deliver(link, 0, &data(&round.to_string()).to_bytes())
            .await;
        assert_eq!(state, DeliveryState::Accepted);
        assert_eq!(
            client.put_token(&device_token(&running, "a")).await.status,
            200
        );
    }
    assert_eq!(stored(&running, 3).await.len(), 3);
}
