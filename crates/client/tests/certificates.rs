//! Devices with certificates, a connection each, at the emulator.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests count as tests"
)]

use std::sync::Arc;
use std::time::Duration;

use drawspan_client::{
    ConnectionConfig, Credentials, DeviceSession, HubConnection, Inbox, Keys, Open, Send, Status,
    StatusMailbox, message,
};
use drawspan_emulator::{Authentication, Certificate, Config, Emulator, Ports, Running};
use drawspan_hub::{
    AttemptId, CertifiedDevice, ConnectionKey, DeviceId, Failure, FailureKind, HostName,
    PemCertificate, Telemetry, Wants, WhichKey,
};
use drawspan_net::{Clock, Connector, Route, Transport, client_config};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const HUB: &str = "one.test";
const LIMIT: Duration = Duration::from_secs(30);

fn host() -> HostName {
    HostName::parse(HUB).unwrap()
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

/// A certificate that signs itself, and the thumbprint by which a hub knows it.
fn made() -> (CertifiedDevice, Authentication) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(Vec::new()).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let known = Certificate::from_der(certificate.der()).unwrap();
    let device = CertifiedDevice {
        hub: host(),
        certificate: PemCertificate::new(&certificate.pem(), key.serialize_pem()),
    };
    let authentication = Authentication::SelfSigned {
        primary: known.sha256_thumbprint(),
        secondary: None,
    };
    (device, authentication)
}

async fn emulator(devices: Vec<(DeviceId, Authentication)>) -> Running {
    let mut config = Config::new(vec![host()]);
    config.ports = Ports {
        amqps: 0,
        mqtts: Some(0),
        https: Some(0),
    };
    config.partitions = 1;
    config.certificate_devices = devices;
    Emulator::start(config).await.unwrap()
}

/// Connections of one fleet.
struct Bench {
    config: Arc<ConnectionConfig>,
    mailbox: Arc<StatusMailbox>,
    clock: Clock,
}

impl Bench {
    fn new(running: &Running, keys: Keys, transport: Transport) -> Self {
        let addresses = running.addresses();
        let route = |port, to| Route {
            host: HUB.into(),
            port: Some(port),
            to,
        };
        let routes = vec![route(5_671, addresses.amqps), route(443, addresses.https)];
        let authority = CertificateDer::from_pem_file(running.ca_path()).unwrap();
        let mailbox = Arc::new(StatusMailbox::default());
        let clock = Clock::start();
        let config = ConnectionConfig {
            pool: 0,
            host: host(),
            credentials: Arc::new(Credentials::new(keys)),
            connector: Connector::new(client_config(vec![authority]).unwrap(), routes),
            transport,
            clock,
            mailbox: Arc::clone(&mailbox),
            inbox: Arc::new(Inbox::default()),
        };
        Self {
            config: Arc::new(config),
            mailbox,
            clock,
        }
    }

    /// Opens a connection for one device. Returns it, and its session or why there is no session.
    async fn open(
        &self,
        key: u32,
        device: &str,
    ) -> (HubConnection, Result<DeviceSession, Failure>) {
        let connection = HubConnection::start(Arc::clone(&self.config), ConnectionKey(key));
        assert!(connection.open(Open {
            attempt: AttemptId {
                device: 0,
                serial: 0
            },
            device: id(device),
            registration: None,
            key: WhichKey::Primary,
            token_life_s: 3_600,
            wants: Wants::default(),
        }));
        let news = async {
            loop {
                for status in self.mailbox.take().await {
                    match status {
                        Status::Opened(_, session) => return Ok(session),
                        Status::OpenFailed(_, failure) | Status::TokenRefused(_, failure) => {
                            return Err(failure);
                        }
                        Status::ConnectionReady(..) => {}
                        // An earlier one.
                        Status::ConnectionEnded(_, of, _) if of != ConnectionKey(key) => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
        };
        let news = tokio::time::timeout(LIMIT, news).await.unwrap();
        (connection, news)
    }
}

#[tokio::test]
async fn a_device_sends_by_its_certificate_over_either_transport() {
    let (device, authentication) = made();
    let running = emulator(vec![(id("a"), authentication)]).await;
    for transport in [Transport::Amqps, Transport::WebSocket] {
        let keys = Keys::Certificates([(id("a"), device.clone())].into());
        let bench = Bench::new(&running, keys, transport);
        let (connection, opened) = bench.open(0, "a").await;
        let telemetry = Telemetry::json("1");
        let send = Send {
            session: opened.unwrap(),
            message: message::encode(&telemetry),
            deadline: bench.clock.now() + LIMIT,
        };
        connection.send(send).await.unwrap();
    }
    let stored = running.hubs().hubs()[0].read(0, 0, 10, 10_000).unwrap();
    assert_eq!(stored.len(), 2);
    running.shutdown().await;
}

#[tokio::test]
async fn a_refused_certificate_is_the_devices_failure_and_not_the_hubs() {
    let ((known, authentication), (stranger, _)) = (made(), made());
    let running = emulator(vec![(id("a"), authentication)]).await;
    let listed = [(id("a"), stranger), (id("b"), known)];
    let keys = Keys::Certificates(listed.into());
    let bench = Bench::new(&running, keys, Transport::Amqps);
    let cases = [
        ("a", FailureKind::Unauthorized),
        ("b", FailureKind::DeviceNotFound),
        ("not-listed", FailureKind::Unauthorized),
    ];
    for (key, (device, expected)) in (0..).zip(cases) {
        let (_connection, refused) = bench.open(key, device).await;
        let failure = refused.unwrap_err();
        assert_eq!(failure.kind, expected, "{failure:?}");
    }
    running.shutdown().await;
}
