//! Direct methods: from a service's request to a device's links, and back.

use std::future::Future as _;
use std::task::Poll;

use bytes::Bytes;
use drawspan_amqp::engine::{Credit, LinkId, LinkOptions, SessionId};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::DeliveryState;
use drawspan_amqp::value::{Map, Value};
use drawspan_emulator::Running;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::limits::Limits;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::{Client, body_of, code_in, connect_as, device_token, owner, policy, start};
use crate::support::{Answer, HUB, ask, ask_soon, assert_refused};

/// A device's pair of links.
pub(super) struct Methods {
    calls: LinkId,
    answers: LinkId,
}

impl Methods {
    pub(super) async fn attach(client: &mut Client, session: SessionId, id: &str) -> Self {
        Self {
            calls: client.attach_on(session, calls(id)).await.unwrap(),
            answers: client.attach_on(session, answers(id)).await.unwrap(),
        }
    }

    /// The next call: its request, name and payload.
    pub(super) async fn call(&self, client: &mut Client) -> (MessageId, String, String) {
        let message = client.receive(self.calls).await;
        let id = message.properties.as_ref().unwrap().correlation_id.clone();
        let name = message.application_properties.as_ref().unwrap();
        let Some(Value::String(name)) = name.get("IoThub-methodname").cloned() else {
            panic!("{message:?}");
        };
        (id.unwrap(), name, body_of(&message))
    }

    pub(super) async fn answer(
        &self,
        client: &mut Client,
        to: MessageId,
        status: i32,
        payload: &str,
    ) {
        let state = client
            .deliver(self.answers, 0, &answer(to, Value::Int(status), payload))
            .await;
        assert_eq!(state, DeliveryState::Accepted);
    }
}

/// As the C client names the pair: by the device, without a prefix.
fn calls(id: &str) -> LinkOptions {
    let address = format!("/devices/{id}/methods/deviceBound");
    let mut options = LinkOptions::receiver(
        format!("methods_requests_link-{id}"),
        address,
        Credit::Auto(10),
    );
    options.properties = Some(correlated(id));
    options
}

fn answers(id: &str) -> LinkOptions {
    let address = format!("/devices/{id}/methods/devicebound");
    let mut options = LinkOptions::sender(format!("methods_responses_link-{id}"), address);
    options.properties = Some(correlated(id));
    options
}

fn correlated(id: &str) -> Map {
    let key = drawspan_amqp::value::Symbol::from_static("com.microsoft:channel-correlation-id");
    Map(vec![(Value::Symbol(key), Value::from(id))])
}

fn answer(to: MessageId, status: Value, payload: &str) -> Bytes {
    let message = Message {
        properties: Some(Properties {
            correlation_id: Some(to),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![(Value::from("IoThub-status"), status)])),
        body: match payload {
            "" => Body::Empty,
            payload => Body::Data(vec![Bytes::copy_from_slice(payload.as_bytes())]),
        },
        ..Message::default()
    };
    message.to_bytes()
}

pub(super) async fn invoke(running: &Running, id: &str, body: Json) -> Answer {
    let target = format!("/twins/{id}/methods");
    ask(running, "POST", &target, &[], &body.to_string()).await
}

#[tokio::test]
async fn a_call_goes_to_the_device_and_its_answer_back() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let methods = Methods::attach(&mut client, session, "a").await;
    let cases = [
        (
            r#", "payload": {"b": [1, 2.50]}"#,
            r#"{"b": [1, 2.50]}"#,
            r#"{"done":true}"#,
        ),
        (r#", "payload": null"#, "null", "null"),
        (r#", "payload": """#, r#""""#, r#""text""#),
        ("", "", ""),
    ];
    for (given, seen, answered) in cases {
        let body = format!(r#"{{"methodName":"do-It.1"{given}}}"#);
        let service = ask(&running, "POST", "/twins/a/methods", &[], &body);
        let device = async {
            let (id, name, payload) = methods.call(&mut client).await;
            assert!(
                matches!(id, MessageId::Uuid(_)),
                "the C client takes nothing else: {id:?}"
            );
            assert_eq!((name.as_str(), payload.as_str()), ("do-It.1", seen));
            methods.answer(&mut client, id, 207, answered).await;
        };
        let (answer, ()) = tokio::join!(service, device);
        assert_eq!(answer.status, 200, "{answer:?}");
        let payload = match answered {
            "" => Json::Null,
            text => serde_json::from_str(text).unwrap(),
        };
        assert_eq!(answer.json(), json!({ "status": 207, "payload": payload }));
    }
}

/// What a service sees of a call that failed: JSON in JSON, as the hub has it for methods alone.
fn assert_call_refused(answer: &Answer, code: ErrorCode) {
    assert_eq!(answer.status, code.http_status(), "{answer:?}");
    assert_eq!(answer.header("iothub-errorcode"), code.name(), "{answer:?}");
    let body = answer.json();
    let inner: Json = serde_json::from_str(body["Message"].as_str().unwrap()).unwrap();
    assert_eq!(inner["errorCode"], code.number(), "{inner}");
    assert!(inner["info"].is_object(), "{inner}");
    assert_eq!(body["ExceptionMessage"], "", "{body}");
}

#[tokio::test]
async fn an_answer_that_is_not_json_passes_through() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let methods = Methods::attach(&mut client, session, "a").await;
    let service = invoke(&running, "a", json!({ "methodName": "x" }));
    let device = async {
        let (id, ..) = methods.call(&mut client).await;
        let sent = answer(id, Value::Int(200), "Successfully done");
        client.deliver(methods.answers, 0, &sent).await;
    };
    let (answer, ()) = tokio::join!(service, device);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, r#"{"status":200,"payload":Successfully done}"#);
}

#[tokio::test]
async fn a_device_that_takes_no_calls_is_not_online() {
    let running = start(&["a"]).await;
    let call = || json!({ "methodName": "x", "connectTimeoutInSeconds": 0 });
    assert_call_refused(
        &invoke(&running, "a", call()).await,
        ErrorCode::DEVICE_NOT_ONLINE,
    );
    assert_call_refused(
        &invoke(&running, "b", call()).await,
        ErrorCode::DEVICE_NOT_FOUND,
    );
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    client.telemetry("a").await;
    assert_call_refused(
        &invoke(&running, "a", call()).await,
        ErrorCode::DEVICE_NOT_ONLINE,
    );
    client.attach(calls("a")).await.unwrap();
    let half = invoke(&running, "a", call()).await;
    assert_call_refused(&half, ErrorCode::DEVICE_NOT_ONLINE);
    let message: Json = serde_json::from_str(half.json()["Message"].as_str().unwrap()).unwrap();
    assert_eq!(message["info"], json!({ "timeout": "00:00:00" }));
}

#[tokio::test]
async fn a_caller_may_wait_for_the_device() {
    let running = start(&["a", "b"]).await;
    let call = json!({ "methodName": "x", "connectTimeoutInSeconds": 60 });
    let service = invoke(&running, "a", call);
    let device = async {
        let mut client = connect_as(&running, &owner()).await;
        let session = client.session;
        // Another device's coming is not this one's.
        Methods::attach(&mut client, session, "b").await;
        let methods = Methods::attach(&mut client, session, "a").await;
        let (id, ..) = methods.call(&mut client).await;
        methods.answer(&mut client, id, 1, "1").await;
    };
    let (answer, ()) = tokio::join!(service, device);
    assert_eq!(answer.json(), json!({ "status": 1, "payload": 1 }));
}

#[tokio::test]
async fn devices_of_one_connection_are_independent() {
    let running = start(&["a", "b", "c"]).await;
    let mut client = connect_as(&running, &owner()).await;
    let (first, second) = (client.session, client.begin());
    // As the C client does, and as clients with a session per device do.
    let a = Methods::attach(&mut client, first, "a").await;
    let b = Methods::attach(&mut client, first, "b").await;
    let c = Methods::attach(&mut client, second, "c").await;
    let invoke = |id: &'static str| invoke(&running, id, json!({ "methodName": id }));
    let device = async {
        let (of_a, name, _) = a.call(&mut client).await;
        assert_eq!(name, "a");
        let (of_b, name, _) = b.call(&mut client).await;
        assert_eq!(name, "b");
        let (of_c, name, _) = c.call(&mut client).await;
        assert_eq!(name, "c");
        // A device does not answer calls to others.
        b.answer(&mut client, of_a.clone(), 500, "").await;
        a.answer(&mut client, of_c.clone(), 500, "").await;
        c.answer(&mut client, of_b.clone(), 500, "").await;
        c.answer(&mut client, of_c, 203, "").await;
        b.answer(&mut client, of_b, 202, "").await;
        a.answer(&mut client, of_a, 201, "").await;
    };
    let (for_a, for_b, for_c, ()) = tokio::join!(invoke("a"), invoke("b"), invoke("c"), device);
    let statuses = [for_a, for_b, for_c].map(|answer| answer.json()["status"].clone());
    assert_eq!(statuses, [json!(201), json!(202), json!(203)]);
}

#[tokio::test]
async fn a_device_that_leaves_leaves_its_callers_with_an_answer() {
    let running = start(&["a", "b"]).await;
    for way in ["detach", "disconnect", "taken over", "disabled"] {
        let mut client = connect_as(&running, &owner()).await;
        let session = client.session;
        let methods = Methods::attach(&mut client, session, "a").await;
        let service = invoke(&running, "a", json!({ "methodName": "x" }));
        let device = async {
            methods.call(&mut client).await;
            match way {
                "detach" => {
                    client.detach(methods.calls);
                    client.settle_down().await;
                }
                "disconnect" => drop(client),
                "taken over" => {
                    let mut other = connect_as(&running, &owner()).await;
                    other.telemetry("a").await;
                    let error = client.detached(methods.calls).await;
                    assert_eq!(error.condition.as_str(), "amqp:link:stolen");
                    let error = client.detached(methods.answers).await;
                    assert_eq!(
                        (error.condition.as_str(), code_in(&error)),
                        ("amqp:link:stolen", 409_002)
                    );
                }
                _ => {
                    let body = r#"{"deviceId":"a","status":"disabled"}"#;
                    let answer =
                        ask(&running, "PUT", "/devices/a", &[("If-Match", "*")], body).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    for link in [methods.calls, methods.answers] {
                        assert_eq!(code_in(&client.detached(link).await), 403_012);
                    }
                }
            }
        };
        let (answer, ()) = tokio::join!(service, device);
        assert_call_refused(&answer, ErrorCode::DEVICE_NOT_ONLINE);
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_are_said_to_make_none() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let methods = Methods::attach(&mut client, session, "a").await;
    let large = format!("\"{}\"", "x".repeat(128 * 1024));
    let cases: [(Value, &str, ErrorCode); 3] = [
        (Value::from("OK"), "1", ErrorCode::FORMAT_ERROR),
        (Value::Null, "1", ErrorCode::FORMAT_ERROR),
        (Value::Int(200), &large, ErrorCode::MESSAGE_TOO_LARGE),
    ];
    client.detach(methods.answers);
    client.heed_no_size();
    let answers = client.attach(answers("a")).await.unwrap();
    for (status, payload, code) in cases {
        let service = invoke(&running, "a", json!({ "methodName": "x" }));
        let device = async {
            let (id, ..) = methods.call(&mut client).await;
            client
                .deliver(answers, 0, &answer(id, status, payload))
                .await;
        };
        let (answer, ()) = tokio::join!(service, device);
        assert_call_refused(&answer, code);
    }
    let far_too_large = "x".repeat(140 * 1024);
    let sent = answer(MessageId::Ulong(1), Value::Int(200), &far_too_large);
    let DeliveryState::Rejected(Some(error)) = client.deliver(answers, 0, &sent).await else {
        panic!("not rejected");
    };
    assert_eq!(error.condition.as_str(), "amqp:link:message-size-exceeded");
}

#[tokio::test]
async fn numbers_of_any_type_are_a_status() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let methods = Methods::attach(&mut client, session, "a").await;
    for status in [Value::Long(204), Value::Ubyte(204), Value::from("204")] {
        let service = invoke(&running, "a", json!({ "methodName": "x" }));
        let device = async {
            let (id, ..) = methods.call(&mut client).await;
            // As text too: what Node makes of an id that it was given as text.
            let id = MessageId::String(id.to_string());
            client
                .deliver(methods.answers, 0, &answer(id, status, ""))
                .await;
        };
        let (answer, ()) = tokio::join!(service, device);
        assert_eq!(answer.json()["status"], 204);
    }
}

#[tokio::test]
async fn null_as_a_body_is_none() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let methods = Methods::attach(&mut client, session, "a").await;
    for (body, code) in [
        (Value::Null, None),
        (Value::from("text"), Some(ErrorCode::FORMAT_ERROR)),
    ] {
        let service = invoke(&running, "a", json!({ "methodName": "x" }));
        let device = async {
            let (id, ..) = methods.call(&mut client).await;
            let mut message = Message::decode(&answer(id, Value::Int(200), "")).unwrap();
            message.body = Body::Value(body);
            client
                .deliver(methods.answers, 0, &message.to_bytes())
                .await;
        };
        let (answer, ()) = tokio::join!(service, device);
        match code {
            None => assert_eq!(answer.json(), json!({ "status": 200, "payload": null })),
            Some(code) => assert_call_refused(&answer, code),
        }
    }
}

#[tokio::test]
async fn calls_that_cannot_be_are_refused() {
    let running = start(&["a"]).await;
    let large = "x".repeat(128 * 1024);
    for (body, code) in [
        (json!({}), ErrorCode::ARGUMENT_INVALID),
        (json!({ "methodName": "" }), ErrorCode::ARGUMENT_INVALID),
        (json!({ "methodName": "a b" }), ErrorCode::ARGUMENT_INVALID),
        (json!({ "methodName": "ä" }), ErrorCode::ARGUMENT_INVALID),
        (
            json!({ "methodName": "x".repeat(129) }),
            ErrorCode::ARGUMENT_INVALID,
        ),
        (
            json!({ "methodName": "x", "responseTimeoutInSeconds": 4 }),
            ErrorCode::ARGUMENT_INVALID,
        ),
        (
            json!({ "methodName": "x", "responseTimeoutInSeconds": 301 }),
            ErrorCode::ARGUMENT_INVALID,
        ),
        (
            json!({ "methodName": "x", "timeoutInSeconds": 1 }),
            ErrorCode::ARGUMENT_INVALID,
        ),
        (
            json!({ "methodName": "x", "connectTimeoutInSeconds": 301 }),
            ErrorCode::ARGUMENT_INVALID,
        ),
        (
            json!({ "methodName": "x", "responseTimeoutInSeconds": "5" }),
            ErrorCode::FORMAT_ERROR,
        ),
        (
            json!({ "methodName": "x", "payload": large }),
            ErrorCode::MESSAGE_TOO_LARGE,
        ),
        (json!([]), ErrorCode::FORMAT_ERROR),
    ] {
        assert_refused(&invoke(&running, "a", body).await, code);
    }
    let answer = ask(&running, "POST", "/twins/a/methods", &[], "{").await;
    assert_refused(&answer, ErrorCode::FORMAT_ERROR);
    let token = policy("registryReadWrite");
    let headers = [("Authorization", token.as_str())];
    let answer = ask(
        &running,
        "POST",
        "/twins/a/methods",
        &headers,
        r#"{"methodName":"x"}"#,
    )
    .await;
    assert_refused(&answer, ErrorCode::UNAUTHORIZED_ACCESS);
}

#[tokio::test]
async fn a_device_does_not_hear_of_a_caller_that_hung_up() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let mut options = calls("a");
    options.credit = Credit::Manual(0);
    let methods = Methods {
        calls: client.attach(options).await.unwrap(),
        answers: client.attach(answers("a")).await.unwrap(),
    };
    let body = r#"{"methodName":"gone"}"#;
    let target = "/twins/a/methods?api-version=2021-04-12";
    let token = owner();
    let headers = [("Authorization", token.as_str())];
    let mut gone = ask_soon(&running, HUB, "POST", target, &headers, body).await;
    gone.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // The hub ends the connection too, long before the call's time is over.
    let _ = gone.read_to_end(&mut answer).await;
    assert_eq!(String::from_utf8_lossy(&answer), "");

    client.grant(methods.calls, 2);
    let service = invoke(&running, "a", json!({ "methodName": "waits" }));
    let device = async {
        let (id, name, _) = methods.call(&mut client).await;
        assert_eq!(name, "waits");
        methods.answer(&mut client, id, 200, "").await;
    };
    let (answer, ()) = tokio::join!(service, device);
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_device_has_so_many_calls_to_answer_and_no_more() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    // Without credit: what waits counts as well.
    let mut options = calls("a");
    options.credit = Credit::Manual(0);
    let link = client.attach(options).await.unwrap();
    let methods = Methods {
        calls: link,
        answers: client.attach(answers("a")).await.unwrap(),
    };
    let most = Limits::default().methods_in_flight;
    let one = async |number: usize| {
        let body = json!({ "methodName": number.to_string() });
        invoke(&running, "a", body).await
    };
    let mut calls: Vec<_> = (0..=most).map(|number| Box::pin(one(number))).collect();
    let refused = std::future::poll_fn(|context| {
        for at in 0..calls.len() {
            if let Poll::Ready(answer) = calls[at].as_mut().poll(context) {
                drop(calls.swap_remove(at));
                return Poll::Ready(answer);
            }
        }
        Poll::Pending
    });
    let refused: Answer = refused.await;
    assert_call_refused(&refused, ErrorCode::DEVICE_MAXIMUM_INFLIGHT_METHOD_EXCEEDED);
    client.grant(methods.calls, most as u32);
    let device = async {
        for _ in 0..most {
            let (id, ..) = methods.call(&mut client).await;
            methods.answer(&mut client, id, 200, "").await;
        }
    };
    let service = async {
        for call in calls {
            assert_eq!(call.await.status, 200);
        }
    };
    tokio::join!(service, device);
}
