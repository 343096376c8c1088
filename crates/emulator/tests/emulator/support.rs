//! An independent test client: HTTP/1.1 by hand over TLS that trusts only the emulator's authority.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use drawspan_emulator::{Config, Emulator, Ports, Running};
use drawspan_hub::{ErrorCode, HostName, SymmetricKey, sas};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What a client with a certificate has.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

pub(crate) const HUB: &str = "contoso.test";

pub(crate) fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(&[byte; 32]).unwrap()
}

/// Two hubs at any ports, with a known policy key.
pub(crate) fn config() -> Config {
    let hubs = [HUB, "second.test"].map(|name| HostName::parse(name).unwrap());
    let mut config = Config::new(hubs.to_vec());
    config.policy_key = Some(key(1));
    config.dps_name = Some(HostName::parse("dps.test").unwrap());
    config.ports = Ports {
        amqps: 0,
        mqtts: Some(0),
        https: Some(0),
    };
    config
}

pub(crate) async fn start() -> Running {
    Emulator::start(config()).await.unwrap()
}

/// TLS of a client, with a certificate or without.
pub(crate) fn client_tls(ca: &Path, identity: Option<&Identity>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match identity {
        None => config.with_no_client_auth(),
        Some(Identity { chain, key }) => config
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .unwrap(),
    })
}

pub(crate) async fn connect(ca: &Path, address: SocketAddr, name: &str) -> TlsStream<TcpStream> {
    connect_as(ca, address, name, None).await
}

/// Of a client with a certificate, or without.
pub(crate) async fn connect_as(
    ca: &Path,
    address: SocketAddr,
    name: &str,
    identity: Option<&Identity>,
) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(client_tls(ca, identity))
        .connect(ServerName::try_from(name.to_owned()).unwrap(), stream)
        .await
        .unwrap()
}

/// A token of the hub's owner, good for an hour.
pub(crate) fn owner() -> String {
    policy(&key(1), "iothubowner")
}

pub(crate) fn policy(key: &SymmetricKey, name: &str) -> String {
    policy_of(HUB, key, name)
}

/// A token of a policy of another hub.
pub(crate) fn policy_of(hub: &str, key: &SymmetricKey, name: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    sas::sign(hub, key, now + 3600, Some(name))
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// A request of the hub's owner, `target` with its `api-version`.
pub(crate) async fn ask(
    running: &Running,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let join = if target.contains('?') { '&' } else { '?' };
    let target = format!("{target}{join}api-version=2021-04-12");
    let token = owner();
    let mut headers = headers.to_vec();
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
    {
        headers.push(("Authorization", &token));
    }
    ask_raw(running, HUB, method, &target, &headers, body).await
}

/// Enables or disables a device as SDKs do: with its whole record, since what is not named is reset.
pub(crate) async fn set_status(running: &Running, id: &str, status: &str) {
    let path = format!("/devices/{id}");
    let mut device = ask(running, "GET", &path, &[], "").await.json();
    device["status"] = status.into();
    let headers = [("If-Match", "*")];
    let answer = ask(running, "PUT", &path, &headers, &device.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// A request as given, to `host`.
pub(crate) async fn ask_raw(
    running: &Running,
    host: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let stream = ask_soon(running, host, method, target, headers, body).await;
    answer(stream).await
}

/// A request of a client with a certificate.
pub(crate) async fn ask_as(
    running: &Running,
    identity: Option<&Identity>,
    (method, target): (&str, &str),
    body: &str,
) -> Answer {
    let (ca, address) = (running.ca_path(), running.addresses().https);
    let stream = connect_as(ca, address, "localhost", identity).await;
    answer(write(stream, HUB, method, target, &[], body).await).await
}

async fn answer(mut stream: TlsStream<TcpStream>) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// Writes such a request; the answer is to be read.
pub(crate) async fn ask_soon(
    running: &Running,
    host: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> TlsStream<TcpStream> {
    let stream = connect(running.ca_path(), running.addresses().https, "localhost").await;
    write(stream, host, method, target, headers, body).await
}

async fn write(
    mut stream: TlsStream<TcpStream>,
    host: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> TlsStream<TcpStream> {
    let mut request =
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    // A refusal may come, and the connection end, before all is written.
    let _ = stream.write_all(request.as_bytes()).await;
    let _ = stream.flush().await;
    stream
}

/// Status, header and body must name the same code: the SDKs compare them.
pub(crate) fn assert_refused(answer: &Answer, code: ErrorCode) {
    let name = code.name().unwrap();
    assert_eq!(answer.status, code.http_status(), "{answer:?}");
    assert_eq!(answer.header("iothub-errorcode"), Some(name), "{answer:?}");
    let body = answer.json();
    let message = body["Message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("ErrorCode:{name};")),
        "{message}"
    );
    assert!(
        body["ExceptionMessage"]
            .as_str()
            .unwrap()
            .starts_with("Tracking ID:"),
        "{body}"
    );
}
