//! Starting, restarting, ending.

use std::net::SocketAddr;

use bytes::Bytes;
use drawspan_emulator::{Config, Emulator, Ports, StartError};
use drawspan_hub::{DeviceConnectionString, DeviceId, HostName, HubConnectionString};
use drawspan_segment_log::{AuthKind, AuthScope, MessageSource, NewRecord, Origin};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{HUB, ask, ask_raw, config, connect, key, start};

fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

fn record(id: &str, message: &str) -> NewRecord {
    let origin = Origin {
        scope: AuthScope::Device,
        kind: AuthKind::Sas,
        generation_id: "1".into(),
        source: MessageSource::Telemetry,
    };
    NewRecord {
        device_id: device(id),
        module_id: None,
        origin,
        message: Bytes::copy_from_slice(message.as_bytes()),
    }
}

#[tokio::test]
async fn a_state_directory_brings_everything_back() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config {
        state: Some(folder.path().join("new")),
        policy_key: None,
        devices: vec![device("a")],
        ..config()
    };
    let first = Emulator::start(config()).await.unwrap();
    let owner = first.hubs().hubs()[0].connection_strings()[0].to_secret_string();
    let string_of = |running: &drawspan_emulator::Running| {
        running.hubs().hubs()[0]
            .device_connection_string(&device("a"))
            .unwrap()
            .to_secret_string()
    };
    let device_string = string_of(&first);
    first.hubs().hubs()[0]
        .ingest(&[record("a", "hello")])
        .unwrap();
    let ca = std::fs::read(first.ca_path()).unwrap();
    // Not shut down: what was answered must be there all the same.
    drop(first);
    let second = Emulator::start(config()).await.unwrap();
    let hub = &second.hubs().hubs()[0];
    assert_eq!(hub.connection_strings()[0].to_secret_string(), owner);
    assert_eq!(string_of(&second), device_string);
    assert_eq!(std::fs::read(second.ca_path()).unwrap(), ca);
    let stored: Vec<_> = (0..hub.partition_count())
        .flat_map(|number| hub.read(number, 0, 10, 1000).unwrap())
        .collect();
    assert_eq!((stored.len(), &stored[0].message[..]), (1, &b"hello"[..]));
    assert_eq!(
        second.hubs().hubs()[1].partition(0).unwrap().next_sequence,
        0,
        "hubs have logs of their own"
    );
    second.shutdown().await;
}

#[tokio::test]
async fn a_state_directory_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config {
        state: Some(folder.path().into()),
        ..config()
    };
    let first = Emulator::start(config()).await.unwrap();
    let error = Emulator::start(config()).await.unwrap_err();
    assert!(
        matches!(error, StartError::State(_)) && error.to_string().contains("in use"),
        "{error}"
    );
    first.shutdown().await;
    Emulator::start(config()).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn without_a_directory_nothing_is_left() {
    let running = start().await;
    let ca = running.ca_path().to_path_buf();
    assert!(ca.is_absolute() && ca.exists());
    running.shutdown().await;
    assert!(!ca.parent().unwrap().exists());
}

#[tokio::test]
async fn the_announcement_of_many_devices_is_short() {
    let running = Emulator::start(Config {
        devices: (1..=30).map(|n| device(&format!("d-{n}"))).collect(),
        ..config()
    })
    .await
    .unwrap();
    let text = running.banner();
    let hubs = running.hubs().hubs().len();
    assert_eq!(text.matches("  device d-").count(), 20 * hubs, "{text}");
    let others = "  and 10 more devices\n";
    assert_eq!(text.matches(others).count(), hubs, "{text}");
}

#[tokio::test]
async fn the_announcement_is_true() {
    let running = Emulator::start(Config {
        devices: vec![device("a")],
        ..config()
    })
    .await
    .unwrap();
    let text = running.banner();
    assert_eq!(text.lines().last(), Some("ready"));
    let after = |start: &str| {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(start));
        line.unwrap_or_else(|| panic!("no {start} in {text}"))
            .trim_start()[start.len()..]
            .trim()
            .to_owned()
    };
    for policy in ["iothubowner", "service", "device"] {
        let found = HubConnectionString::parse(&after(&format!("{policy} "))).unwrap();
        assert_eq!((found.host.as_str(), found.policy.as_str()), (HUB, policy));
        assert_eq!(found.key.to_base64(), key(1).to_base64());
    }
    let found = DeviceConnectionString::parse(&after("device a")).unwrap();
    assert_eq!(found.device_id, device("a"));
    assert_eq!(
        after("Event Hubs"),
        format!(
            "Endpoint=sb://{HUB}/;SharedAccessKeyName=iothubowner;SharedAccessKey={};EntityPath=contoso",
            key(1).to_base64()
        )
    );
    assert_eq!(
        after("https").parse::<SocketAddr>().unwrap(),
        running.addresses().https
    );
    assert_eq!(
        after("amqps").parse::<SocketAddr>().unwrap(),
        running.addresses().amqps
    );
    let ipv6 = running.addresses().amqps_ipv6.is_some();
    assert_eq!(text.contains("\nipv6   [::1], the same ports\n"), ipv6);
    let mqtts = running.addresses().mqtts.unwrap();
    assert_eq!(after("mqtts").parse::<SocketAddr>().unwrap(), mqtts);
    let ca = running.ca_path().display();
    assert_eq!(
        after("Python EventHubs"),
        format!("connection_verify=\"{ca}\"")
    );
    assert_eq!(after("127.0.0.1 "), format!("{HUB} second.test dps.test"));
    assert_eq!(
        after("curl"),
        format!("--cacert {}", running.ca_path().display())
    );
}

#[tokio::test]
async fn devices_created_at_start_have_the_keys_of_their_group() {
    for given in [Some(key(9)), None] {
        let config = Config {
            devices: vec![device("a")],
            group_key: given.clone(),
            ..config()
        };
        let running = Emulator::start(config).await.unwrap();
        let group = &running.dps().groups()[0];
        assert!(given.is_none_or(|given| given.to_base64() == group.primary.to_base64()));
        for hub in running.hubs().hubs() {
            let found = hub.device_connection_string(&device("a")).unwrap();
            let expected = group.primary.derive("a").to_base64();
            assert_eq!(found.key.to_base64(), expected);
        }
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = start().await;
    let taken = first.addresses().https;
    let config = Config {
        ports: Ports {
            amqps: 0,
            mqtts: Some(0),
            https: Some(taken.port()),
        },
        ..config()
    };
    let error = Emulator::start(config).await.unwrap_err();
    assert!(
        error.to_string().contains(&format!("HTTPS at {taken}")),
        "{error}"
    );
}

#[tokio::test]
async fn every_mistake_is_reported_at_once() {
    let twice = HostName::parse("a.test").unwrap();
    let mut config = Config::new(vec![twice.clone(), twice]);
    config.partitions = 0;
    config.consumer_groups = vec!["no name".into()];
    let StartError::Config(mistakes) = Emulator::start(config).await.unwrap_err() else {
        panic!()
    };
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    let error = Emulator::start(Config::new(Vec::new())).await.unwrap_err();
    assert!(error.to_string().contains("name at least one"), "{error}");
}

#[tokio::test]
async fn anyone_gets_the_authoritys_certificate() {
    let running = start().await;
    let answer = ask_raw(&running, "whatever.test", "GET", "/ca.pem", &[], "").await;
    assert_eq!(
        (answer.status, answer.body),
        (200, std::fs::read_to_string(running.ca_path()).unwrap())
    );
}

#[tokio::test]
async fn the_amqps_port_answers_for_every_name() {
    let running = start().await;
    for name in [HUB, "second.test", "dps.test", "localhost", "127.0.0.1"] {
        let mut stream = connect(running.ca_path(), running.addresses().amqps, name).await;
        let header = *b"AMQP\x00\x01\x00\x00";
        stream.write_all(&header).await.unwrap();
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, header, "{name}");
    }
}

#[tokio::test]
async fn the_same_ports_answer_at_the_ipv6_loopback_address() {
    let running = start().await;
    let addresses = running.addresses();
    // A machine without IPv6 has no such address, and the emulator starts all the same.
    let pairs = [
        (addresses.amqps, addresses.amqps_ipv6),
        (addresses.https, addresses.https_ipv6),
    ];
    for (v4, v6) in pairs {
        let Some(v6) = v6 else { continue };
        assert_eq!(
            (v6.ip().to_string().as_str(), v6.port()),
            ("::1", v4.port())
        );
        drop(connect(running.ca_path(), v6, "localhost").await);
    }
}

#[tokio::test]
async fn one_name_serves_hub_and_provisioning() {
    let mut config = config();
    config.dps_name = config.hubs.first().cloned();
    let running = Emulator::start(config).await.unwrap();
    let scope = running.dps().id_scope().to_owned();
    assert_eq!(ask(&running, "GET", "/devices", &[], "").await.status, 200);
    let target = format!("/{scope}/registrations/a/register?api-version=2019-03-31");
    let answer = ask_raw(&running, HUB, "PUT", &target, &[], "{}").await;
    assert_eq!(
        (answer.status, &answer.json()["message"]),
        (401, &"Unauthorized".into())
    );
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_end_up() {
    let running = start().await;
    let ca = running.ca_path().to_path_buf();
    let mut idle = connect(&ca, running.addresses().https, HUB).await;
    assert_eq!(ask(&running, "GET", "/devices", &[], "").await.status, 200);
    let shutdown = tokio::time::timeout(std::time::Duration::from_secs(20), running.shutdown());
    shutdown.await.expect("the emulator ends");
    // Closed properly or not, but closed.
    let _ = idle.read_to_end(&mut Vec::new()).await;
}
