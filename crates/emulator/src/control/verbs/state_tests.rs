//! The whole state, emptied and brought back.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub::{DeviceId, HostName, RegistrationId, sas};
use drawspan_hub_model::c2d::{Ack, NewMessage};
use drawspan_hub_model::device::DeviceSpec;
use drawspan_hub_model::dps::Credential;
use drawspan_segment_log::{AuthKind, AuthScope, MessageSource, NewRecord, Origin};

use crate::config::Config;
use crate::control::tests::{ctl, ctl_json, emulator, start};
use crate::emulator::{Emulator, Running};

fn hub(running: &Running) -> &Arc<Hub> {
    &running.hubs().hubs()[0]
}

fn id(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

/// A device, a message to it, and one of it.
async fn add(running: &Running, name: &str) {
    let hub = hub(running);
    let specs = vec![DeviceSpec::new(id(name))];
    hub.ensure(specs.into_iter()).await.unwrap();
    let message = NewMessage {
        message_id: None,
        ack: Ack::None,
        expires_unix_ms: None,
        generation_id: "".into(),
        payload: Bytes::from_static(b"x"),
    };
    let (done, stored) = tokio::sync::oneshot::channel();
    let sent = hub.send_message(&id(name), message, move |result| {
        done.send(result.is_ok()).unwrap();
    });
    sent.unwrap();
    assert!(stored.await.unwrap());
    let record = NewRecord {
        device_id: id(name),
        module_id: None,
        origin: Origin {
            scope: AuthScope::Device,
            kind: AuthKind::Sas,
            generation_id: "1".into(),
            source: MessageSource::Telemetry,
        },
        message: Bytes::from_static(b"x"),
    };
    hub.ingest(&[record]).unwrap();
}

/// Devices with the messages that wait for them, and how many messages were stored.
fn state(running: &Running) -> (Vec<(String, usize)>, u64) {
    let hub = hub(running);
    let devices: Vec<DeviceId> = {
        let registry = hub.registry();
        registry.list(100).map(|it| it.device.id.clone()).collect()
    };
    let waiting = devices
        .iter()
        .map(|id| (id.to_string(), hub.message_count(id)));
    let partitions = (0..hub.partition_count()).filter_map(|number| hub.partition(number));
    (
        waiting.collect(),
        partitions.map(|it| it.next_sequence).sum(),
    )
}

fn expect(running: &Running, devices: &[(&str, usize)], stored: u64) {
    let devices = devices.iter().map(|(id, count)| ((*id).to_owned(), *count));
    assert_eq!(state(running), (devices.collect(), stored));
}

async fn restarted(folder: &Path, running: Running) -> Running {
    running.shutdown().await;
    emulator(folder, &["a"]).await
}

#[tokio::test]
async fn a_snapshot_brings_everything_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let running = emulator(path, &["a"]).await;
    add(&running, "b").await;
    let said = ctl(path, "snapshot one").await.unwrap();
    assert!(said.starts_with("one  "), "{said}");
    add(&running, "c").await;
    expect(&running, &[("a", 0), ("b", 1), ("c", 1)], 2);
    assert_eq!(ctl(path, "restore one").await.unwrap(), "restored one\n");
    expect(&running, &[("a", 0), ("b", 1)], 1);
    add(&running, "d").await;
    let running = restarted(path, running).await;
    expect(&running, &[("a", 0), ("b", 1), ("d", 1)], 2);
    // The snapshot outlives the process, and its own use.
    ctl(path, "restore one").await.unwrap();
    expect(&running, &[("a", 0), ("b", 1)], 1);
    let running = restarted(path, running).await;
    expect(&running, &[("a", 0), ("b", 1)], 1);
    let missing = ctl(path, "restore two").await.unwrap_err().to_string();
    assert!(missing.contains("no snapshot `two`"), "{missing}");
    let list = ctl_json(path, "snapshot").await;
    assert_eq!(list["snapshots"][0]["name"], "one");
    let left = ctl(path, "snapshot remove one").await.unwrap();
    assert_eq!(left, "no snapshots\n");
    assert!(ctl(path, "snapshot ../x").await.unwrap_err().is_usage());
    running.shutdown().await;
}

#[tokio::test]
async fn a_reset_leaves_the_devices_of_the_command_line_and_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let running = emulator(path, &["a"]).await;
    add(&running, "b").await;
    let key = |running: &Running| hub(running).event_hubs_connection_string();
    let before = key(&running);
    let said = ctl(path, "reset").await.unwrap();
    assert_eq!(said, "everything is removed; 1 devices are made again\n");
    expect(&running, &[("a", 0)], 0);
    add(&running, "c").await;
    let running = restarted(path, running).await;
    expect(&running, &[("a", 0), ("c", 1)], 1);
    assert_eq!(key(&running), before);
    running.shutdown().await;
}

#[tokio::test]
async fn without_a_state_directory_there_is_a_reset_and_no_snapshot() {
    let running = start(|_: &mut Config| {}).await;
    add(&running, "b").await;
    let line = format!(
        "--url https://{} --ca {}",
        running.addresses().https,
        running.ca_path().display()
    );
    let refused = crate::control::tests::run(&format!("{line} snapshot one")).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("--state"), "{refused}");
    crate::control::tests::run(&format!("{line} reset"))
        .await
        .unwrap();
    expect(&running, &[], 0);
    running.shutdown().await;
}

#[tokio::test]
async fn a_reset_forgets_to_which_hubs_devices_were_moved() {
    let folder = tempfile::tempdir().unwrap();
    let hubs = ["localhost", "second.localhost"].map(|name| HostName::parse(name).unwrap());
    let mut config = Config::new(hubs.to_vec());
    config.state = Some(folder.path().to_path_buf());
    config.ports.amqps = 0;
    (config.ports.mqtts, config.ports.https) = (Some(0), Some(0));
    let running = Emulator::start(config).await.unwrap();
    let dps = running.dps();
    let registers = || async {
        let key = dps.groups()[0].primary.derive("m");
        let resource = sas::registration_resource(dps.id_scope(), "m");
        let token = sas::sign(&resource, &key, u64::MAX, Some("registration"));
        let id = RegistrationId::parse("m").unwrap();
        let admission = dps.authenticate(Credential::Token(&token), &id).unwrap();
        dps.register(id, admission, None).await.unwrap().hub.clone()
    };
    let first = registers().await;
    let other = hubs.iter().find(|hub| **hub != first).unwrap();
    ctl(folder.path(), &format!("move m {other}"))
        .await
        .unwrap();
    assert_eq!(registers().await, *other);
    ctl(folder.path(), "reset").await.unwrap();
    assert_eq!(registers().await, first);
    running.shutdown().await;
}
