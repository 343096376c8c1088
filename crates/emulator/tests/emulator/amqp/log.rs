//! Log lines of refusals: every kind, over every protocol, without secrets and within limits.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drawspan_amqp::engine::{ClientSasl, LinkOptions};
use drawspan_amqp::performative::DeliveryState;
use drawspan_amqp::value::Symbol;
use drawspan_hub::sas;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tracing_subscriber::fmt::MakeWriter;

use super::client::{
    connect, connect_as, connect_with, device_token, device_token_by, owner, start, start_with,
    unix_s,
};
use crate::support::{HUB, ask, ask_raw, connect as connect_tls, key, policy};

/// Nothing here takes long; this is for what never comes.
const LIMIT: Duration = Duration::from_secs(20);

/// What is logged on this thread, which in these tests is all.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Waits for a line with all of `parts`.
    async fn has(&self, parts: &[&str]) {
        let found = tokio::time::timeout(LIMIT, async {
            let is_it = |line: &str| parts.iter().all(|part| line.contains(part));
            while !self.text().lines().any(is_it) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(found.await.is_ok(), "no {parts:?} in {}", self.text());
    }
}

#[tokio::test]
async fn faults_on_request_are_logged() {
    let (log, _guard) = Log::start();
    let running = start_with(&["a", "b"], |config| {
        config.faults = vec!["renewals=100%".parse().unwrap(), "stall=b".parse().unwrap()];
    })
    .await;
    log.has(&["a fault is caused", "refuse renewals of all with 500001"])
        .await;
    log.has(&["a fault is caused", "stall device b"]).await;
    let mut client = connect(&running).await;
    let [a, b] = ["a", "b"].map(|id| device_token(&running, id));
    client.put_token(&a).await;
    client.telemetry("a").await;
    client.put_token(&a).await;
    log.has(&["token refused", "500001", "a fault is asked for"])
        .await;
    client.put_token(&b).await;
    client.telemetry("b").await;
    log.has(&[
        "session stalled",
        "a fault is asked for",
        "b at contoso.test",
    ])
    .await;
}

#[tokio::test]
async fn refusals_over_https_are_logged() {
    let (log, _guard) = Log::start();
    let running = start(&["a"]).await;
    ask(&running, "GET", "/nothing?sig=secret", &[], "").await;
    log.has(&["REST request refused", "404000", "GET contoso.test/nothing"])
        .await;
    let wrong = policy(&key(9), "iothubowner");
    ask(
        &running,
        "GET",
        "/devices",
        &[("Authorization", &wrong)],
        "",
    )
    .await;
    log.has(&["REST request refused", "signed with another key"])
        .await;
    ask(&running, "GET", "/devices/b", &[], "").await;
    log.has(&["REST request refused", "404001"]).await;
    let body = r#"{"authentication":"secret"}"#;
    ask(&running, "PUT", "/devices/c", &[], body).await;
    log.has(&["REST request refused", "400006", "line 1"]).await;
    ask_raw(
        &running,
        "wrong.test",
        "GET",
        "/devices?api-version=2021-04-12",
        &[],
        "",
    )
    .await;
    log.has(&["REST request refused", "wrong.test"]).await;
    ask(&running, "GET", "/$iothub/websocket", &[], "").await;
    log.has(&["WebSocket refused", "426"]).await;

    let scope = running.dps().id_scope().to_owned();
    let resource = sas::registration_resource(&scope, "a");
    let wrong = sas::sign(&resource, &key(9), unix_s() + 60, Some("registration"));
    let register = async |scope: &str, token: &str| {
        let target = format!("/{scope}/registrations/a/register?api-version=2019-03-31");
        ask_raw(
            &running,
            HUB,
            "PUT",
            &target,
            &[("Authorization", token)],
            "{}",
        )
        .await
    };
    register(&scope, &wrong).await;
    log.has(&[
        "DPS request refused",
        "401002",
        "another key than the device's",
    ])
    .await;
    register("0neOther", &wrong).await;
    log.has(&["DPS request refused", "404201", "id scope"])
        .await;
    let text = log.text();
    assert!(!text.contains("secret") && !text.contains("sig="), "{text}");
}

#[tokio::test]
async fn refusals_over_amqp_are_logged() {
    let (log, _guard) = Log::start();
    let running = start(&["a"]).await;
    let mut client = connect(&running).await;
    let wrong = device_token_by(&key(9), "a", unix_s() + 60);
    client.put_token(&wrong).await;
    log.has(&["token refused", "401003", "signed with another key"])
        .await;
    let unknown = device_token_by(&key(9), "b", unix_s() + 60);
    client.put_token(&unknown).await;
    log.has(&["token refused", "404", "Device b at IotHub"])
        .await;
    let expired = device_token_by(&key(9), "a", 1);
    client.put_token(&expired).await;
    let sender = |address: &str| LinkOptions::sender("link", address);
    client
        .attach(sender("/devices/a/messages/events"))
        .await
        .unwrap_err();
    log.has(&[
        "link refused",
        "link to /devices/a/messages/events at contoso.test",
    ])
    .await;
    client.attach(sender("/nowhere")).await.unwrap_err();
    log.has(&["link refused", "link to /nowhere"]).await;

    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let link = client.telemetry("a").await;
    let state = client.deliver(link, 0, b"no message").await;
    assert!(matches!(state, DeliveryState::Rejected(_)), "{state:?}");
    log.has(&["message rejected", "400006", "telemetry of device a"])
        .await;
    let _newer = connect_as(&running, &device_token(&running, "a"))
        .await
        .telemetry("a")
        .await;
    log.has(&["link ended", "409002", "Telemetry of device a"])
        .await;

    let scope = running.dps().id_scope();
    let resource = sas::registration_resource(scope, "a");
    let token = sas::sign(&resource, &key(9), unix_s() + 60, Some("registration"));
    let sasl = ClientSasl {
        mechanism: Symbol::from_static("PLAIN"),
        initial_response: Some(format!("\0{scope}/registrations/a\0{token}").into()),
    };
    assert!(connect_with(&running, Some(sasl)).await.is_err());
    log.has(&[
        "SASL refused",
        "Auth",
        "registration a",
        "another key than the device's",
    ])
    .await;
    let text = log.text();
    assert!(!text.contains("sig="), "{text}");
}

#[tokio::test]
async fn other_protocols_are_named() {
    let (log, _guard) = Log::start();
    let running = start(&[]).await;
    let addresses = running.addresses();
    let ca = running.ca_path();
    let mut http_at_amqps = connect_tls(ca, addresses.amqps, HUB).await;
    http_at_amqps
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    log.has(&["connection ended", "speaks HTTP"]).await;
    let mut amqp_at_https = connect_tls(ca, addresses.https, HUB).await;
    amqp_at_https
        .write_all(b"AMQP\x00\x01\x00\x00\r\n\r\n")
        .await
        .unwrap();
    log.has(&["connection ended", "not HTTP"]).await;
    let mut plain = TcpStream::connect(addresses.https).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let _ = plain.read_to_end(&mut Vec::new()).await;
    log.has(&["TLS handshake failed", "not TLS"]).await;
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_authority_is_explained_once() {
    let (log, _guard) = Log::start();
    let running = start(&[]).await;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let tls = TlsConnector::from(Arc::new(config));
    for _ in 0..3 {
        let stream = TcpStream::connect(running.addresses().amqps).await.unwrap();
        let name = HUB.try_into().unwrap();
        tls.connect(name, stream).await.unwrap_err();
    }
    log.has(&[
        "does not trust this emulator's certificate authority",
        "ca.pem",
    ])
    .await;
    log.has(&["TLS handshake failed", "does not trust the certificate"])
        .await;
    let told = log.text().matches("NODE_EXTRA_CA_CERTS").count();
    assert_eq!(told, 1, "{}", log.text());
}

/// Node gives no alert: it hangs up when it has seen the certificate.
#[tokio::test]
async fn a_client_that_hangs_up_at_the_certificate_is_explained() {
    let (log, _guard) = Log::start();
    let running = start(&[]).await;
    let mut hello = rustls::ClientConnection::new(
        Arc::new(
            ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth(),
        ),
        "wrong.test".try_into().unwrap(),
    )
    .unwrap();
    let mut bytes = Vec::new();
    hello.write_tls(&mut bytes).unwrap();
    let mut stream = TcpStream::connect(running.addresses().amqps).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    stream.read_exact(&mut [0; 64]).await.unwrap();
    stream.shutdown().await.unwrap();
    log.has(&["NODE_EXTRA_CA_CERTS", "wrong.test"]).await;
    // A mere probe of the port has not seen the certificate.
    drop(TcpStream::connect(running.addresses().https).await.unwrap());
    log.has(&["TLS handshake failed", "UnexpectedEof"]).await;
    assert!(!log.text().contains("hung up"), "{}", log.text());
}

#[tokio::test]
async fn a_flood_of_refusals_does_not_flood_the_log() {
    let (log, _guard) = Log::start();
    let running = start(&[]).await;
    let mut client = connect_as(&running, &owner()).await;
    for _ in 0..200 {
        let nowhere = LinkOptions::sender("link", "/nowhere");
        client.attach(nowhere).await.unwrap_err();
    }
    // Stopping writes down what was left out.
    running.shutdown().await;
    log.has(&["link refused, more of the same that were not logged"])
        .await;
    let lines = log.text().lines().count();
    // Should the test be that slow, some windows pass.
    assert!(lines < 100, "{}", log.text());
}
