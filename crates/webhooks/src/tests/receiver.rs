//! A scripted receiver of events that misbehaves. It uses a bare socket, so that it shares nothing with the client.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[derive(Debug, Clone, Copy)]
pub(super) enum Behaviour {
    /// This status and body.
    Answer(u16, &'static str),
    /// 503 with these headers so many times, then 200.
    FailFirst(usize, &'static str),
    /// 200, and a body without end.
    Endless,
    /// No answer.
    Hang,
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
}

pub(super) struct Receiver {
    authority: String,
    seen: Arc<Seen>,
    _accepting: JoinSet<()>,
}

impl Receiver {
    pub(super) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let seen: Arc<Seen> = Arc::default();
        let mut accepting = JoinSet::new();
        let shared = Arc::clone(&seen);
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, behaviour, Arc::clone(&shared)));
            }
        });
        Self {
            authority,
            seen,
            _accepting: accepting,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority)
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }
}

impl Request {
    /// Its value, empty if there is none.
    pub(super) fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

async fn serve(stream: TcpStream, behaviour: Behaviour, seen: Arc<Seen>) {
    let mut stream = BufStream::new(stream);
    while let Some(request) = read(&mut stream).await {
        let before = {
            let mut requests = seen.requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        let (status, headers, body) = match behaviour {
            Behaviour::Answer(status, body) => (status, "Location: /other\r\n", body),
            Behaviour::FailFirst(count, headers) if before < count => (503, headers, "no"),
            Behaviour::FailFirst(..) => (200, "", ""),
            Behaviour::Endless => {
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    sent = stream.write_all(b"a\r\n0123456789\r\n").await;
                }
                return;
            }
            Behaviour::Hang => std::future::pending().await,
        };
        let length = match status {
            204 => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let answer = format!("HTTP/1.1 {status} X\r\n{length}{headers}\r\n{body}");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
}

async fn read(stream: &mut BufStream<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let line = line.trim_end().to_owned();
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header).await.ok()? == 0 {
            return None;
        }
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        line,
        headers,
        body: Vec::new(),
    };
    request.body = vec![0; request.header("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut request.body).await.ok()?;
    Some(request)
}
