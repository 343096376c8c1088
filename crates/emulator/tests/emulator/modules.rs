//! Modules in the registry, and their twins, asked as the service SDKs ask.

use drawspan_emulator::{Config, Emulator, Running};
use drawspan_hub::{DeviceId, ErrorCode};
use serde_json::{Value, json};

use crate::support::{Answer, ask, assert_refused, config, key, policy, set_status};

async fn start(devices: &[&str]) -> Running {
    let devices = devices.iter().map(|id| DeviceId::parse(id).unwrap());
    let config = Config {
        devices: devices.collect(),
        ..config()
    };
    Emulator::start(config).await.unwrap()
}

/// Writes a module, as new or in place of that version.
async fn put(running: &Running, path: &str, etag: Option<&str>, body: Value) -> Answer {
    let headers: Vec<_> = etag.iter().map(|etag| ("If-Match", *etag)).collect();
    ask(running, "PUT", path, &headers, &body.to_string()).await
}

fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let name = |it: &Value| {
        let [device, module] = ["deviceId", "moduleId"].map(|id| it[id].as_str().unwrap_or("-"));
        format!("{device}/{module}")
    };
    answer.json().as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn a_module_from_creation_to_deletion() {
    let running = start(&["a"]).await;
    let path = "/devices/a/modules/m";
    let body = json!({ "deviceId": "a", "moduleId": "m", "managedBy": "me" });
    let created = put(&running, path, None, body.clone()).await;
    assert_eq!(created.status, 200, "{created:?}");
    let module = created.json();
    assert_eq!(
        [
            &module["deviceId"],
            &module["moduleId"],
            &module["managedBy"]
        ],
        [&json!("a"), &json!("m"), &json!("me")]
    );
    assert_eq!(module["connectionState"], "Disconnected");
    assert_eq!(module["authentication"]["type"], "sas");
    let key = module["authentication"]["symmetricKey"]["primaryKey"].as_str();
    assert_eq!(key.unwrap().len(), 44);
    let etag = format!("\"{}\"", module["etag"].as_str().unwrap());
    assert_eq!(created.header("etag"), Some(etag.as_str()));
    assert_eq!(ask(&running, "GET", path, &[], "").await.json(), module);
    assert_eq!(
        names(&ask(&running, "GET", "/devices/a/modules", &[], "").await),
        ["a/m"]
    );

    let again = put(&running, path, None, body.clone()).await;
    assert_refused(&again, ErrorCode::MODULE_ALREADY_EXISTS_ON_DEVICE);
    assert!(
        again
            .body
            .contains("Device a in IotHub contoso already contains Module m."),
        "{again:?}"
    );
    let stale = put(&running, path, Some("\"old\""), body.clone()).await;
    assert_refused(&stale, ErrorCode::PRECONDITION_FAILED);
    let updated = put(&running, path, Some(&etag), json!({ "managedBy": "you" }))
        .await
        .json();
    assert_eq!(updated["managedBy"], "you");
    assert_eq!(updated["generationId"], module["generationId"]);
    assert_ne!(updated["etag"], module["etag"]);

    let stale = ask(&running, "DELETE", path, &[("If-Match", &etag)], "").await;
    assert_refused(&stale, ErrorCode::PRECONDITION_FAILED);
    let deleted = ask(&running, "DELETE", path, &[("If-Match", "*")], "").await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    for method in ["GET", "DELETE"] {
        let gone = ask(&running, method, path, &[], "").await;
        assert_refused(&gone, ErrorCode::MODULE_NOT_FOUND);
    }
    let gone = put(&running, path, Some("*"), body).await;
    assert_refused(&gone, ErrorCode::MODULE_NOT_FOUND);
}

#[tokio::test]
async fn what_is_refused() {
    let running = start(&["a"]).await;
    let none = json!({});
    for (path, code) in [
        ("/devices/x/modules/m", ErrorCode::DEVICE_NOT_FOUND),
        ("/devices/a/modules/a%20b", ErrorCode::ARGUMENT_INVALID),
    ] {
        assert_refused(&put(&running, path, None, none.clone()).await, code);
        assert_refused(&ask(&running, "GET", path, &[], "").await, code);
    }
    assert_refused(
        &ask(&running, "GET", "/devices/x/modules", &[], "").await,
        ErrorCode::DEVICE_NOT_FOUND,
    );
    let other = put(
        &running,
        "/devices/a/modules/m",
        None,
        json!({ "moduleId": "n" }),
    )
    .await;
    assert_refused(&other, ErrorCode::ARGUMENT_INVALID);
    for (method, path, body) in [
        ("PUT", "/devices/a/modules/$edgeAgent", "{}"),
        (
            "PUT",
            "/devices/b",
            r#"{"deviceScope":"ms-azure-iot-edge://e-1"}"#,
        ),
        ("POST", "/devices/a/modules/m/messages/events", "x"),
        (
            "POST",
            "/devices/a/modules/$edgeHub/getDeviceAndModuleInDeviceScope",
            "{}",
        ),
        ("POST", "/devices/a/applyConfigurationContent", "{}"),
    ] {
        let answer = ask(&running, method, path, &[], body).await;
        assert_eq!(answer.status, 501, "{path}: {answer:?}");
        assert!(answer.body.contains("Edge"), "{path}: {answer:?}");
    }
    let token = policy(&key(1), "registryRead");
    let headers = [("Authorization", token.as_str())];
    let answer = ask(&running, "PUT", "/devices/a/modules/m", &headers, "{}").await;
    assert_refused(&answer, ErrorCode::UNAUTHORIZED_ACCESS);
    for number in 0..50 {
        let path = format!("/devices/a/modules/m{number}");
        assert_eq!(put(&running, &path, None, none.clone()).await.status, 200);
    }
    let many = put(&running, "/devices/a/modules/m50", None, none).await;
    assert_refused(&many, ErrorCode::TOO_MANY_MODULES_ON_DEVICE);
}

#[tokio::test]
async fn a_module_has_a_twin_of_its_own() {
    let running = start(&["a"]).await;
    put(&running, "/devices/a/modules/m", None, json!({})).await;
    let path = "/twins/a/modules/m";
    let twin = ask(&running, "GET", path, &[], "").await;
    let etag = twin.header("etag").unwrap().to_owned();
    let twin = twin.json();
    assert_eq!(
        [
            &twin["deviceId"],
            &twin["moduleId"],
            &twin["status"],
            &twin["version"]
        ],
        [&json!("a"), &json!("m"), &json!("enabled"), &json!(2)]
    );
    let body =
        json!({ "tags": { "t": 1 }, "properties": { "desired": { "level": 3 } } }).to_string();
    let headers = [("If-Match", etag.as_str())];
    let changed = ask(&running, "PATCH", path, &headers, &body).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.json()["properties"]["desired"]["level"], 3);
    let stale = ask(&running, "PATCH", path, &headers, &body).await;
    assert_refused(&stale, ErrorCode::PRECONDITION_FAILED);
    let device = ask(&running, "GET", "/twins/a", &[], "").await.json();
    assert_eq!(
        (&device["tags"], &device["version"]),
        (&json!({}), &json!(2))
    );
    assert_eq!(device.get("moduleId"), None);
    let replaced = ask(&running, "PUT", path, &[], r#"{"tags":{"u":2}}"#)
        .await
        .json();
    assert_eq!(replaced["tags"], json!({ "u": 2 }));
    for (path, code) in [
        ("/twins/a/modules/x", ErrorCode::MODULE_NOT_FOUND),
        ("/twins/x/modules/m", ErrorCode::DEVICE_NOT_FOUND),
    ] {
        assert_refused(&ask(&running, "GET", path, &[], "").await, code);
        assert_refused(&ask(&running, "PATCH", path, &[], "{}").await, code);
        let body = r#"{"methodName":"x"}"#;
        let call = ask(&running, "POST", &format!("{path}/methods"), &[], body).await;
        assert_eq!(call.status, 404, "{call:?}");
        assert_eq!(call.header("iothub-errorcode"), code.name());
    }
    let body = r#"{"methodName":"x"}"#;
    let call = ask(&running, "POST", "/twins/a/modules/m/methods", &[], body).await;
    assert_eq!(call.header("iothub-errorcode"), Some("DeviceNotOnline"));
}

#[tokio::test]
async fn modules_in_bulk_and_in_queries() {
    let running = start(&["a", "b"]).await;
    let item = |id: &str, module: &str, mode: &str| json!({ "id": id, "moduleId": module, "importMode": mode });
    let bulk =
        async |items: Value| ask(&running, "POST", "/devices", &[], &items.to_string()).await;
    let modules = [("a", "m"), ("a", "n"), ("b", "m")];
    let items: Vec<Value> = modules
        .map(|(id, module)| item(id, module, "create"))
        .to_vec();
    assert_eq!(bulk(items.into()).await.json()["isSuccessful"], true);
    let answer = bulk(json!([
        item("a", "m", "create"),
        item("a", "m2", "createOrUpdate"),
        item("a", "n", "delete"),
        item("x", "m", "update"),
        { "id": "a", "importMode": "update" }
    ]))
    .await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let errors = answer.json()["errors"].clone();
    assert_eq!(errors[0]["moduleId"], "m");
    assert_eq!(errors[0]["errorCode"], "ModuleAlreadyExistsOnDevice");
    assert_eq!(errors[1]["errorCode"], "DeviceNotFound");
    assert_eq!(errors.as_array().unwrap().len(), 2);

    let query = async |text: &str, headers: &[(&str, &str)]| {
        let body = json!({ "query": text }).to_string();
        ask(&running, "POST", "/devices/query", headers, &body).await
    };
    let all = query("SELECT * FROM devices.modules", &[]).await;
    assert_eq!(names(&all), ["a/m", "a/m2", "b/m"]);
    assert_eq!(all.header("x-ms-item-type"), Some("Twin"));
    assert_eq!(all.header("x-ms-continuation"), None);
    let (mut seen, mut next) = (Vec::new(), String::new());
    for _ in 0..2 {
        let headers = [("x-ms-max-item-count", "2"), ("x-ms-continuation", &*next)];
        let page = query("select * from devices.modules", &headers).await;
        seen.extend(names(&page));
        next = page
            .header("x-ms-continuation")
            .unwrap_or_default()
            .to_owned();
    }
    assert_eq!((seen.len(), next.as_str()), (3, ""));
    let of_one = "SELECT * FROM devices.modules WHERE deviceId = 'a'";
    assert_eq!(names(&query(of_one, &[]).await), ["a/m", "a/m2"]);
    let headers = [("x-ms-max-item-count", "1")];
    let page = query(of_one, &headers).await;
    let next = page.header("x-ms-continuation").unwrap();
    let page = query(of_one, &[headers[0], ("x-ms-continuation", next)]).await;
    assert_eq!(names(&page), ["a/m2"]);
    assert_eq!(page.header("x-ms-continuation"), None);
    let devices = query("SELECT * FROM devices", &[]).await;
    assert_eq!(names(&devices), ["a/-", "b/-"]);
}

#[tokio::test]
async fn modules_survive_the_end_of_the_process_and_go_with_their_device() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config {
        state: Some(folder.path().into()),
        devices: vec![DeviceId::parse("a").unwrap()],
        ..config()
    };
    let first = Emulator::start(config()).await.unwrap();
    let path = "/devices/a/modules/m";
    let module = put(&first, path, None, json!({ "managedBy": "me" }))
        .await
        .json();
    let body = json!({ "tags": { "t": 1 } }).to_string();
    let twin = ask(&first, "PATCH", "/twins/a/modules/m", &[], &body)
        .await
        .json();
    // Not shut down: what was answered must be there all the same.
    drop(first);
    let second = Emulator::start(config()).await.unwrap();
    assert_eq!(ask(&second, "GET", path, &[], "").await.json(), module);
    assert_eq!(
        ask(&second, "GET", "/twins/a/modules/m", &[], "")
            .await
            .json(),
        twin
    );
    set_status(&second, "a", "disabled").await;
    assert_eq!(ask(&second, "GET", path, &[], "").await.json(), module);
    assert_eq!(
        ask(&second, "DELETE", "/devices/a", &[], "").await.status,
        204
    );
    drop(second);
    // The device is created again, without modules.
    let third = Emulator::start(config()).await.unwrap();
    assert_refused(
        &ask(&third, "GET", path, &[], "").await,
        ErrorCode::MODULE_NOT_FOUND,
    );
    let created = put(&third, path, None, json!({})).await;
    assert_eq!(created.status, 200);
    let fresh = ask(&third, "GET", "/twins/a/modules/m", &[], "")
        .await
        .json();
    assert_eq!((&fresh["version"], &fresh["tags"]), (&json!(2), &json!({})));
    third.shutdown().await;
}
