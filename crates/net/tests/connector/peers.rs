//! A server that says back what it hears, and a proxy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use drawspan_net::websocket::{PATH, SUBPROTOCOL, accept_key};
use drawspan_net::{Connector, Proxy, Route, WebSocket, client_config};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, copy_bidirectional, split,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub(crate) const HOST: &str = "hub.test";
/// Where no WebSocket is served.
pub(crate) const OTHER_HOST: &str = "other.test";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    trusted: Arc<ClientConfig>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let names = [HOST, OTHER_HOST].map(str::to_owned);
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let tls = tls.clone();
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else {
                        return;
                    };
                    serve(stream).await;
                });
            }
        });
        Self {
            address,
            trusted: client_config(vec![cert.der().clone()]).unwrap(),
        }
    }

    /// Reaches the server by its names, at every port.
    pub(crate) fn connector(&self) -> Connector {
        let routes = [HOST, OTHER_HOST].map(|host| Route {
            host: host.to_owned(),
            port: None,
            to: self.address,
        });
        Connector::new(Arc::clone(&self.trusted), routes.to_vec())
    }
}

/// Echoes: in a WebSocket if the first byte begins an HTTP request.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let mut first = [0];
    if stream.read_exact(&mut first).await.is_err() {
        return;
    }
    if first == *b"G" {
        let head = head(&mut stream).await;
        let field = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(": "));
            let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
            found.map_or("", |(_, value)| value)
        };
        if field("host") == OTHER_HOST {
            let refusal = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(refusal).await.unwrap();
            return;
        }
        assert!(
            head.starts_with(&format!("ET {PATH} HTTP/1.1\r\n")),
            "{head}"
        );
        assert_eq!(field("host"), HOST);
        assert_eq!(field("sec-websocket-protocol"), SUBPROTOCOL);
        let key = accept_key(field("sec-websocket-key").as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        echo(WebSocket::server(stream).await, &[]).await;
    } else {
        echo(stream, &first).await;
    }
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: S, first: &[u8]) {
    let (mut read, mut write) = split(stream);
    write.write_all(first).await.unwrap();
    // The client may end it whenever it likes.
    let _ = copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

/// An HTTP proxy that knows no names, and wants `authorization` unless that is empty.
pub(crate) struct TinyProxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TinyProxy {
    pub(crate) async fn start(authorization: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(stream, authorization, Arc::clone(&noted)));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn with(&self, user_info: &str) -> Proxy {
        Proxy::parse(&format!("http://{user_info}{}", self.address)).unwrap()
    }

    /// Targets that it was asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn pass(mut stream: TcpStream, authorization: &str, asked: Arc<Mutex<Vec<String>>>) {
    let head = head(&mut stream).await;
    let target = head
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next());
    let target = target.unwrap_or_else(|| panic!("{head}")).to_owned();
    asked.lock().unwrap().push(target.clone());
    let line = format!("Proxy-Authorization: {authorization}\r\n");
    if !authorization.is_empty() && !head.contains(&line) {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        return stream.write_all(refusal).await.unwrap();
    }
    let Ok(target) = target.parse::<SocketAddr>() else {
        let refusal = b"HTTP/1.1 502 No such host\r\n\r\n";
        return stream.write_all(refusal).await.unwrap();
    };
    let mut upstream = TcpStream::connect(target).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut upstream).await;
}

async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}
