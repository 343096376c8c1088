//! Authorities that callers add to a hub: verified by proof of possession, and kept.

use drawspan_emulator::{Config, Emulator, Running};
use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_hub_model::device::Authentication;
use serde_json::{Value, json};

use crate::support::{
    Answer, HUB, Identity, ask, ask_as, ask_raw, assert_refused, config, key, policy,
};
use crate::x509::{Authority, mqtt, pem, send};

const PATH: &str = "/emulator/certificates/devices";

/// Adds an authority, which is not verified.
pub(crate) async fn add(running: &Running, name: &str, authority: &Authority) -> Value {
    let body = json!({ "properties": { "certificate": authority.pem() } }).to_string();
    let path = format!("/emulator/certificates/{name}");
    let added = ask(running, "PUT", &path, &[], &body).await;
    assert_eq!(added.status, 201, "{added:?}");
    added.json()
}

/// Has an authority verified.
pub(crate) async fn verify(running: &Running, name: &str, authority: &Authority) {
    let path = format!("/emulator/certificates/{name}");
    let code = code(running, &path).await;
    let verified = prove(running, &path, &authority.device(&code, 1)).await;
    assert_eq!(verified.status, 200, "{verified:?}");
    let properties = &verified.json()["properties"];
    assert_eq!(properties["isVerified"], true);
    assert_eq!(properties.get("verificationCode"), None);
}

async fn code(running: &Running, path: &str) -> String {
    let path = format!("{path}/generateVerificationCode");
    let answer = ask(running, "POST", &path, &[], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let code = &answer.json()["properties"]["verificationCode"];
    code.as_str().unwrap().to_owned()
}

async fn prove(running: &Running, path: &str, proof: &Identity) -> Answer {
    let body = json!({ "certificate": pem(&proof.chain[0]) }).to_string();
    ask(running, "POST", &format!("{path}/verify"), &[], &body).await
}

fn with_device(config: Config) -> Config {
    let device = DeviceId::parse("a").unwrap();
    Config {
        certificate_devices: vec![(device, Authentication::CertificateAuthority)],
        partitions: 1,
        ..config
    }
}

async fn mqtt_code(running: &Running, identity: &Identity) -> u8 {
    let user = format!("{HUB}/a/?api-version=2021-04-12");
    mqtt(running, Some(identity), "a", &user).await.0
}

#[tokio::test]
async fn devices_of_an_authority_are_refused_until_it_is_verified() {
    let running = Emulator::start(with_device(config())).await.unwrap();
    let authority = Authority::new("devices");
    let device = authority.device("a", 1);
    let added = add(&running, "devices", &authority).await;
    assert_eq!(added["name"], "devices");
    assert_eq!(added["properties"]["isVerified"], false);
    assert_eq!(added["properties"]["subject"], "CN=devices");
    let thumbprint = authority.certificate().sha1_thumbprint();
    assert_eq!(added["properties"]["thumbprint"], thumbprint);
    let expiry = added["properties"]["expiry"].as_str().unwrap();
    assert!(expiry.ends_with(" GMT"), "{expiry}");

    let refused = send(&running, Some(&device), "a").await;
    assert_refused(&refused, ErrorCode::UNAUTHORIZED_ACCESS);
    assert_eq!(mqtt_code(&running, &device).await, 5);
    // The authority's name, and another key.
    let other = Authority::new("devices");
    let none = prove(&running, PATH, &other.device("x", 1)).await;
    assert_refused(&none, ErrorCode::ARGUMENT_INVALID);
    let code = code(&running, PATH).await;
    assert!(
        code.len() == 48 && code.bytes().all(|it| it.is_ascii_hexdigit()),
        "{code}"
    );
    for wrong in [
        other.device(&code, 1),
        authority.device("x", 1),
        authority.device(&code, -1),
    ] {
        let refused = prove(&running, PATH, &wrong).await;
        assert_refused(&refused, ErrorCode::ARGUMENT_INVALID);
    }
    assert_eq!(mqtt_code(&running, &device).await, 5);
    let read = ask(&running, "GET", PATH, &[], "").await;
    assert_eq!(read.json()["properties"]["isVerified"], false);

    verify(&running, "devices", &authority).await;
    assert_eq!(send(&running, Some(&device), "a").await.status, 204);
    assert_eq!(mqtt_code(&running, &device).await, 0);
    let listed = ask(&running, "GET", "/emulator/certificates", &[], "").await;
    let listed = listed.json();
    let names = listed["value"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["devices", "emulator:ca"]);
    // Only this hub has it.
    let read = format!("{PATH}?api-version=2021-04-12");
    let second = crate::support::policy_of("second.test", &key(1), "iothubowner");
    let headers = [("Authorization", second.as_str())];
    let read = ask_raw(&running, "second.test", "GET", &read, &headers, "").await;
    assert_refused(&read, ErrorCode::GENERIC_NOT_FOUND);

    let deleted = ask(&running, "DELETE", PATH, &[], "").await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
    assert_eq!(mqtt_code(&running, &device).await, 5);
    running.shutdown().await;
}

#[tokio::test]
async fn authorities_survive_the_end_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config {
        state: Some(folder.path().into()),
        ..with_device(config())
    };
    let authority = Authority::new("devices");
    let device = authority.device("a", 1);
    let first = Emulator::start(config()).await.unwrap();
    add(&first, "devices", &authority).await;
    add(&first, "other", &Authority::new("other")).await;
    let path = "/emulator/certificates/gone";
    add(&first, "gone", &Authority::new("gone")).await;
    assert_eq!(ask(&first, "DELETE", path, &[], "").await.status, 204);
    let code = code(&first, PATH).await;
    // Not shut down: what was answered must be there all the same.
    drop(first);
    let second = Emulator::start(config()).await.unwrap();
    assert_eq!(mqtt_code(&second, &device).await, 5);
    let proved = prove(&second, PATH, &authority.device(&code, 1)).await;
    assert_eq!(proved.status, 200, "{proved:?}");
    let listed = ask(&second, "GET", "/emulator/certificates", &[], "").await;
    drop(second);
    let third = Emulator::start(config()).await.unwrap();
    assert_eq!(mqtt_code(&third, &device).await, 0);
    let again = ask(&third, "GET", "/emulator/certificates", &[], "").await;
    let named = |answer: &Answer, name: &str| {
        let answer = answer.json();
        let all = answer["value"].as_array().unwrap();
        all.iter().find(|it| it["name"] == name).cloned()
    };
    for name in ["devices", "other"] {
        assert_eq!(named(&again, name), named(&listed, name), "{name}");
    }
    assert_eq!(named(&again, "gone"), None);
    third.shutdown().await;
}

#[tokio::test]
async fn an_authority_is_replaced_by_who_names_its_version() {
    let running = Emulator::start(config()).await.unwrap();
    let authority = Authority::new("devices");
    let etag = add(&running, "devices", &authority).await["etag"].clone();
    let etag = etag.as_str().unwrap();
    let body = json!({ "properties": { "certificate": authority.pem(), "isVerified": true } });
    let body = body.to_string();
    let unnamed = ask(&running, "PUT", PATH, &[], &body).await;
    assert_refused(&unnamed, ErrorCode::PRECONDITION_FAILED);
    let stale = [("If-Match", "\"x\"")];
    for (method, path, body) in [
        ("PUT", PATH, body.as_str()),
        ("DELETE", PATH, ""),
        ("POST", &format!("{PATH}/generateVerificationCode"), ""),
    ] {
        let refused = ask(&running, method, path, &stale, body).await;
        assert_refused(&refused, ErrorCode::PRECONDITION_FAILED);
    }
    let quoted = format!("\"{etag}\"");
    let replaced = ask(&running, "PUT", PATH, &[("If-Match", &quoted)], &body).await;
    assert_eq!(replaced.status, 200, "{replaced:?}");
    let replaced = replaced.json();
    assert_eq!(replaced["properties"]["isVerified"], true);
    let etag = replaced["etag"].as_str().unwrap();
    let deleted = ask(&running, "DELETE", PATH, &[("If-Match", etag)], "").await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
    running.shutdown().await;
}

#[tokio::test]
async fn what_is_no_authority_and_who_may_not_are_refused() {
    let running = Emulator::start(with_device(config())).await.unwrap();
    let authority = Authority::new("devices");
    let put = async |path: &str, certificate: &str| {
        let body = json!({ "properties": { "certificate": certificate } }).to_string();
        ask(&running, "PUT", path, &[], &body).await
    };
    let leaf = pem(&authority.device("a", 1).chain[0]);
    for (path, certificate) in [
        (PATH, leaf.as_str()),
        (PATH, "rubbish!"),
        (PATH, ""),
        ("/emulator/certificates/a%20b", &authority.pem()),
        ("/emulator/certificates/emulator:ca", &authority.pem()),
    ] {
        assert_refused(&put(path, certificate).await, ErrorCode::ARGUMENT_INVALID);
    }
    let own = "/emulator/certificates/emulator:ca";
    let deleted = ask(&running, "DELETE", own, &[], "").await;
    assert_refused(&deleted, ErrorCode::ARGUMENT_INVALID);
    for (method, path) in [
        ("GET", PATH.to_owned()),
        ("DELETE", PATH.to_owned()),
        ("POST", format!("{PATH}/generateVerificationCode")),
    ] {
        let missing = ask(&running, method, &path, &[], "").await;
        assert_refused(&missing, ErrorCode::GENERIC_NOT_FOUND);
    }
    let body = json!({ "properties": { "certificate": authority.pem() } }).to_string();
    let as_of = async |name: &str, method: &str, body: &str| {
        let token = policy(&key(1), name);
        let headers = [("Authorization", token.as_str())];
        ask_raw(&running, HUB, method, PATH, &headers, body).await
    };
    let refused = as_of("service", "PUT", &body).await;
    assert_refused(&refused, ErrorCode::UNAUTHORIZED_ACCESS);
    let refused = as_of("registryRead", "PUT", &body).await;
    assert_refused(&refused, ErrorCode::UNAUTHORIZED_ACCESS);
    let bare = ask_raw(&running, HUB, "GET", PATH, &[], "").await;
    assert_refused(&bare, ErrorCode::UNAUTHORIZED);
    let device = authority.device("a", 1);
    let by_certificate = ask_as(&running, Some(&device), ("GET", PATH), "").await;
    assert_refused(&by_certificate, ErrorCode::UNAUTHORIZED);
    assert_eq!(as_of("registryReadWrite", "PUT", &body).await.status, 201);
    running.shutdown().await;
}
