//! Many messages at once.

use drawspan_settings::ApiKey;
use serde_json::json;

use super::paths::*;
use super::*;
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_ITEMS};

pub(super) const BATCH: &str = "/messages/events";

/// The result of each, and the sums.
fn told(answer: &HttpAnswer) -> (Value, u64, u64) {
    assert_eq!(answer.status, StatusCode::OK);
    let mut found: Value = serde_json::from_slice(&answer.body).unwrap();
    let sum = |name: &str| found[name].as_u64().unwrap();
    let (accepted, failed) = (sum("accepted"), sum("failed"));
    (found["results"].take(), accepted, failed)
}

fn sent(bench: &Bench) -> Vec<(String, Bytes)> {
    let calls = bench.calls.lock().unwrap();
    let sends = calls.iter().map(|call| match call {
        Call::Send(device, message) => (device.to_string(), message.body.clone()),
        other => panic!("{other:?}"),
    });
    sends.collect()
}

#[tokio::test]
async fn each_message_has_a_fate_of_its_own() {
    let bench = with(Fake {
        refuses: Some(("bad", DeviceError::Throttled { retry_after_s: 7 })),
        ..Fake::default()
    });
    let body = r#"{"x":0,"Messages":[
        {"DeviceID":"a","Data":{ "n" : 1.50 },"properties":{"p":"q"},"componentName":"pump"},
        {"deviceId":"bad-1","data":{}},
        {"deviceId":"a b","data":{}},
        {"deviceId":7,"data":{}},
        {"data":{}},
        {"deviceId":"a"},
        {"deviceId":"a","data":[]},
        17,
        {"deviceId":"a","data":{"n":2}},
        {"deviceId":"b","deviceId":"c","data":{}}
    ]}"#;
    let answer = bench.ask(post(BATCH, body)).await;
    let (results, accepted, failed) = told(&answer);
    assert_eq!((accepted, failed), (3, 7));
    let shown: Vec<Value> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            let slug = result["problem"]["type"].as_str().unwrap_or(":");
            let slug = slug.rsplit(':').next().unwrap();
            assert_eq!(
                result["problem"]["status"].as_u64().unwrap_or(200),
                result["status"]
            );
            json!([
                result["deviceId"],
                result["status"],
                slug,
                result["retryAfter"]
            ])
        })
        .collect();
    let expected = [
        json!(["a", 200, "", null]),
        json!(["bad-1", 429, "throttled", 7]),
        json!(["a b", 400, "invalid-device-id", null]),
        json!([null, 400, "invalid-body", null]),
        json!([null, 400, "invalid-body", null]),
        json!(["a", 400, "invalid-body", null]),
        json!(["a", 400, "invalid-body", null]),
        json!([null, 400, "invalid-body", null]),
        json!(["a", 200, "", null]),
        json!(["c", 200, "", null]),
    ];
    assert_eq!(shown, expected);
    assert_eq!(results[0], json!({"deviceId": "a", "status": 200}));
    for (at, words) in [
        (3, "`messages[3]`: The member `deviceId` must be a string."),
        (5, "`messages[5]`: The member `data` is required."),
        (7, "`messages[7]`: A message must be a JSON object."),
    ] {
        assert_eq!(results[at]["problem"]["detail"], words);
    }

    let mut sent = sent(&bench);
    sent.sort();
    let body = |text: &'static str| Bytes::from_static(text.as_bytes());
    let expected = [
        ("a".to_owned(), body(r#"{ "n" : 1.50 }"#)),
        ("a".to_owned(), body(r#"{"n":2}"#)),
        ("bad-1".to_owned(), body("{}")),
        ("c".to_owned(), body("{}")),
    ];
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn messages_of_a_device_are_sent_one_after_the_other() {
    let (came, mut messages) = tokio::sync::mpsc::channel(1);
    let bench = with(Fake {
        gate: Some(came),
        ..Fake::default()
    });
    let list: Vec<Value> = (0..20)
        .map(|n| json!({"deviceId": format!("d{}", n % 2), "data": {"n": n}}))
        .collect();
    let body = json!({ "messages": list }).to_string();
    let accepting = async {
        let mut waiting = Vec::new();
        for _ in 0..10 {
            // One of each device is under way, and no more.
            waiting.push(messages.recv().await.unwrap());
            waiting.push(messages.recv().await.unwrap());
            assert!(messages.try_recv().is_err());
            waiting
                .drain(..)
                .for_each(|accept| accept.send(()).unwrap());
        }
    };
    let (answer, ()) = tokio::join!(bench.ask(post(BATCH, body)), accepting);
    assert_eq!(told(&answer).1, 20);
    for device in ["d0", "d1"] {
        let sent = sent(&bench).into_iter().filter(|(id, _)| id == device);
        let bodies: Vec<String> = sent
            .map(|(_, body)| String::from_utf8(body.to_vec()).unwrap())
            .collect();
        let first = usize::from(device == "d1");
        let expected: Vec<String> = (0..10)
            .map(|n| format!(r#"{{"n":{}}}"#, 2 * n + first))
            .collect();
        assert_eq!(bodies, expected);
    }
}

#[tokio::test]
async fn what_is_no_list_is_refused_whole() {
    let too_many = format!(
        r#"{{"messages":[{}]}}"#,
        vec![r#"{"deviceId":"a","data":{}}"#; MAX_BATCH_ITEMS + 1].join(",")
    );
    for body in [
        "",
        " ",
        "null",
        "[]",
        "{",
        "1",
        "{}",
        r#"{"messages":null}"#,
        r#"{"messages":{}}"#,
        r#"{"messages":"[]"}"#,
        r#"{"messages":[]}"#,
        r#"{"messages":[{"deviceId":"a","data":{}},]}"#,
        r#"{"messages":[{"deviceId":"a","data":{}}],"messages":null}"#,
        r#"{"messages":[{"deviceId":"a","data":{}}]} x"#,
        &too_many,
    ] {
        check_bad(post(BATCH, body.to_owned()), 400, "invalid-body").await;
    }
    let detail = async |body: &'static [u8]| {
        let answer = bench(Ok(())).ask(post(BATCH, body)).await;
        answer.problem()["detail"].as_str().unwrap().to_owned()
    };
    let broken = r#"{"messages":[{"deviceId":"a","data":{}},{"deviceId":"b","data":{"t":}}]}"#;
    assert_eq!(
        detail(broken.as_bytes()).await,
        "The body is not valid: expected a value, found `}`, in `messages[1].data.t`, at line 1 column 69."
    );
    let broken =
        b"{\"messages\":[{\"deviceId\":\"a\",\"data\":{}},{\"deviceId\":\"b\",\"data\":{\"t\":\"\xff\"}},{\"deviceId\":\"c\",\"data\":{}}]}";
    assert_eq!(
        detail(broken).await,
        "The body is not valid: the byte 0xff is not UTF-8, in `messages[1].data.t`, at line 1 column 70."
    );
    let plain = || request("POST", BATCH).header("x-api-key", KEY);
    let untyped = plain().body(r#"{"messages":[]}"#.into()).unwrap();
    check_bad(untyped, 415, "unsupported-media-type").await;
    for key in [None, Some("wrong")] {
        check_bad(ask("POST", BATCH, key, "{"), 401, "unauthorized").await;
    }
    for method in ["GET", "PUT", "OPTIONS"] {
        check_bad(with_key(method, BATCH, ""), 405, "method-not-allowed").await;
    }
}

#[tokio::test]
async fn a_batch_may_be_larger_than_a_message() {
    let item =
        |n: usize| json!({"deviceId": format!("d{n}"), "data": {"fill": "x".repeat(200_000)}});
    let list: Vec<Value> = (0..20).map(item).collect();
    let body = json!({ "messages": list }).to_string();
    assert!((3_900_000..MAX_BATCH_BYTES).contains(&body.len()));
    let bench = bench(Ok(()));
    let answer = bench
        .ask(post(BATCH, Pieces::of(body.as_bytes().chunks(65_536))))
        .await;
    assert_eq!(told(&answer).1, 20);

    let list: Vec<Value> = (0..22).map(item).collect();
    let body = json!({ "messages": list }).to_string();
    check_bad(post(BATCH, body), 413, "too-large").await;
    // One that no hub would take is its own trouble.
    let huge = json!({"deviceId": "huge", "data": {"fill": "x".repeat(300_000)}});
    let body = json!({ "messages": [item(0), huge] }).to_string();
    let (results, accepted, _) = told(&self::bench(Ok(())).ask(post(BATCH, body)).await);
    assert_eq!((accepted, results[1]["status"].as_u64()), (1, Some(413)));
}

#[tokio::test]
async fn a_bounded_key_sends_for_its_devices() {
    let fake = Fake::default();
    let calls = Arc::clone(&fake.calls);
    let key = ApiKey::entry(KEY, Some("send"), Some("a-"), None).unwrap();
    let keys = [key].into_iter().collect();
    let bench = Bench {
        api: Api::new(fake, keys, Duration::from_secs(30)),
        calls,
    };
    let body = r#"{"messages":[{"deviceId":"b-1","data":{}},{"deviceId":"a-1","data":{}}]}"#;
    let (results, accepted, _) = told(&bench.ask(post(BATCH, body)).await);
    assert_eq!((accepted, results[0]["status"].as_u64()), (1, Some(403)));
    assert_eq!(sent(&bench).len(), 1);
}
