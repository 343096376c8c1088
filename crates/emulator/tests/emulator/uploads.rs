//! File uploads over real sockets: places, ends, and the storage of the files.

use std::path::Path;

use drawspan_emulator::{Config, Emulator, Running};
use drawspan_hub::{DeviceId, ErrorCode, sas};
use serde_json::{Value, json};

use crate::support::{Answer, HUB, ask_raw, assert_refused, config};

fn with_devices(ids: &[&str]) -> Config {
    let mut config = config();
    config.devices = ids.iter().map(|id| DeviceId::parse(id).unwrap()).collect();
    config
}

async fn start(ids: &[&str]) -> Running {
    Emulator::start(with_devices(ids)).await.unwrap()
}

fn token(running: &Running, id: &str) -> String {
    let hub = &running.hubs().hubs()[0];
    let id = DeviceId::parse(id).unwrap();
    let string = hub.device_connection_string(&id).unwrap();
    let resource = sas::device_resource(hub.host(), &id, None);
    sas::sign(&resource, &string.key, hub.now_unix_ms() / 1000 + 600, None)
}

/// A device's request, without a version of the interface.
async fn device(running: &Running, id: &str, target: &str, body: &Value) -> Answer {
    let token = token(running, id);
    let headers = [("Authorization", token.as_str())];
    ask_raw(running, HUB, "POST", target, &headers, &body.to_string()).await
}

async fn begin(running: &Running, id: &str, name: &str) -> Value {
    let target = format!("/devices/{}/files", id.replace('#', "%23"));
    let answer = device(running, id, &target, &json!({ "blobName": name })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn end(running: &Running, id: &str, correlation: &Value, success: bool) -> Answer {
    let target = format!("/devices/{id}/files/notifications");
    let body = json!({ "correlationId": correlation, "isSuccess": success, "statusCode": 201 });
    device(running, id, &target, &body).await
}

/// A request to the storage, by the signature of a place.
async fn storage(
    running: &Running,
    place: &Value,
    method: &str,
    more: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let text = |name: &str| place[name].as_str().unwrap();
    let (container, blob) = (text("containerName"), text("blobName"));
    let target = format!("/{container}/{blob}{}{more}", text("sasToken"));
    ask_raw(running, text("hostName"), method, &target, headers, body).await
}

const BLOCK_BLOB: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

async fn put(running: &Running, place: &Value, body: &str) -> Answer {
    storage(running, place, "PUT", "", &[BLOCK_BLOB], body).await
}

fn assert_storage_refuses(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("x-ms-error-code"), Some(code), "{answer:?}");
    let expected = format!("<Code>{code}</Code>");
    assert!(answer.body.contains(&expected), "{answer:?}");
}

fn waiting(running: &Running) -> usize {
    running.hubs().hubs()[0].file_notification_count()
}

#[tokio::test]
async fn a_file_from_its_place_to_its_notification() {
    let running = start(&["a"]).await;
    let place = begin(&running, "a", "dir/photo.jpg").await;
    assert_eq!(place["hostName"], HUB);
    assert_eq!(place["blobName"], "a/dir/photo.jpg");
    assert!(place["sasToken"].as_str().unwrap().starts_with("?sv="));
    let missing = end(&running, "a", &place["correlationId"], true).await;
    assert_refused(&missing, ErrorCode::INVALID_STORAGE_ENDPOINT_OR_BLOB);

    let headers = [
        BLOCK_BLOB,
        ("x-ms-blob-content-type", "image/jpeg"),
        ("x-ms-meta-camera", "2"),
        ("x-ms-client-request-id", "mine"),
        ("Content-MD5", "eB5eJF1ptWaXm4bijSPyxw=="),
    ];
    let answer = storage(&running, &place, "PUT", "", &headers, "0123456789").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("x-ms-client-request-id"), Some("mine"));
    assert!(answer.header("x-ms-request-id").is_some());
    let read = storage(&running, &place, "GET", "", &[], "").await;
    assert_eq!((read.status, read.body.as_str()), (200, "0123456789"));
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("x-ms-meta-camera", "2"),
        ("content-md5", "eB5eJF1ptWaXm4bijSPyxw=="),
        ("content-length", "10"),
        ("etag", answer.header("etag").unwrap()),
    ] {
        assert_eq!(read.header(name), Some(value), "{name}: {read:?}");
    }
    let range = [("x-ms-range", "bytes=2-4")];
    let part = storage(&running, &place, "GET", "", &range, "").await;
    assert_eq!((part.status, part.body.as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let beyond = [("Range", "bytes=10-")];
    let refused = storage(&running, &place, "GET", "", &beyond, "").await;
    assert_storage_refuses(&refused, 416, "InvalidRange");
    let head = storage(&running, &place, "HEAD", "", &[], "").await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("10"))
    );

    assert_eq!(waiting(&running), 0);
    let ended = end(&running, "a", &place["correlationId"], true).await;
    assert_eq!((ended.status, ended.body.as_str()), (204, ""));
    assert_eq!(waiting(&running), 1);
    let again = end(&running, "a", &place["correlationId"], true).await;
    assert_refused(&again, ErrorCode::INVALID_FILE_UPLOAD_CORRELATION_ID);
}

#[tokio::test]
async fn every_spelling_of_the_two_requests() {
    let running = start(&["a#b"]).await;
    for files in [
        "/devices/a%23b/files",
        "/devices/a%23b/files/?api-version=2016-11-14",
    ] {
        let answer = device(&running, "a#b", files, &json!({ "blobName": "x" })).await;
        assert_eq!(
            (answer.status, &answer.json()["blobName"]),
            (200, &json!("a#b/x"))
        );
    }
    let base = "/devices/a%23b/files/notifications";
    for (rest, is_in_body) in [("", true), ("/", true), ("/{}", false), ("/{}", true)] {
        let place = begin(&running, "a#b", "x").await;
        let correlation = place["correlationId"].as_str().unwrap();
        let target = format!("{base}{}", rest.replace("{}", correlation));
        let mut body = json!({ "isSuccess": false, "statusCode": 500, "statusDescription": "no" });
        if is_in_body {
            body["correlationId"] = correlation.into();
        }
        let answer = device(&running, "a#b", &target, &body).await;
        assert_eq!(answer.status, 204, "{target}: {answer:?}");
    }
    assert_eq!(waiting(&running), 0, "failed uploads are not notified");
    let place = begin(&running, "a#b", "x").await;
    let body = json!({ "correlationId": place["correlationId"] });
    let answer = device(&running, "a#b", base, &body).await;
    assert_refused(&answer, ErrorCode::INVALID_FILE_UPLOAD_COMPLETION_STATUS);
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let running = start(&["a", "b"]).await;
    let target = "/devices/a/files";
    let body = json!({ "blobName": "x" });
    let answer = ask_raw(&running, HUB, "POST", target, &[], &body.to_string()).await;
    assert_refused(&answer, ErrorCode::UNAUTHORIZED);
    let other = device(&running, "b", target, &body).await;
    assert_refused(&other, ErrorCode::UNAUTHORIZED_ACCESS);
    for name in ["", "x/", "a\u{7}"] {
        let answer = device(&running, "a", target, &json!({ "blobName": name })).await;
        assert_refused(&answer, ErrorCode::ARGUMENT_INVALID);
    }
    let place = begin(&running, "a", "x").await;
    let foreign = end(&running, "b", &place["correlationId"], false).await;
    assert_refused(&foreign, ErrorCode::INVALID_FILE_UPLOAD_CORRELATION_ID);
    for _ in 1..10 {
        begin(&running, "a", "x").await;
    }
    let eleventh = device(&running, "a", target, &body).await;
    assert_refused(
        &eleventh,
        ErrorCode::DEVICE_MAXIMUM_ACTIVE_FILE_UPLOAD_LIMIT_EXCEEDED,
    );
}

#[tokio::test]
async fn the_storage_takes_what_is_signed_and_refuses_the_rest_by_name() {
    let running = start(&["a"]).await;
    let place = begin(&running, "a", "x").await;
    let refused = async |method: &str, more: &str, headers: &[(&str, &str)], status, code| {
        let answer = storage(&running, &place, method, more, headers, "x").await;
        assert_storage_refuses(&answer, status, code);
    };
    let wrong_md5 = [BLOCK_BLOB, ("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    refused("PUT", "", &wrong_md5, 400, "Md5Mismatch").await;
    refused(
        "PUT",
        "",
        &[BLOCK_BLOB, ("Content-MD5", "AA==")],
        400,
        "InvalidMd5",
    )
    .await;
    refused("PUT", "", &[], 400, "MissingRequiredHeader").await;
    refused(
        "PUT",
        "",
        &[("x-ms-blob-type", "PageBlob")],
        501,
        "NotImplemented",
    )
    .await;
    let copy = [BLOCK_BLOB, ("x-ms-copy-source", "https://a/b")];
    refused("PUT", "", &copy, 501, "NotImplemented").await;
    refused(
        "PUT",
        "&comp=metadata",
        &[BLOCK_BLOB],
        501,
        "NotImplemented",
    )
    .await;
    refused("POST", "", &[], 501, "NotImplemented").await;
    refused("PUT", "&comp=block", &[], 400, "InvalidQueryParameterValue").await;
    refused("PUT", "&comp=blocklist", &[], 400, "InvalidXmlDocument").await;
    refused("DELETE", "", &[], 403, "AuthorizationPermissionMismatch").await;
    refused("GET", "&sp=rwd", &[], 403, "AuthenticationFailed").await;
    refused("GET", "", &[], 404, "BlobNotFound").await;
    let present = [BLOCK_BLOB, ("If-Match", "*")];
    refused("PUT", "", &present, 412, "ConditionNotMet").await;
    let mut other = place.clone();
    other["blobName"] = "a/y".into();
    let answer = put(&running, &other, "x").await;
    assert_storage_refuses(&answer, 403, "AuthenticationFailed");
    // The second hub has a storage of its own.
    let mut elsewhere = place.clone();
    elsewhere["hostName"] = "second.test".into();
    let read = put(&running, &place, "of the first").await;
    assert_eq!(read.status, 201, "{read:?}");
    let answer = storage(&running, &elsewhere, "GET", "", &[], "").await;
    assert_storage_refuses(&answer, 404, "BlobNotFound");
    let absent = [BLOCK_BLOB, ("If-None-Match", "*")];
    refused("PUT", "", &absent, 409, "BlobAlreadyExists").await;
    let answer = ask_raw(&running, HUB, "GET", "/uploads/a/x", &[], "").await;
    assert_storage_refuses(&answer, 401, "NoAuthenticationInformation");
}

#[tokio::test]
async fn files_beyond_the_quota_are_refused_and_one_of_them_makes_room_when_it_goes() {
    let mut config = with_devices(&["a"]);
    config.limits.blob_bytes = 1_000;
    let running = Emulator::start(config).await.unwrap();
    let first = begin(&running, "a", "first").await;
    assert_eq!(put(&running, &first, &"x".repeat(900)).await.status, 201);
    let second = begin(&running, "a", "second").await;
    let full = put(&running, &second, &"x".repeat(101)).await;
    assert_storage_refuses(&full, 403, "StorageQuotaExceeded");
    assert!(full.body.contains("--upload-size"), "{full:?}");

    // The user's own address, as the banner shows it.
    let text = running.banner();
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("uploads "));
    let (_, query) = line.unwrap().split_once('?').unwrap();
    let user = async |method: &str, path: &str, more: &str| {
        let target = format!("{path}?{query}{more}");
        ask_raw(&running, HUB, method, &target, &[], "").await
    };
    let list = user("GET", "/uploads", "&restype=container&comp=list").await;
    assert_eq!(list.status, 200, "{list:?}");
    assert!(list.body.contains("<Name>a/first</Name>"), "{list:?}");
    assert!(!list.body.contains("a/second"), "{list:?}");
    assert_eq!(user("GET", "/uploads/a/first", "").await.body.len(), 900);
    let write = user("PUT", "/uploads/a/first", "").await;
    assert_storage_refuses(&write, 403, "AuthorizationPermissionMismatch");
    assert_eq!(user("DELETE", "/uploads/a/first", "").await.status, 202);
    assert_eq!(put(&running, &second, &"x".repeat(101)).await.status, 201);
}

fn kept(folder: &Path) -> Config {
    let mut config = with_devices(&["a"]);
    config.state = Some(folder.to_path_buf());
    config
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_with_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let running = Emulator::start(kept(folder.path())).await.unwrap();
    let done = begin(&running, "a", "done").await;
    assert_eq!(put(&running, &done, "done").await.status, 201);
    assert_eq!(
        end(&running, "a", &done["correlationId"], true)
            .await
            .status,
        204
    );
    let under_way = begin(&running, "a", "blocks").await;
    for (id, body) in [("AAAA", "one "), ("AAAB", "two")] {
        let more = format!("&comp=block&blockid={id}");
        let answer = storage(&running, &under_way, "PUT", &more, &[], body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    // Not shut down: what was answered must be there all the same.
    drop(running);
    let running = Emulator::start(kept(folder.path())).await.unwrap();
    assert_eq!(waiting(&running), 1);
    assert_eq!(
        storage(&running, &done, "GET", "", &[], "").await.body,
        "done"
    );
    let list = "<BlockList><Latest>AAAA</Latest><Latest>AAAB</Latest></BlockList>";
    let answer = storage(&running, &under_way, "PUT", "&comp=blocklist", &[], list).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let read = storage(&running, &under_way, "GET", "", &[], "").await;
    assert_eq!(read.body, "one two");
    let ended = end(&running, "a", &under_way["correlationId"], true).await;
    assert_eq!(ended.status, 204, "{ended:?}");
    running.shutdown().await;
    let names = std::fs::read_dir(folder.path().join("uploads").join(HUB)).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["0000000000000001-a_done", "0000000000000004-a_blocks"]
    );
    let mut anew = kept(folder.path());
    anew.reset = true;
    let running = Emulator::start(anew).await.unwrap();
    assert!(!folder.path().join("uploads").exists());
    assert_eq!(waiting(&running), 0);
}
