//! A scripted HTTPS server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use drawspan_net::{Connector, Route, client_config};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(super) const HOST: &str = "dps.test";

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// `PUT /path`
    pub(super) line: String,
    pub(super) authorization: String,
    pub(super) body: String,
}

/// What is done about a request.
pub(super) enum Act {
    Answer {
        status: u16,
        headers: &'static str,
        body: String,
    },
    /// Answers, and ends the connection although it did not say so.
    AnswerAndEnd { status: u16, body: String },
    /// Ends the connection.
    End,
    /// Never answers.
    Hang,
}

impl Act {
    pub(super) fn answer(status: u16, body: &str) -> Self {
        Self::with(status, "", body)
    }

    pub(super) fn with(status: u16, headers: &'static str, body: &str) -> Self {
        let body = body.to_owned();
        Self::Answer {
            status,
            headers,
            body,
        }
    }
}

pub(super) struct Server {
    pub(super) connector: Connector,
    trusted: Arc<ClientConfig>,
    state: Arc<State>,
}

struct State {
    seen: Mutex<Vec<Seen>>,
    open: AtomicUsize,
    opened: AtomicUsize,
    most: AtomicUsize,
    act: Script,
}

type Script = Box<dyn Fn(&Seen, usize) -> Act + Send + Sync>;

impl Server {
    /// `act` is given the request and how many came before it.
    pub(super) async fn start(act: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([HOST.into()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let route = Route {
            host: HOST.into(),
            port: Some(443),
            to: listener.local_addr().unwrap(),
        };
        let state = Arc::new(State {
            seen: Mutex::default(),
            open: AtomicUsize::default(),
            opened: AtomicUsize::default(),
            most: AtomicUsize::default(),
            act: Box::new(act),
        });
        tokio::spawn(accept(
            listener,
            TlsAcceptor::from(Arc::new(tls)),
            Arc::clone(&state),
        ));
        let trusted = client_config(vec![cert.der().clone()]).unwrap();
        Self {
            connector: Connector::new(Arc::clone(&trusted), vec![route]),
            trusted,
            state,
        }
    }

    /// A connector that takes all names to `to`.
    pub(super) fn elsewhere(&self, to: SocketAddr) -> Connector {
        let route = Route {
            host: HOST.into(),
            port: None,
            to,
        };
        Connector::new(Arc::clone(&self.trusted), vec![route])
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Connections so far, and at once.
    pub(super) fn connections(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::SeqCst);
        (count(&self.state.opened), count(&self.state.most))
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, state: Arc<State>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
            state.opened.fetch_add(1, Ordering::SeqCst);
            state.most.fetch_max(open, Ordering::SeqCst);
            if let Ok(stream) = tls.accept(stream).await {
                // The client may end it whenever it likes.
                let _ = serve(BufReader::new(stream), &state).await;
            }
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn serve(mut stream: BufReader<TlsStream<TcpStream>>, state: &State) -> std::io::Result<()> {
    loop {
        let seen = read(&mut stream).await?;
        let before = {
            let mut all = state.seen.lock().unwrap();
            all.push(seen.clone());
            all.len() - 1
        };
        let (status, headers, body, end) = match (state.act)(&seen, before) {
            Act::Answer {
                status,
                headers,
                body,
            } => (status, headers, body, false),
            Act::AnswerAndEnd { status, body } => (status, "", body, true),
            Act::End => return Ok(()),
            Act::Hang => std::future::pending().await,
        };
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
        if end {
            return stream.shutdown().await;
        }
    }
}

async fn read(stream: &mut BufReader<TlsStream<TcpStream>>) -> std::io::Result<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value).to_owned()
    };
    assert_eq!(field("host"), HOST);
    let mut body = vec![0; field("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(Seen {
        line: head.lines().next().unwrap().replace(" HTTP/1.1", ""),
        authorization: field("authorization"),
        body: String::from_utf8(body).unwrap(),
    })
}
