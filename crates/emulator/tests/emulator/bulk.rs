//! Many devices in one call.

use drawspan_hub::ErrorCode;
use serde_json::{Value, json};

use crate::support::{ask, assert_refused, start};

#[tokio::test]
async fn many_twins_at_once() {
    let running = start().await;
    let bulk =
        async |items: Value| ask(&running, "POST", "/devices", &[], &items.to_string()).await;
    let twin = async |id: &str| {
        let answer = ask(&running, "GET", &format!("/twins/{id}"), &[], "").await;
        (answer.status, answer.json())
    };
    let created = bulk(json!([
        { "id": "a", "importMode": "create", "tags": { "site": 1 }, "properties": { "desired": { "x": 1 } } },
        { "id": "b", "importMode": "createOrUpdate", "tags": { "site": 2 } },
        { "id": "c", "importMode": "create", "tags": { "si#te": 1 } },
    ]))
    .await;
    assert_eq!(created.status, 400);
    let error = created.json()["errors"][0].clone();
    assert_eq!(
        (&error["deviceId"], &error["errorCode"]),
        (&json!("c"), &json!("ArgumentInvalid"))
    );
    assert_eq!(
        twin("c").await.0,
        404,
        "a device whose twin is refused is not created"
    );
    let (_, a) = twin("a").await;
    assert_eq!(
        (&a["tags"], &a["properties"]["desired"]["x"]),
        (&json!({ "site": 1 }), &json!(1))
    );

    let etag = a["etag"].clone();
    let changed = bulk(json!([
        { "id": "a", "importMode": "updateTwinIfMatchETag", "twinETag": etag, "tags": { "site": 3 } },
        { "id": "b", "importMode": "updateTwinIfMatchETag", "twinETag": "old", "tags": { "site": 3 } },
        { "id": "missing", "importMode": "updateTwin", "tags": { "site": 3 } },
    ]))
    .await;
    let errors = changed.json()["errors"].clone();
    let codes: Vec<_> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["errorCode"].clone())
        .collect();
    assert_eq!(codes, ["PreconditionFailed", "DeviceNotFound"]);
    assert_eq!(twin("a").await.1["tags"], json!({ "site": 3 }));
    assert_eq!(twin("b").await.1["tags"], json!({ "site": 2 }));

    let unconditional = json!([{ "id": "b", "importMode": "updateTwin", "properties": { "desired": { "y": [1] } } }]);
    assert_eq!(bulk(unconditional).await.status, 200);
    let (_, b) = twin("b").await;
    assert_eq!(
        (&b["tags"], &b["properties"]["desired"]["y"]),
        (&json!({ "site": 2 }), &json!([1]))
    );
}

#[tokio::test]
async fn many_at_once() {
    let running = start().await;
    let bulk =
        async |items: Value| ask(&running, "POST", "/devices", &[], &items.to_string()).await;
    let hundred: Vec<Value> = (0..100)
        .map(|number| json!({ "id": format!("d{number}"), "importMode": "create" }))
        .collect();
    let done = bulk(json!(hundred)).await;
    assert_eq!(
        (done.status, done.json()),
        (
            200,
            json!({ "isSuccessful": true, "errors": [], "warnings": [] })
        )
    );

    let mixed = bulk(json!([
        { "id": "d0", "importMode": "create" },
        { "id": "d1", "importMode": "delete" },
        { "id": "d2", "importMode": "updateIfMatchETag", "eTag": "old", "status": "disabled" },
        { "id": "d3", "importMode": "update", "status": "disabled" },
        { "id": "new", "importMode": "createOrUpdate", "status": "disabled" },
        { "id": "missing", "importMode": "update" },
    ]))
    .await;
    assert_eq!(mixed.status, 400);
    assert_eq!(
        mixed.header("iothub-errorcode"),
        Some("BulkRegistryOperationFailure")
    );
    let errors = mixed.json()["errors"].clone();
    let errors: Vec<_> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["deviceId"].clone(), e["errorCode"].clone()))
        .collect();
    let expected = [
        ("d0", "DeviceAlreadyExists"),
        ("d2", "PreconditionFailed"),
        ("missing", "DeviceNotFound"),
    ];
    assert_eq!(errors, expected.map(|(id, code)| (json!(id), json!(code))));
    assert_eq!(
        ask(&running, "GET", "/devices/d1", &[], "").await.status,
        404,
        "the others were done"
    );
    assert_eq!(
        ask(&running, "GET", "/devices/d3", &[], "").await.json()["status"],
        "disabled"
    );
    assert_eq!(
        ask(&running, "GET", "/devices/new", &[], "").await.json()["status"],
        "disabled"
    );

    let mut too_many = hundred.clone();
    too_many.push(json!({ "id": "one too many" }));
    assert_refused(&bulk(json!(too_many)).await, ErrorCode::TOO_MANY_DEVICES);
    let twice =
        json!([{ "id": "x", "importMode": "create" }, { "id": "x", "importMode": "delete" }]);
    assert_refused(&bulk(twice).await, ErrorCode::DEVICE_DEFINED_MULTIPLE_TIMES);
    for wrong in [
        json!([]),
        json!([{ "importMode": "create" }]),
        json!([{ "id": "x", "importMode": "magic" }]),
    ] {
        assert_refused(&bulk(wrong).await, ErrorCode::ARGUMENT_INVALID);
    }
    assert_eq!(
        ask(&running, "GET", "/devices/x", &[], "").await.status,
        404,
        "nothing of a refused call was done"
    );
}
