//! Twins as services see them, and across restarts.

use drawspan_emulator::{Config, Emulator, Running};
use drawspan_hub::{DeviceId, ErrorCode};
use serde_json::{Value, json};

use crate::support::{Answer, ask, assert_refused, config, key, policy};

async fn start(ids: &[&str]) -> Running {
    let devices = ids.iter().map(|id| DeviceId::parse(id).unwrap()).collect();
    Emulator::start(Config {
        devices,
        ..config()
    })
    .await
    .unwrap()
}

async fn change(running: &Running, method: &str, etag: Option<&str>, body: Value) -> Answer {
    let headers: Vec<_> = etag.iter().map(|etag| ("If-Match", *etag)).collect();
    ask(running, method, "/twins/a", &headers, &body.to_string()).await
}

#[tokio::test]
async fn a_twin_from_nothing() {
    let running = start(&["a"]).await;
    let read = ask(&running, "GET", "/twins/a", &[], "").await;
    assert_eq!(
        (read.status, read.header("etag")),
        (200, Some("\"AAAAAAAAAAE=\""))
    );
    let mut twin = read.json();
    assert!(twin["deviceEtag"].take().is_string());
    let never = "0001-01-01T00:00:00";
    let section = json!({ "$metadata": { "$lastUpdated": "0001-01-01T00:00:00Z" }, "$version": 1 });
    assert_eq!(
        twin,
        json!({
            "deviceId": "a", "etag": "AAAAAAAAAAE=", "deviceEtag": null, "version": 2, "modelId": "",
            "status": "enabled", "statusReason": null, "statusUpdateTime": never,
            "connectionState": "Disconnected", "lastActivityTime": never, "cloudToDeviceMessageCount": 0,
            "authenticationType": "sas", "capabilities": { "iotEdge": false },
            "x509Thumbprint": { "primaryThumbprint": null, "secondaryThumbprint": null },
            "tags": {}, "properties": { "desired": section, "reported": section },
        })
    );
}

#[tokio::test]
async fn etags_guard_a_twin() {
    let running = start(&["a"]).await;
    let first = change(
        &running,
        "PATCH",
        Some("\"AAAAAAAAAAE=\""),
        json!({ "tags": { "t": 1 } }),
    )
    .await;
    assert_eq!(
        (first.status, first.header("etag")),
        (200, Some("\"AAAAAAAAAAI=\""))
    );
    let stale = change(
        &running,
        "PATCH",
        Some("\"AAAAAAAAAAE=\""),
        json!({ "tags": { "t": 2 } }),
    )
    .await;
    assert_refused(&stale, ErrorCode::PRECONDITION_FAILED);
    let stale = change(&running, "PUT", Some("\"AAAAAAAAAAE=\""), json!({})).await;
    assert_refused(&stale, ErrorCode::PRECONDITION_FAILED);
    // Without quotes it is no condition.
    for (etag, number) in [
        (Some("*"), 3),
        (Some("\"*\""), 4),
        (None, 5),
        (Some("AAAAAAAAAAU="), 6),
        (Some("abc"), 7),
    ] {
        let body = json!({ "tags": { "t": number } });
        let answer = change(&running, "PATCH", etag, body).await;
        assert_eq!(
            (answer.status, &answer.json()["tags"]["t"]),
            (200, &json!(number)),
            "{etag:?}"
        );
    }
}

#[tokio::test]
async fn merging_and_replacing() {
    let running = start(&["a"]).await;
    let body = json!({ "tags": { "t": 1, "u": 2 }, "properties": { "desired": { "a": { "b": 1, "c": 2 } } } });
    assert_eq!(change(&running, "PATCH", None, body).await.status, 200);
    let body =
        json!({ "tags": { "t": null }, "properties": { "desired": { "a": { "b": null } } } });
    let twin = change(&running, "PATCH", None, body).await.json();
    assert_eq!(twin["tags"], json!({ "u": 2 }));
    let desired = &twin["properties"]["desired"];
    assert_eq!(
        (&desired["a"], &desired["$version"]),
        (&json!({ "c": 2 }), &json!(3))
    );
    assert_eq!(desired["$metadata"]["a"]["$lastUpdatedVersion"], 3);
    assert_eq!(desired["$metadata"]["a"]["c"]["$lastUpdatedVersion"], 2);
    let mut back = twin.clone();
    back["tags"]["v"] = json!(3);
    let twin = change(&running, "PUT", None, back).await.json();
    assert_eq!(twin["tags"], json!({ "u": 2, "v": 3 }));
    assert_eq!(twin["properties"]["desired"]["a"], json!({ "c": 2 }));
    let twin = change(&running, "PUT", None, json!({})).await.json();
    assert_eq!(
        (&twin["tags"], &twin["properties"]["desired"]["a"]),
        (&json!({}), &Value::Null)
    );
}

#[tokio::test]
async fn what_is_against_the_rules_changes_nothing() {
    let running = start(&["a"]).await;
    let desired = |desired: Value| json!({ "properties": { "desired": desired } });
    for (body, code) in [
        (json!([]), ErrorCode::ARGUMENT_INVALID),
        (json!({ "tags": 1 }), ErrorCode::ARGUMENT_INVALID),
        (json!({ "tags": { "a b": 1 } }), ErrorCode::ARGUMENT_INVALID),
        (json!({ "tags": { "a#b": 1 } }), ErrorCode::ARGUMENT_INVALID),
        (desired(json!({ "a#b": 1 })), ErrorCode::ARGUMENT_INVALID),
        (
            json!({ "tags": { "a": "x".repeat(4097) } }),
            ErrorCode::ARGUMENT_INVALID,
        ),
        (
            json!({ "tags": { "a": "x".repeat(4096), "b": "x".repeat(4096) } }),
            ErrorCode::DEVICE_MODEL_MAX_PROPERTIES_EXCEEDED,
        ),
        (
            desired(json!({ "a": [1, null] })),
            ErrorCode::ARGUMENT_INVALID,
        ),
        (
            json!({ "tags": { "a": [{ "b": null }] } }),
            ErrorCode::ARGUMENT_INVALID,
        ),
        (desired(json!("x")), ErrorCode::ARGUMENT_INVALID),
        (
            desired(json!({ "a": { "$version": 1 } })),
            ErrorCode::ARGUMENT_INVALID,
        ),
        (
            desired(json!({ "a": 1_u64 << 60 })),
            ErrorCode::ARGUMENT_INVALID,
        ),
    ] {
        for method in ["PATCH", "PUT"] {
            assert_refused(&change(&running, method, None, body.clone()).await, code);
        }
    }
    let answer = ask(&running, "PATCH", "/twins/a", &[], "{").await;
    assert_refused(&answer, ErrorCode::FORMAT_ERROR);
    let null = json!({ "tags": { "my-tag": null } });
    let answer = change(&running, "PUT", None, null).await;
    assert_refused(&answer, ErrorCode::ARGUMENT_INVALID);
    let text = "Value of Property or Tag cannot be null. Error in Property/Tag my-tag";
    assert!(answer.body.contains(text), "{answer:?}");
    assert_eq!(
        ask(&running, "GET", "/twins/a", &[], "").await.json()["version"],
        2
    );
    let answer = ask(&running, "PATCH", "/twins/b", &[], "{}").await;
    assert_refused(&answer, ErrorCode::DEVICE_NOT_FOUND);
    assert_refused(
        &ask(&running, "GET", "/twins/b", &[], "").await,
        ErrorCode::DEVICE_NOT_FOUND,
    );
    let token = policy(&key(1), "registryReadWrite");
    for method in ["GET", "PATCH"] {
        let headers = [("Authorization", token.as_str())];
        let answer = ask(&running, method, "/twins/a", &headers, "{}").await;
        assert_refused(&answer, ErrorCode::UNAUTHORIZED_ACCESS);
    }
    let answer = ask(&running, "GET", "/twins/a/modules/m", &[], "").await;
    assert_refused(&answer, ErrorCode::MODULE_NOT_FOUND);
}

#[tokio::test]
async fn queries_list_twins_page_by_page() {
    let running = start(&["a", "b", "c", "it's", "query"]).await;
    let query = async |text: &str, headers: &[(&str, &str)]| {
        let body = json!({ "query": text }).to_string();
        ask(&running, "POST", "/devices/query", headers, &body).await
    };
    let ids = |answer: &Answer| -> Vec<String> {
        assert_eq!(
            (answer.status, answer.header("x-ms-item-type")),
            (200, Some("Twin")),
            "{answer:?}"
        );
        let twins = answer.json();
        let id = |twin: &Value| twin["deviceId"].as_str().unwrap().to_owned();
        twins.as_array().unwrap().iter().map(id).collect()
    };
    let all = query("SELECT * FROM devices", &[]).await;
    assert_eq!(ids(&all), ["a", "b", "c", "it's", "query"]);
    assert_eq!(all.header("x-ms-continuation"), None);
    let (mut seen, mut next) = (Vec::new(), String::new());
    for _ in 0..3 {
        let headers = [
            ("x-ms-max-item-count", "2"),
            ("x-ms-continuation", next.as_str()),
        ];
        let page = query("select *\nfrom Devices ", &headers).await;
        seen.push(ids(&page));
        next = page
            .header("x-ms-continuation")
            .unwrap_or_default()
            .to_owned();
    }
    assert_eq!(seen, [vec!["a", "b"], vec!["c", "it's"], vec!["query"]]);
    assert_eq!(next, "");
    for (text, expected) in [
        ("SELECT * FROM devices WHERE deviceId = 'b'", vec!["b"]),
        ("SELECT * FROM devices WHERE deviceId=\"c\"", vec!["c"]),
        (
            "SELECT * FROM devices WHERE deviceId = 'it''s'",
            vec!["it's"],
        ),
        ("SELECT * FROM devices WHERE deviceId = 'z'", vec![]),
    ] {
        assert_eq!(ids(&query(text, &[]).await), expected, "{text}");
    }
    for text in [
        "",
        "SELECT",
        "SELECT * FROM devices.jobs",
        "SELECT deviceId FROM devices",
        "SELECT * FROM devices WHERE deviceId = 'a' OR true",
        "SELECT * FROM devices WHERE tags.a = 'a'",
        "SELECT * FROM devices WHERE deviceId =",
        "SELECT * FROM devices WHERE deviceId = 'a",
        "SELECT * FROM devices 'a'",
    ] {
        assert_refused(&query(text, &[]).await, ErrorCode::ARGUMENT_INVALID);
    }
    for headers in [[("x-ms-max-item-count", "0")], [("x-ms-continuation", "%")]] {
        let answer = query("SELECT * FROM devices", &headers).await;
        assert_refused(&answer, ErrorCode::ARGUMENT_INVALID);
    }
    let device = ask(&running, "GET", "/devices/query", &[], "").await;
    assert_eq!(
        device.json()["deviceId"],
        "query",
        "a device may have that name"
    );
    assert_eq!(
        ask(&running, "POST", "/devices/a", &[], "{}").await.status,
        405
    );
}

#[tokio::test]
async fn a_twin_survives_the_end_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config {
        state: Some(folder.path().into()),
        devices: vec![DeviceId::parse("a").unwrap()],
        ..config()
    };
    let first = Emulator::start(config()).await.unwrap();
    let body = json!({ "tags": { "t": 1 }, "properties": { "desired": { "a": [1] } } });
    let before = change(&first, "PATCH", None, body).await.json();
    // Not shut down: what was answered must be there all the same.
    drop(first);
    let second = Emulator::start(config()).await.unwrap();
    let after = ask(&second, "GET", "/twins/a", &[], "").await.json();
    assert_eq!(after, before);
    assert_eq!(
        ask(&second, "DELETE", "/devices/a", &[], "").await.status,
        204
    );
    drop(second);
    let third = Emulator::start(config()).await.unwrap();
    let fresh = ask(&third, "GET", "/twins/a", &[], "").await.json();
    assert_eq!((&fresh["version"], &fresh["tags"]), (&json!(2), &json!({})));
    third.shutdown().await;
}
