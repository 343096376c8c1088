//! The registry over real sockets, asked as the service SDKs ask.

use crate::support::{HUB, ask, ask_raw, assert_refused, config, key, policy, start};
use drawspan_hub::ErrorCode;
use serde_json::{Value, json};

fn quoted(etag: &Value) -> String {
    format!("\"{}\"", etag.as_str().unwrap())
}

#[tokio::test]
async fn a_device_from_creation_to_deletion() {
    let running = start().await;
    let created = ask(&running, "PUT", "/devices/a", &[], r#"{"deviceId":"a"}"#).await;
    assert_eq!(created.status, 200, "{created:?}");
    let device = created.json();
    assert_eq!(
        (&device["deviceId"], &device["status"]),
        (&json!("a"), &json!("enabled"))
    );
    assert_eq!(device["connectionState"], "Disconnected");
    assert_eq!(device["lastActivityTime"], "0001-01-01T00:00:00");
    assert_eq!(device["authentication"]["type"], "sas");
    assert_eq!(
        device["authentication"]["symmetricKey"]["primaryKey"]
            .as_str()
            .unwrap()
            .len(),
        44
    );
    assert_eq!(
        created.header("etag"),
        Some(quoted(&device["etag"]).as_str())
    );

    let read = ask(&running, "GET", "/devices/a", &[], "").await;
    assert_eq!((read.status, read.json()), (200, device.clone()));

    let again = ask(&running, "PUT", "/devices/a", &[], r#"{"deviceId":"a"}"#).await;
    assert_refused(&again, ErrorCode::DEVICE_ALREADY_EXISTS);

    let change = r#"{"deviceId":"a","status":"disabled","statusReason":"why not"}"#;
    let stale = ask(
        &running,
        "PUT",
        "/devices/a",
        &[("If-Match", "\"old\"")],
        change,
    )
    .await;
    assert_refused(&stale, ErrorCode::PRECONDITION_FAILED);
    let etag = quoted(&device["etag"]);
    let updated = ask(
        &running,
        "PUT",
        "/devices/a",
        &[("If-Match", &etag)],
        change,
    )
    .await;
    assert_eq!(updated.status, 200, "{updated:?}");
    let updated = updated.json();
    assert_eq!(
        (&updated["status"], &updated["statusReason"]),
        (&json!("disabled"), &json!("why not"))
    );
    assert_ne!(updated["etag"], device["etag"]);
    assert_eq!(updated["generationId"], device["generationId"]);
    assert_ne!(
        updated["authentication"], device["authentication"],
        "what an update does not name is reset"
    );
    let body = json!({ "deviceId": "a", "authentication": updated["authentication"] });
    let unquoted = etag.trim_matches('"');
    for stale in [unquoted, "old", "*"] {
        let headers = [("If-Match", stale)];
        let again = ask(&running, "PUT", "/devices/a", &headers, &body.to_string()).await;
        assert_eq!(again.status, 200, "an ETag without quotes is no condition");
        assert_eq!(again.json()["authentication"], updated["authentication"]);
    }

    let stale = ask(&running, "DELETE", "/devices/a", &[("If-Match", &etag)], "").await;
    assert_refused(&stale, ErrorCode::PRECONDITION_FAILED);
    let deleted = ask(
        &running,
        "DELETE",
        "/devices/a",
        &[("If-Match", "\"*\"")],
        "",
    )
    .await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    assert_refused(
        &ask(&running, "GET", "/devices/a", &[], "").await,
        ErrorCode::DEVICE_NOT_FOUND,
    );
    let gone = ask(&running, "DELETE", "/devices/a", &[("If-Match", "*")], "").await;
    assert_refused(&gone, ErrorCode::DEVICE_NOT_FOUND);
    let gone = ask(
        &running,
        "PUT",
        "/devices/a",
        &[("If-Match", "*")],
        r#"{"deviceId":"a"}"#,
    )
    .await;
    assert_refused(&gone, ErrorCode::DEVICE_NOT_FOUND);
}

#[tokio::test]
async fn credentials_of_every_kind() {
    let running = start().await;
    let put = async |id: &str, authentication: Value| {
        let body = json!({ "deviceId": id, "authentication": authentication }).to_string();
        ask(&running, "PUT", &format!("/devices/{id}"), &[], &body).await
    };
    let given = json!({ "primaryKey": key(7).to_base64(), "secondaryKey": key(8).to_base64() });
    let answer = put("given", json!({ "type": "sas", "symmetricKey": given })).await;
    assert_eq!(answer.json()["authentication"]["symmetricKey"], given);
    let answer = put(
        "node",
        json!({ "type": "sas", "symmetricKey": { "primaryKey": "", "secondaryKey": "" } }),
    )
    .await;
    assert_eq!(
        answer.json()["authentication"]["symmetricKey"]["primaryKey"]
            .as_str()
            .unwrap()
            .len(),
        44
    );
    let thumbprint = "AB".repeat(20);
    let answer = put(
        "old",
        json!({ "x509Thumbprint": { "primaryThumbprint": thumbprint } }),
    )
    .await;
    assert_eq!(answer.json()["authentication"]["type"], "selfSigned");
    assert_eq!(
        answer.json()["authentication"]["x509Thumbprint"]["primaryThumbprint"],
        thumbprint
    );
    for kind in ["certificateAuthority", "none"] {
        assert_eq!(
            put(kind, json!({ "type": kind })).await.json()["authentication"]["type"],
            kind
        );
    }
    for wrong in [
        json!({ "symmetricKey": { "primaryKey": key(7).to_base64() } }),
        json!({ "symmetricKey": { "primaryKey": "no base64", "secondaryKey": "no base64" } }),
        json!({ "symmetricKey": { "primaryKey": "QUJD", "secondaryKey": "QUJD" } }),
        json!({ "type": "selfSigned" }),
        json!({ "type": "selfSigned", "x509Thumbprint": { "primaryThumbprint": "xyz" } }),
        json!({ "type": "magic" }),
    ] {
        assert_refused(&put("wrong", wrong).await, ErrorCode::ARGUMENT_INVALID);
    }
}

#[tokio::test]
async fn ids_of_the_whole_character_set() {
    let running = start().await;
    for (target, id) in [
        ("dev%25%23%3F-1", "dev%#?-1"),
        ("a%2541", "a%41"),
        (
            "a:b.c+d_e*f!g(h)i,j=k@l;m$n'o",
            "a:b.c+d_e*f!g(h)i,j=k@l;m$n'o",
        ),
    ] {
        let target = format!("/devices/{target}");
        let created = ask(
            &running,
            "PUT",
            &target,
            &[],
            &json!({ "deviceId": id }).to_string(),
        )
        .await;
        assert_eq!(created.json()["deviceId"], id);
        assert_eq!(
            ask(&running, "GET", &format!("{target}/"), &[], "")
                .await
                .json()["deviceId"],
            id
        );
    }
    for target in [
        "/devices/a%2Fb",
        "/devices/a%20b",
        "/devices/%FF",
        &format!("/devices/{}", "x".repeat(129)),
    ] {
        assert_refused(
            &ask(&running, "GET", target, &[], "").await,
            ErrorCode::ARGUMENT_INVALID,
        );
    }
}

#[tokio::test]
async fn lists_and_statistics() {
    let mut config = config();
    config.devices = ["c", "a", "b"]
        .map(|id| drawspan_hub::DeviceId::parse(id).unwrap())
        .to_vec();
    let running = drawspan_emulator::Emulator::start(config).await.unwrap();
    let ids = async |target: &str| {
        let list = ask(&running, "GET", target, &[], "").await.json();
        list.as_array()
            .unwrap()
            .iter()
            .map(|device| device["deviceId"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("/devices").await, ["a", "b", "c"]);
    assert_eq!(ids("/devices/?top=2").await, ["a", "b"]);
    assert_eq!(ids("/devices?top=1001").await, ["a", "b", "c"]);
    for top in ["0", "x", "-1"] {
        let answer = ask(&running, "GET", &format!("/devices?top={top}"), &[], "").await;
        assert_refused(&answer, ErrorCode::ARGUMENT_INVALID);
    }
    ask(
        &running,
        "PUT",
        "/devices/c",
        &[("If-Match", "*")],
        r#"{"status":"disabled"}"#,
    )
    .await;
    running.hubs().hubs()[0]
        .set_connected(&drawspan_hub::DeviceId::parse("a").unwrap().into(), true);
    let devices = ask(&running, "GET", "/statistics/devices", &[], "")
        .await
        .json();
    assert_eq!(
        devices,
        json!({ "totalDeviceCount": 3, "enabledDeviceCount": 2, "disabledDeviceCount": 1 })
    );
    let service = ask(&running, "GET", "/statistics/service", &[], "")
        .await
        .json();
    assert_eq!(service, json!({ "connectedDeviceCount": 1 }));
}

#[tokio::test]
async fn a_batch_of_messages_has_the_limit_of_one() {
    let running = start().await;
    ask(&running, "PUT", "/devices/a", &[], "{}").await;
    let send = async |sizes: &[usize]| {
        let messages = sizes
            .iter()
            .map(|size| json!({ "body": "x".repeat(*size), "base64Encoded": false }));
        let body = Value::from_iter(messages).to_string();
        let headers = [("Content-Type", "application/vnd.microsoft.iothub.json")];
        let target = "/devices/a/messages/events";
        ask(&running, "POST", target, &headers, &body).await
    };
    const KIB: usize = 1024;
    assert_eq!(send(&[128 * KIB, 128 * KIB]).await.status, 204);
    let answer = send(&[128 * KIB, 128 * KIB, 1]).await;
    assert_refused(&answer, ErrorCode::MESSAGE_TOO_LARGE);
    let partition = |number| running.hubs().hubs()[0].partition(number).unwrap();
    let stored: u64 = (0..4).map(|number| partition(number).next_sequence).sum();
    assert_eq!(stored, 2, "nothing of a refused batch");
}

#[tokio::test]
async fn who_may_not() {
    let running = start().await;
    let with = async |method: &str, target: &str, token: &str| {
        ask(
            &running,
            method,
            target,
            &[("Authorization", token)],
            r#"{"deviceId":"a"}"#,
        )
        .await
    };
    let reader = policy(&key(1), "registryRead");
    assert_eq!(with("GET", "/devices", &reader).await.status, 200);
    let denied = ErrorCode::UNAUTHORIZED_ACCESS;
    assert_refused(&with("PUT", "/devices/a", &reader).await, denied);
    assert_refused(&with("DELETE", "/devices/a", &reader).await, denied);
    assert_refused(&with("POST", "/devices", &reader).await, denied);
    assert_refused(
        &with("GET", "/devices", &policy(&key(1), "device")).await,
        denied,
    );
    assert_refused(
        &with("GET", "/devices", &policy(&key(2), "iothubowner")).await,
        denied,
    );
    assert_eq!(
        with("GET", "/statistics/service", &policy(&key(1), "service"))
            .await
            .status,
        200
    );
    assert_refused(
        &with("GET", "/statistics/devices", &policy(&key(1), "service")).await,
        denied,
    );
    let query = "?api-version=2021-04-12";
    let none = ask_raw(&running, HUB, "GET", &format!("/devices{query}"), &[], "").await;
    assert_refused(&none, ErrorCode::UNAUTHORIZED);
    // The token is for the first hub.
    let owner = crate::support::owner();
    let other = ask_raw(
        &running,
        "second.test",
        "GET",
        &format!("/devices{query}"),
        &[("Authorization", &owner)],
        "",
    )
    .await;
    assert_refused(&other, denied);
}

#[tokio::test]
async fn what_there_is_not() {
    let running = start().await;
    assert_refused(
        &ask(&running, "GET", "/nothing/here", &[], "").await,
        ErrorCode::GENERIC_NOT_FOUND,
    );
    for (target, name) in [
        ("/jobs/v2/1", "jobs"),
        ("/configurations/1", "configurations"),
        ("/twins/a/streams/s", "device streams"),
        ("/messages/serviceBound/feedback", "feedback over HTTPS"),
    ] {
        let answer = ask(&running, "POST", target, &[], "{}").await;
        assert_eq!(answer.status, 501, "{target}");
        assert!(answer.body.contains(name), "{answer:?}");
    }
    let wrong_method = ask(&running, "PATCH", "/devices/a", &[], "").await;
    assert_eq!(
        (
            wrong_method.status,
            wrong_method.header("iothub-errorcode").is_some()
        ),
        (405, true)
    );
    let owner = crate::support::owner();
    let get = async |host: &str, target: &str| {
        ask_raw(
            &running,
            host,
            "GET",
            target,
            &[("Authorization", &owner)],
            "",
        )
        .await
    };
    assert_refused(
        &get("unknown.test", "/devices?api-version=2021-04-12").await,
        ErrorCode::HUB_NOT_FOUND,
    );
    assert_eq!(
        get("dps.test", "/devices?api-version=2021-04-12")
            .await
            .status,
        404,
        "the provisioning service has no devices of its own"
    );
    assert_eq!(
        get("localhost:8443", "/devices?api-version=2021-04-12")
            .await
            .status,
        200
    );
    for query in [
        "",
        "?api-version=",
        "?api-version=latest",
        "?api-version=2021-4-12",
    ] {
        assert_refused(
            &get(HUB, &format!("/devices{query}")).await,
            ErrorCode::INVALID_PROTOCOL_VERSION,
        );
    }
}

#[tokio::test]
async fn bodies_that_are_none() {
    let running = start().await;
    for body in ["", "{", "[]", "null", r#"{"deviceId":7}"#] {
        let answer = ask(&running, "PUT", "/devices/a", &[], body).await;
        assert_refused(&answer, ErrorCode::FORMAT_ERROR);
    }
    let other = ask(&running, "PUT", "/devices/a", &[], r#"{"deviceId":"b"}"#).await;
    assert_refused(&other, ErrorCode::ARGUMENT_INVALID);
    let wrong_status = ask(&running, "PUT", "/devices/a", &[], r#"{"status":"asleep"}"#).await;
    assert_refused(&wrong_status, ErrorCode::ARGUMENT_INVALID);
    let large = format!(
        r#"{{"deviceId":"a","statusReason":"{}"}}"#,
        "x".repeat(1024 * 1024)
    );
    assert_refused(
        &ask(&running, "PUT", "/devices/a", &[], &large).await,
        ErrorCode::MESSAGE_TOO_LARGE,
    );
    assert_eq!(
        ask(&running, "GET", "/devices/a", &[], "").await.status,
        404
    );
}

#[tokio::test]
async fn a_queue_is_emptied() {
    let running = start().await;
    let unknown = ask(&running, "DELETE", "/devices/a/commands", &[], "").await;
    assert_refused(&unknown, ErrorCode::DEVICE_NOT_FOUND);
    ask(&running, "PUT", "/devices/a", &[], r#"{"deviceId":"a"}"#).await;
    let purged = ask(&running, "DELETE", "/devices/a/commands", &[], "").await;
    let expected = json!({"totalMessagesPurged": 0, "deviceId": "a", "moduleId": null});
    assert_eq!((purged.status, purged.json()), (200, expected));
    let token = policy(&key(1), "registryRead");
    let headers = [("Authorization", token.as_str())];
    let refused = ask(&running, "DELETE", "/devices/a/commands", &headers, "").await;
    assert_refused(&refused, ErrorCode::UNAUTHORIZED_ACCESS);
}
