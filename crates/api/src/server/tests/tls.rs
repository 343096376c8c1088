//! The same over TLS, with an independent implementation: the client is rustls' own.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

type Client = TlsStream<TcpStream>;

struct Files {
    folder: tempfile::TempDir,
    certificate: CertificateDer<'static>,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = write(folder.path().into());
        Self {
            folder,
            certificate,
        }
    }

    fn open(&self) -> Tls {
        let path = |name: &str| self.folder.path().join(name);
        Tls::open(&path("cert"), &path("key")).unwrap()
    }
}

/// A certificate of a separate authority, and its key.
fn write(folder: PathBuf) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

const ALL: &[&SupportedProtocolVersion] = rustls::ALL_VERSIONS;

async fn try_connect(
    server: &TestServer,
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> io::Result<Client> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let mut config = builder
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = connect(server).await;
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    timeout(STOP, connector.connect(name, stream))
        .await
        .unwrap()
}

async fn client(server: &TestServer, files: &Files) -> Client {
    let connected = try_connect(server, &files.certificate, ALL, &["http/1.1"]).await;
    connected.unwrap()
}

/// A connection that has had an answer and is kept.
async fn kept(server: &TestServer, files: &Files) -> Client {
    let mut stream = client(server, files).await;
    stream.write_all(GET_LIVE.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(br#"{"status":"live"}"#) {
        stream.read_buf(&mut answer).await.unwrap();
    }
    stream
}

#[tokio::test]
async fn both_versions_carry_requests_and_other_protocols_do_not() {
    let files = Files::new();
    let server = start_over(Some(files.open()), 10);
    let trusted = &files.certificate;
    for version in ALL {
        let connected = try_connect(&server, trusted, &[version], &[]).await;
        let mut stream = connected.unwrap();
        let get = GET_LIVE.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        stream.write_all(get.as_bytes()).await.unwrap();
        check_closing(&rest(&mut stream).await, "200");
    }
    assert!(try_connect(&server, trusted, ALL, &["h2"]).await.is_err());
    // HTTP in clear gets an alert and an end.
    let mut plain = connect(&server).await;
    plain.write_all(GET_LIVE.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(STOP, plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    drop(kept(&server, &files).await);
}

#[tokio::test]
async fn requests_in_the_socket_at_the_end_are_answered_over_tls() {
    let files = Files::new();
    let server = start_over(Some(files.open()), 10);
    let mut prober = kept(&server, &files).await;
    let mut idle = kept(&server, &files).await;
    // Written to the socket before the server's task runs again.
    let (socket, session) = prober.get_mut();
    io::Write::write_all(&mut session.writer(), GET_READY.as_bytes()).unwrap();
    let mut records = Vec::new();
    session.write_tls(&mut records).unwrap();
    assert_eq!(socket.try_write(&records).unwrap(), records.len());
    server.stop.send(()).unwrap();
    let answer = rest(&mut prober).await;
    check_closing(&answer, "503");
    assert!(answer.contains("the bridge is stopping"), "{answer}");
    check_closing(&rest(&mut idle).await, "503");
    server.task.await.unwrap();
}

#[tokio::test]
async fn half_a_record_may_be_finished() {
    let files = Files::new();
    let server = start_over(Some(files.open()), 10);
    let mut stream = kept(&server, &files).await;
    let (socket, session) = stream.get_mut();
    io::Write::write_all(&mut session.writer(), GET_READY.as_bytes()).unwrap();
    let mut records = Vec::new();
    session.write_tls(&mut records).unwrap();
    let (first, second) = records.split_at(9);
    socket.write_all(first).await.unwrap();
    // Once this is answered, the server has read what was written before it.
    drop(kept(&server, &files).await);
    server.stop.send(()).unwrap();
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    timeout(STOP, refused).await.unwrap();
    stream.get_mut().0.write_all(second).await.unwrap();
    check_closing(&rest(&mut stream).await, "503");
    server.task.await.unwrap();
}

#[tokio::test]
async fn who_does_not_finish_a_handshake_keeps_nobody_out_and_is_let_go() {
    let files = Files::new();
    let server = start_over(Some(files.open()), 20);
    let mut slow = Vec::new();
    for _ in 0..15 {
        let mut stream = connect(&server).await;
        stream.write_all(&[22, 3, 1, 2]).await.unwrap();
        slow.push(stream);
    }
    let _kept = kept(&server, &files).await;
    tokio::time::pause();
    for mut stream in slow {
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_under_way_does_not_hold_up_the_end() {
    let files = Files::new();
    let server = start_over(Some(files.open()), 10);
    let stream = connect(&server).await;
    server.stop.send(()).unwrap();
    timeout(STOP, server.task).await.unwrap().unwrap();
    drop(stream);
}

#[tokio::test]
async fn the_idlest_connection_ends_for_a_new_one_over_tls() {
    let files = Files::new();
    let server = start_over(Some(files.open()), 1);
    let mut first = kept(&server, &files).await;
    let _second = kept(&server, &files).await;
    let answer = rest(&mut first).await;
    check_closing(&answer, "503");
    assert!(answer.contains("retry-after: 5\r\n"), "{answer}");
}

#[tokio::test]
async fn a_failed_handshake_says_why_and_a_look_at_the_port_is_none() {
    let files = Files::new();
    let tls = files.open();
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let fail = async |bytes: &[u8]| {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(bytes).await.unwrap();
        caller.shutdown().await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        tls.accept(stream).await.unwrap_err()
    };
    assert!(!fail(b"").await.begun);
    let failed = fail(GET_LIVE.as_bytes()).await;
    assert!(failed.begun);
    assert!(
        failed.error.to_string().contains("corrupt"),
        "{}",
        failed.error
    );
}

#[tokio::test]
async fn another_certificate_counts_for_new_connections_and_old_ones_stay() {
    let files = Files::new();
    let tls = files.open();
    let server = start_over(Some(tls.clone()), 10);
    let mut old = kept(&server, &files).await;
    let second = write(files.folder.path().into());
    tls.refresh();
    let trusted = &files.certificate;
    assert!(try_connect(&server, trusted, ALL, &[]).await.is_err());
    try_connect(&server, &second, ALL, &[]).await.unwrap();
    let get = GET_LIVE.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    old.write_all(get.as_bytes()).await.unwrap();
    check_closing(&rest(&mut old).await, "200");

    std::fs::write(files.folder.path().join("key"), "nonsense").unwrap();
    tls.refresh();
    try_connect(&server, &second, ALL, &[]).await.unwrap();
}

#[tokio::test]
async fn who_hung_up_is_not_waited_for_over_tls() {
    let files = Files::new();
    let server = start_over(Some(files.open()), 10);
    for version in ALL {
        server.calls.lock().unwrap().clear();
        let connected = try_connect(&server, &files.certificate, &[version], &[]).await;
        let mut stream = connected.unwrap();
        stream.write_all(POLL.as_bytes()).await.unwrap();
        is_asked(&server).await;
        stream.shutdown().await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }
}
