//! Connecting over every transport, to a test server and through a test proxy.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests, helpers included"
)]

mod peers;

use drawspan_net::{ConnectError, Connector, Proxy, ProxyError, Transport, WebSocketError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use peers::{HOST, Server, TinyProxy};

const FRAME: &[u8] = b"\0\0\0\x0csome";

/// Writes, and reads it back.
async fn echoed(connector: &Connector, transport: Transport) {
    let mut stream = connector.connect_to(HOST, transport).await.unwrap();
    stream.write_all(FRAME).await.unwrap();
    stream.flush().await.unwrap();
    let mut back = [0; FRAME.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, FRAME);
    stream.shutdown().await.unwrap();
    let rest = stream.read(&mut back).await.unwrap();
    assert_eq!(rest, 0, "the server has ended, too");
}

#[tokio::test]
async fn both_transports_carry_bytes() {
    let server = Server::start().await;
    echoed(&server.connector(), Transport::Amqps).await;
    echoed(&server.connector(), Transport::WebSocket).await;
}

#[tokio::test]
async fn both_transports_and_https_pass_a_proxy() {
    let server = Server::start().await;
    let proxy = TinyProxy::start("Basic dTpw").await;
    let connector = server.connector().with_proxy(proxy.with("u:p@"));
    echoed(&connector, Transport::Amqps).await;
    echoed(&connector, Transport::WebSocket).await;
    connector.connect(HOST, 443).await.unwrap();
    assert_eq!(proxy.asked(), vec![server.address.to_string(); 3]);
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_name_where_no_route_leads() {
    let server = Server::start().await;
    let proxy = TinyProxy::start("").await;
    let connector = server.connector().with_proxy(proxy.with(""));
    let error = connector.connect("other.invalid", 5_671).await.unwrap_err();
    assert_eq!(proxy.asked(), ["other.invalid:5671"]);
    let text = error.to_string();
    assert!(text.ends_with("it refused (502 No such host)"), "{text}");
}

#[tokio::test]
async fn refusals_of_a_proxy_are_told_without_credentials() {
    let server = Server::start().await;
    let proxy = TinyProxy::start("Basic dTpw").await;
    let connector = server.connector().with_proxy(proxy.with("u:hunter2@"));
    let error = connector
        .connect_to(HOST, Transport::WebSocket)
        .await
        .unwrap_err();
    let ConnectError::Proxy { source, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(source, ProxyError::Credentials), "{source:?}");
    let expected = format!(
        "the proxy {} does not connect to {HOST}:443: it wants other credentials (407)",
        proxy.address
    );
    assert_eq!(error.to_string(), expected);
    assert!(!format!("{error:?} {connector:?}").contains("hunter2"));

    let gone = Proxy::parse("127.0.0.1:1").unwrap();
    let connector = server.connector().with_proxy(gone);
    let error = connector.connect(HOST, 443).await.unwrap_err();
    let ConnectError::Proxy { source, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(source, ProxyError::Io(_)), "{source:?}");
}

#[tokio::test]
async fn a_server_without_websocket_says_so() {
    let server = Server::start().await;
    let refused = server
        .connector()
        .connect_to(peers::OTHER_HOST, Transport::WebSocket)
        .await;
    let Err(ConnectError::WebSocket { source, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(matches!(source, WebSocketError::Refused(404)), "{source:?}");
}
