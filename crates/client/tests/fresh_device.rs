//! An unknown device registers at the emulator, connects to the assigned hub, and sends: over each transport, and through a proxy.

#![allow(clippy::unwrap_used, reason = "helpers of tests count as tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drawspan_client::dps::{Assigned, DpsClient, DpsConfig};
use drawspan_client::{Credentials, DeviceClient, DeviceOptions, KeyPair, Keys};
use drawspan_emulator::{Config, Emulator, GroupSpec, Ports, Running};
use drawspan_hub::{
    DeviceConnectionString, DeviceId, ErrorCode, Failure, FailureKind, HostName, SymmetricKey,
    Telemetry, WhichKey,
};
use drawspan_net::{Connector, Proxy, Route, Transport, client_config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

const HUBS: [&str; 2] = ["one.test", "two.test"];
const DPS: &str = "dps.test";

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(&[byte; 64]).unwrap()
}

fn pair(primary: u8, secondary: u8) -> KeyPair {
    KeyPair {
        primary: key(primary),
        secondary: Some(key(secondary)),
    }
}

async fn emulator() -> Running {
    let mut config = Config::new(HUBS.map(host).to_vec());
    config.dps_name = Some(host(DPS));
    config.ports = Ports {
        amqps: 0,
        mqtts: Some(0),
        https: Some(0),
    };
    config.provisioning.retry_after_s = 0;
    config.provisioning.groups = vec![GroupSpec {
        name: "meters".into(),
        primary: Some(key(1)),
        secondary: Some(key(2)),
    }];
    Emulator::start(config).await.unwrap()
}

/// Finds the emulator's ports where official ones are asked for.
fn connector(running: &Running) -> Connector {
    let addresses = running.addresses();
    let route = |name: &str, port, to| Route {
        host: name.into(),
        port: Some(port),
        to,
    };
    let mut routes = vec![route(DPS, 443, addresses.https)];
    for hub in HUBS {
        routes.push(route(hub, 5_671, addresses.amqps));
        routes.push(route(hub, 443, addresses.https));
    }
    let authority = CertificateDer::from_pem_file(running.ca_path()).unwrap();
    Connector::new(client_config(vec![authority]).unwrap(), routes)
}

fn dps(running: &Running, connector: Connector, keys: KeyPair) -> DpsClient {
    DpsClient::new(DpsConfig {
        endpoint: host(DPS),
        id_scope: running.dps().id_scope().into(),
        connector,
        credentials: Arc::new(Credentials::new(Keys::Group(keys))),
    })
}

async fn register(client: &DpsClient, id: &str, which: WhichKey) -> Result<Assigned, Failure> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let payload = Some(r#"{"modelId":"dtmi:example:Meter;1"}"#);
    let device = DeviceId::parse(id).unwrap();
    client.register(&device, which, payload, deadline).await
}

async fn send(connector: Connector, transport: Transport, assigned: Assigned, key: SymmetricKey) {
    let connection_string = DeviceConnectionString {
        host: assigned.hub,
        device_id: assigned.device,
        key,
    };
    let options = DeviceOptions {
        transport,
        ..DeviceOptions::new(connection_string, connector)
    };
    let (device, _events) = DeviceClient::connect(options).await.unwrap();
    let message = Telemetry {
        body: "{}".into(),
        ..Telemetry::default()
    };
    device.send(&message).await.unwrap();
    device.close().await;
}

fn stored(running: &Running) -> usize {
    let hubs = running.hubs().hubs().iter();
    let partitions = hubs.flat_map(|hub| (0..hub.partition_count()).map(move |of| (hub, of)));
    let counts = partitions.map(|(hub, of)| hub.read(of, 0, 1_000, usize::MAX).unwrap().len());
    counts.sum()
}

#[tokio::test]
async fn a_fresh_device_registers_connects_and_sends() {
    let running = emulator().await;
    let proxy = Proxy::parse(&format!("http://{}", start_proxy().await)).unwrap();
    let direct = connector(&running);
    let ways = [direct.clone(), direct.with_proxy(proxy)];
    let whichs = [(WhichKey::Primary, 1), (WhichKey::Secondary, 2)];
    let mut devices = JoinSet::new();
    for (number, way) in ways.into_iter().enumerate() {
        let client = Arc::new(dps(&running, way.clone(), pair(1, 2)));
        for (which, byte) in whichs {
            for transport in [Transport::Amqps, Transport::WebSocket] {
                let (client, way) = (Arc::clone(&client), way.clone());
                devices.spawn(async move {
                    let id = format!("Meter-{number}-{byte}-{transport:?}");
                    let assigned = register(&client, &id, which).await.unwrap();
                    assert_eq!(assigned.device.as_str(), id);
                    let again = register(&client, &id, which).await;
                    assert_eq!(again, Ok(assigned.clone()));
                    send(way, transport, assigned, key(byte).derive(&id)).await;
                });
            }
        }
    }
    let sent = devices.join_all().await.len();
    assert_eq!(stored(&running), sent);
    let asked = running.dps().observations();
    assert_eq!(asked.registrations, 2 * sent as u64);
    running.shutdown().await;
}

#[tokio::test]
async fn a_stranger_is_refused_with_the_services_code() {
    let running = emulator().await;
    let client = dps(&running, connector(&running), pair(8, 2));
    let failure = register(&client, "a", WhichKey::Primary).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthorized);
    assert_eq!(failure.code, Some(ErrorCode::UNAUTHORIZED_ACCESS));
    assert_eq!(failure.tracking_id.map(|id| id.len()), Some(36));
    let assigned = register(&client, "a", WhichKey::Secondary).await;
    assert_eq!(assigned.unwrap().device.as_str(), "a");
    running.shutdown().await;
}

/// A proxy that connects to addresses, as long as the test runs.
async fn start_proxy() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target: SocketAddr = head.split(' ').nth(1).unwrap().parse().unwrap();
                let mut behind = TcpStream::connect(target).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                // Either side may end it.
                let _ = copy_bidirectional(&mut stream, &mut behind).await;
            });
        }
    });
    address
}
