//! Registration over real sockets, asked as the device SDKs ask.

use std::time::{SystemTime, UNIX_EPOCH};

use drawspan_emulator::{Config, Emulator, GroupSpec, Observations, Running};
use drawspan_hub::{DeviceId, HostName, RegistrationId, SymmetricKey, sas};
use drawspan_hub_model::dps::Allocation;
use serde_json::{Value, json};

use crate::support::{Answer, HUB, ask, ask_raw, config, key};

const SCOPE: &str = "0ne00000001";
const DPS: &str = "dps.test";
const SECOND: &str = "second.test";

/// One group with keys 5 and 6; every device goes to the first hub.
fn provisioning() -> Config {
    let mut config = config();
    config.provisioning.groups = vec![GroupSpec {
        name: "meters".into(),
        primary: Some(key(5)),
        secondary: Some(key(6)),
    }];
    config.provisioning.allocation = Allocation::Static(HostName::parse(HUB).unwrap());
    config
}

async fn start() -> Running {
    Emulator::start(provisioning()).await.unwrap()
}

fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

pub(crate) fn token(id: &str, key: &SymmetricKey) -> String {
    let resource = sas::registration_resource(SCOPE, id);
    sas::sign(&resource, key, now_s() + 3_600, Some("registration"))
}

async fn send(running: &Running, method: &str, target: &str, token: &str, body: &str) -> Answer {
    let headers = [("Authorization", token)];
    ask_raw(running, DPS, method, target, &headers, body).await
}

pub(crate) async fn register(running: &Running, id: &str, token: &str) -> Answer {
    let target = format!("/{SCOPE}/registrations/{id}/register?api-version=2019-03-31");
    let body = json!({"registrationId": id, "payload": {"modelId": "dtmi:a;1"}}).to_string();
    send(running, "PUT", &target, token, &body).await
}

async fn poll(running: &Running, id: &str, operation: &str, token: &str) -> Answer {
    let target = format!("/{SCOPE}/registrations/{id}/operations/{operation}?api-version=x");
    send(running, "GET", &target, token, "").await
}

/// Registers, and waits for the assignment as SDKs do.
async fn assigned(running: &Running, id: &str, group_key: &SymmetricKey) -> Value {
    let token = token(id, &group_key.derive(id));
    let answer = register(running, id, &token).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("3"));
    let answer = answer.json();
    assert_eq!(answer["status"], "assigning");
    let operation = answer["operationId"].as_str().unwrap();
    assert!(operation.starts_with("4."), "{operation}");
    let answer = poll(running, id, operation, &token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["status"], "assigned");
    assert_eq!(answer["operationId"], operation);
    answer["registrationState"].clone()
}

#[tokio::test]
async fn a_service_that_asks_nobody_to_wait_assigns_in_its_first_answer() {
    let mut config = provisioning();
    config.provisioning.retry_after_s = 0;
    let running = Emulator::start(config).await.unwrap();
    let token = token("a", &key(5).derive("a"));
    let answer = register(&running, "a", &token).await;
    assert_eq!((answer.status, answer.header("retry-after")), (202, None));
    let registered = answer.json();
    assert_eq!(registered["status"], "assigned");
    assert_eq!(registered["registrationState"]["assignedHub"], HUB);
    let operation = registered["operationId"].as_str().unwrap();
    let polled = poll(&running, "a", operation, &token).await;
    assert_eq!((polled.status, polled.json()), (200, registered));
}

/// The keys that the first hub has for a device.
async fn keys(running: &Running, id: &str) -> (Value, Value) {
    let device = ask(running, "GET", &format!("/devices/{id}"), &[], "").await;
    let keys = &device.json()["authentication"]["symmetricKey"];
    (keys["primaryKey"].clone(), keys["secondaryKey"].clone())
}

fn derived(byte: u8, id: &str) -> Value {
    json!(key(byte).derive(id).to_base64())
}

#[tokio::test]
async fn a_new_device_gets_its_hub_and_an_identity_there() {
    let running = start().await;
    for (id, byte) in [("Dev-1", 5), ("dev:2", 6)] {
        let state = assigned(&running, id, &key(byte)).await;
        assert_eq!(state["registrationId"], id);
        assert_eq!(
            (&state["assignedHub"], &state["deviceId"]),
            (&json!(HUB), &json!(id))
        );
        assert_eq!(state["status"], "assigned");
        assert_eq!(state["substatus"], "initialAssignment");
        assert_eq!(state["symmetricKey"]["enrollmentGroupId"], "meters");
        assert!(state["createdDateTimeUtc"].as_str().unwrap().ends_with('Z'));
        let expected = (derived(5, id), derived(6, id));
        assert_eq!(keys(&running, id).await, expected);
    }
    let token = token("dev-1", &key(5).derive("dev-1"));
    let target = format!("/{SCOPE}/registrations/dev-1?api-version=2019-03-31");
    let found = send(&running, "POST", &target, &token, "").await;
    assert_eq!(found.status, 200, "{found:?}");
    assert_eq!(
        found.json()["deviceId"],
        "Dev-1",
        "names compare without case"
    );

    let observed = send(&running, "GET", "/emulator/observations", "", "").await;
    let expected = json!({"dps": {"registrations": 2, "polls": 2, "lookups": 1}});
    assert_eq!(observed.json(), expected);
    let expected = Observations {
        registrations: 2,
        polls: 2,
        lookups: 1,
    };
    assert_eq!(running.dps().observations(), expected);
    let kept = send(&running, "GET", "/emulator/registrations/Dev-1", "", "").await;
    assert_eq!(kept.json()["payload"], json!({"modelId": "dtmi:a;1"}));
    let twin = ask(&running, "GET", "/twins/Dev-1", &[], "").await;
    assert_eq!(twin.json()["modelId"], "dtmi:a;1");
}

#[tokio::test]
async fn a_device_keeps_its_hub_and_moves_when_it_is_allocated_elsewhere() {
    let running = start().await;
    for _ in 0..2 {
        let state = assigned(&running, "b", &key(5)).await;
        assert_eq!(state["substatus"], "initialAssignment");
    }

    let second = HostName::parse(SECOND).unwrap();
    running.dps().set_allocation(Allocation::Static(second));
    let state = assigned(&running, "b", &key(5)).await;
    assert_eq!(state["assignedHub"], SECOND);
    assert_eq!(state["substatus"], "deviceDataMigrated");
    let gone = ask(&running, "GET", "/devices/b", &[], "").await;
    assert_eq!(gone.status, 404, "{gone:?}");
    let device = drawspan_hub::DeviceId::parse("b").unwrap();
    assert!(
        running
            .hubs()
            .find(SECOND)
            .unwrap()
            .device(&device)
            .is_some()
    );
    let again = assigned(&running, "b", &key(5)).await;
    assert_eq!(again["substatus"], "initialAssignment");
}

#[tokio::test]
async fn a_device_that_the_hub_knows_already_gets_its_keys_by_registering() {
    let running = start().await;
    let body = r#"{"deviceId":"a","status":"disabled","statusReason":"broken"}"#;
    let before = ask(&running, "PUT", "/devices/a", &[], body).await.json();
    let old = keys(&running, "a").await;
    assert_eq!(assigned(&running, "a", &key(6)).await["assignedHub"], HUB);
    let new = keys(&running, "a").await;
    assert_eq!(new, (derived(5, "a"), derived(6, "a")));
    assert_ne!(new, old);
    let device = ask(&running, "GET", "/devices/a", &[], "").await.json();
    for kept in ["generationId", "status", "statusReason"] {
        assert_eq!(device[kept], before[kept], "{kept}");
    }
}

#[tokio::test]
async fn refusals_are_worded_as_the_service_words_them() {
    let running = start().await;
    let check = |answer: &Answer, status: u16, code: u32| {
        assert_eq!(answer.status, status, "{answer:?}");
        let body = answer.json();
        assert_eq!(body["errorCode"], code, "{body}");
        assert!(body["trackingId"].as_str().unwrap().len() == 36, "{body}");
        assert!(body["timestampUtc"].is_string() && body["info"].is_object());
    };
    let own = key(5).derive("a");
    let good = token("a", &own);
    // A group's own key is no device's.
    for wrong in [token("a", &key(5)), token("b", &own), "x".into()] {
        check(&register(&running, "a", &wrong).await, 401, 401_002);
    }
    let resource = sas::registration_resource(SCOPE, "a");
    let expired = sas::sign(&resource, &own, now_s() - 600, Some("registration"));
    check(&register(&running, "a", &expired).await, 401, 401_002);
    let put = async |target: &str, body: &str| send(&running, "PUT", target, &good, body).await;
    let target = format!("/{SCOPE}/registrations/a/register");
    let target = target.as_str();
    check(
        &put("/0neX/registrations/a/register", "{}").await,
        404,
        404_201,
    );
    check(&put(target, "").await, 400, 400_004);
    check(&put(target, "[]").await, 400, 400_004);
    check(
        &put(target, r#"{"registrationId":"b"}"#).await,
        400,
        400_004,
    );
    let large = format!(r#"{{"payload":"{}"}}"#, "x".repeat(100_000));
    check(&put(target, &large).await, 413, 413_001);
    let larger = format!(r#"{{"payload":"{}"}}"#, "x".repeat(3_000_000));
    check(&put(target, &larger).await, 413, 413_001);
    let bad = format!("/{SCOPE}/registrations/a%25/register");
    check(&put(&bad, "{}").await, 400, 400_004);
    let wrong_method = send(&running, "DELETE", target, &good, "").await;
    check(&wrong_method, 405, 405_000);
    check(&poll(&running, "a", "4.x", &good).await, 404, 404_201);
    let target = format!("/{SCOPE}/registrations/a");
    let unknown = send(&running, "POST", &target, &good, "").await;
    check(&unknown, 404, 404_201);
    let answer = ask(&running, "GET", "/devices/a", &[], "").await;
    assert_eq!(answer.status, 404, "nothing was registered");
    assert_eq!(put(target.as_str(), "{}").await.status, 405);
}

#[tokio::test]
async fn a_limit_is_kept_where_one_is_given() {
    let mut config = provisioning();
    config.provisioning.registrations_per_minute = Some(2);
    let running = Emulator::start(config).await.unwrap();
    for id in ["a", "b"] {
        assigned(&running, id, &key(5)).await;
    }
    let answer = register(&running, "c", &token("c", &key(5).derive("c"))).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.json()["errorCode"], 429_001);
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_device_may_poll_five_times_in_ten_seconds() {
    let mut config = provisioning();
    config.rate_limits.apply("S1").unwrap();
    let running = Emulator::start(config).await.unwrap();
    let token = token("a", &key(5).derive("a"));
    let operation = register(&running, "a", &token).await.json()["operationId"].clone();
    let operation = operation.as_str().unwrap();
    // More than five within the ten seconds, whatever the machine does meanwhile.
    let mut throttled = None;
    for _ in 0..200 {
        let answer = poll(&running, "a", operation, &token).await;
        if answer.status != 200 {
            throttled = Some(answer);
            break;
        }
    }
    let answer = throttled.unwrap();
    assert_eq!(answer.json()["errorCode"], 429_001, "{answer:?}");
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
}

#[tokio::test]
async fn registrations_and_keys_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let kept = |group: &str| {
        let mut config = provisioning();
        config.state = Some(folder.path().join("state"));
        config.provisioning.groups = vec![GroupSpec::new(group)];
        config
    };
    let running = Emulator::start(kept("meters")).await.unwrap();
    let group = running.dps().groups()[0].clone();
    let token = token("a", &group.primary.derive("a"));
    let operation = register(&running, "a", &token).await.json()["operationId"].clone();
    let operation = operation.as_str().unwrap().to_owned();
    let id = RegistrationId::parse("a").unwrap();
    let before = running.dps().registration(&id).unwrap();
    // Not shut down: what was answered is there.
    drop(running);

    let mut moved = kept("Meters");
    moved.provisioning.allocation = Allocation::Static(HostName::parse(SECOND).unwrap());
    let running = Emulator::start(moved).await.unwrap();
    assert_eq!(running.dps().registration(&id), Some(before));
    let answer = poll(&running, "a", &operation, &token).await;
    assert_eq!(
        answer.json()["registrationState"]["assignedHub"],
        HUB,
        "{answer:?}"
    );
    let state = assigned(&running, "a", &group.secondary).await;
    assert_eq!(state["assignedHub"], SECOND);
    running.shutdown().await;
}

#[tokio::test]
async fn a_device_that_was_moved_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut config = provisioning();
        config.state = Some(folder.path().join("state"));
        Emulator::start(config)
    };
    let running = start().await.unwrap();
    let state = assigned(&running, "a", &key(5)).await;
    assert_eq!(state["assignedHub"], HUB);
    let a = DeviceId::parse("a").unwrap();
    let second = HostName::parse(SECOND).unwrap();
    let moved = running.dps().move_device(&a, &second).await.unwrap();
    assert!(moved.is_registered);
    let id = RegistrationId::parse("A").unwrap();
    let registration = running.dps().registration(&id).unwrap();
    assert_eq!(registration.hub, second);
    assert_eq!(registration.substatus.as_str(), "deviceDataMigrated");
    running.shutdown().await;

    let running = start().await.unwrap();
    let at = |hub: usize| running.hubs().hubs()[hub].device(&a).is_some();
    assert_eq!([at(0), at(1)], [false, true]);
    let state = assigned(&running, "a", &key(5)).await;
    assert_eq!(state["assignedHub"], SECOND);
    // And back.
    let first = HostName::parse(HUB).unwrap();
    running.dps().move_device(&a, &first).await.unwrap();
    let state = assigned(&running, "a", &key(5)).await;
    assert_eq!(state["assignedHub"], HUB);
    running.shutdown().await;
}

#[tokio::test]
async fn exchanged_group_keys_reach_the_hub_when_devices_register_again() {
    let folder = tempfile::tempdir().unwrap();
    let with_keys = |primary, secondary| {
        let mut config = provisioning();
        config.state = Some(folder.path().join("state"));
        let group = &mut config.provisioning.groups[0];
        (group.primary, group.secondary) = (Some(key(primary)), Some(key(secondary)));
        config
    };
    let running = Emulator::start(with_keys(5, 6)).await.unwrap();
    assigned(&running, "a", &key(5)).await;
    running.shutdown().await;
    let running = Emulator::start(with_keys(7, 6)).await.unwrap();
    assert_eq!(
        keys(&running, "a").await,
        (derived(5, "a"), derived(6, "a"))
    );
    assigned(&running, "a", &key(6)).await;
    assert_eq!(
        keys(&running, "a").await,
        (derived(7, "a"), derived(6, "a"))
    );
    running.shutdown().await;
}

#[tokio::test]
async fn the_announcement_says_what_a_fleet_needs() {
    let running = start().await;
    let text = running.banner();
    let line = |start: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(start));
        found
            .unwrap_or_else(|| panic!("{start}: {text}"))
            .trim()
            .to_owned()
    };
    assert_eq!(line("Provisioning service "), DPS);
    assert_eq!(line("  id scope "), SCOPE);
    assert_eq!(line("  group meters "), key(5).to_base64());
    assert_eq!(line("    secondary "), key(6).to_base64());
}
