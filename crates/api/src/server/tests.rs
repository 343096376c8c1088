mod bounds;
mod end;
mod stream;
mod tls;

use std::net::Ipv4Addr;
use std::sync::Mutex;

use drawspan_gateway::{ConnectionFeed, Presence};
use drawspan_settings::ApiKeys;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::fake::{Call, Fake};
use crate::limits::MAX_HEAD_BYTES;

const STOP: Duration = Duration::from_secs(10);

struct TestServer {
    address: SocketAddr,
    messages: mpsc::Receiver<oneshot::Sender<()>>,
    calls: Arc<Mutex<Vec<Call>>>,
    presences: Arc<Mutex<Vec<Presence>>>,
    feed: Arc<ConnectionFeed>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn start(max_connections: usize) -> TestServer {
    start_over(None, max_connections)
}

fn start_over(tls: Option<Tls>, max_connections: usize) -> TestServer {
    start_with(tls, max_connections, true)
}

fn start_with(tls: Option<Tls>, max_connections: usize, has_effect: bool) -> TestServer {
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let (came, messages) = mpsc::channel(1);
    let (stop, stopped) = oneshot::channel::<()>();
    let devices = Fake {
        gate: Some(came),
        has_effect,
        ..Fake::default()
    };
    let calls = Arc::clone(&devices.calls);
    let presences = Arc::clone(&devices.presences);
    let feed = Arc::clone(&devices.feed);
    let api = Api::new(devices, ApiKeys::new(["k"]), Duration::from_secs(30));
    let shutdown = async {
        let _ = stopped.await;
    };
    let bounds = Bounds {
        connections: max_connections,
        per_address: max_connections,
        refusals: 2,
        farewells: 8,
        handshakes: max_connections,
    };
    let terms = Terms {
        tls,
        bounds,
        ..Terms::new(STOP)
    };
    let task = tokio::spawn(serve(listener, api, shutdown, terms));
    TestServer {
        address,
        messages,
        calls,
        presences,
        feed,
        stop,
        task,
    }
}

async fn connect(server: &TestServer) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

/// All that comes until the other side hangs up.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

fn post(path: &str, key: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn ask(server: &TestServer, request: &str) -> String {
    let mut stream = connect(server).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

#[tokio::test]
async fn a_request_under_way_survives_the_shutdown() {
    let mut server = start(10);
    let mut stream = connect(&server).await;
    let request = post("/devices/d/messages/events", "k", r#"{"data":{}}"#);
    stream.write_all(request.as_bytes()).await.unwrap();
    let accept = server.messages.recv().await.unwrap();
    server.stop.send(()).unwrap();
    // The listener goes first; the answer comes all the same.
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    timeout(Duration::from_secs(10), refused).await.unwrap();
    accept.send(()).unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    server.task.await.unwrap();
}

/// Sends a head and then megabytes without reading, and then reads the answer.
async fn sends_on(server: &TestServer, head: &str, megabytes: usize) -> String {
    let mut stream = connect(server).await;
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..megabytes {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    rest(&mut stream).await
}

#[tokio::test]
async fn who_sends_on_after_the_answer_sees_it() {
    let server = start(10);
    let check = async |path: &str, more: &str, expected: &str| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n{more}\r\n\r\n"
        );
        // More than is read before an answer, and than sockets hold.
        let answer = sends_on(&server, &head, 24).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{answer}"
        );
    };
    const MESSAGES: &str = "/devices/d/messages/events";
    const CHUNKED: &str = "transfer-encoding: chunked";
    const LONG: &str = "content-length: 60000000";
    for length in [CHUNKED, LONG] {
        check(MESSAGES, &format!("x-api-key: k\r\n{length}"), "413").await;
        check(MESSAGES, length, "401").await;
        check("/nowhere", &format!("x-api-key: k\r\n{length}"), "404").await;
        check("/livez", length, "405").await;
    }
    // These are answered before any code of ours sees them.
    check(MESSAGES, &"a: b\r\n".repeat(200), "431").await;
    check("no path", CHUNKED, "400").await;
}

#[tokio::test]
async fn large_bodies_see_their_refusal_instead_of_a_reset() {
    let server = start(10);
    let body = format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(3_000_000));
    for (path, key, expected) in [
        ("/devices/d/messages/events", "wrong", "HTTP/1.1 401 "),
        ("/devices/d/unknown", "k", "HTTP/1.1 404 "),
        ("/devices/d/messages/events", "k", "HTTP/1.1 413 "),
    ] {
        let answer = ask(&server, &post(path, key, &body)).await;
        assert!(answer.starts_with(expected), "{expected}: {answer}");
    }
}

#[tokio::test]
async fn who_waits_for_100_continue_is_refused_without_sending() {
    let server = start(10);
    let head = "POST /devices/d/messages/events HTTP/1.1\r\nhost: h\r\nx-api-key: k\r\nexpect: 100-continue\r\n\
                content-type: application/json\r\ncontent-length: 3000000\r\n\r\n";
    let answer = ask(&server, head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_cut_off() {
    let server = start(10);
    let long = format!(
        "GET / HTTP/1.1\r\nx: {}\r\n\r\n",
        "x".repeat(4 * MAX_HEAD_BYTES)
    );
    let line = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MAX_HEAD_BYTES));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (request, expected) in [
        ("EHLO there\r\n\r\n", "400"),
        (&long, "431"),
        (&line, "431"),
        (&many, "431"),
    ] {
        let answer = ask(&server, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{expected}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_head_may_be_so_long_and_not_a_byte_longer() {
    let server = start(10);
    let head = |bytes: usize| {
        let (begin, end) = (
            "GET /livez HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx: ",
            "\r\n\r\n",
        );
        let filler = "x".repeat(bytes - begin.len() - end.len());
        format!("{begin}{filler}{end}")
    };
    for (bytes, expected) in [(MAX_HEAD_BYTES, "200"), (MAX_HEAD_BYTES + 1, "431")] {
        let answer = ask(&server, &head(bytes)).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{bytes}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_request_without_a_proper_host_is_refused() {
    let server = start(10);
    for (head, expected) in [
        ("GET /livez HTTP/1.0\r\n", "200"),
        ("GET /livez HTTP/1.1\r\nhost: h\r\n", "200"),
        ("GET /livez HTTP/1.1\r\nhost:\r\n", "200"),
        ("GET /livez HTTP/1.1\r\n", "400"),
        ("GET /livez HTTP/1.1\r\nhost: h\r\nhost: h\r\n", "400"),
        ("GET /livez HTTP/1.1\r\nhost: h h\r\n", "400"),
        ("GET http://h/livez HTTP/1.1\r\n", "400"),
    ] {
        let answer = ask(&server, &format!("{head}connection: close\r\n\r\n")).await;
        let status = answer.split(' ').nth(1).unwrap();
        assert_eq!(status, expected, "{head} {answer}");
        if expected == "400" {
            assert!(answer.contains("problem:invalid-host"), "{answer}");
        }
        assert!(answer.contains("\r\ndate: "), "{answer}");
    }
}

const GET_READY: &str = "GET /readyz HTTP/1.1\r\nhost: h\r\n\r\n";
const GET_LIVE: &str = "GET /livez HTTP/1.1\r\nhost: h\r\n\r\n";

/// A connection that has had an answer and is kept.
async fn kept_alive(server: &TestServer) -> TcpStream {
    let mut stream = connect(server).await;
    stream.write_all(GET_LIVE.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(br#"{"status":"live"}"#) {
        stream.read_buf(&mut answer).await.unwrap();
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    stream
}

fn check_closing(answer: &str, status: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

const POLL: &str =
    "GET /devices/d/messages/devicebound?wait=60 HTTP/1.1\r\nhost: h\r\nx-api-key: k\r\n\r\n";

/// Resolves when the server's devices were asked for a message.
async fn is_asked(server: &TestServer) {
    let is_receive = |call: &Call| matches!(call, Call::Receive(_));
    while !server.calls.lock().unwrap().iter().any(is_receive) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_hung_up_is_not_waited_for() {
    let server = start(1);
    let mut stream = connect(&server).await;
    stream.write_all(POLL.as_bytes()).await.unwrap();
    is_asked(&server).await;
    stream.shutdown().await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    drop(stream);
    // And who hung up altogether leaves the only place to somebody else.
    server.calls.lock().unwrap().clear();
    let answer = loop {
        let mut gone = connect(&server).await;
        if gone.write_all(POLL.as_bytes()).await.is_ok() && served(&server, &mut gone).await {
            drop(gone);
            break until_served(&server).await;
        }
    };
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn who_hangs_up_while_a_message_waits_is_noticed_and_answered_all_the_same() {
    let mut server = start(1);
    let mut stream = connect(&server).await;
    let request = post("/devices/d/messages/events", "k", r#"{"data":{}}"#);
    stream.write_all(request.as_bytes()).await.unwrap();
    let accept = server.messages.recv().await.unwrap();
    let presence = server.presences.lock().unwrap()[0].clone();
    assert!(!presence.has_hung_up());
    stream.shutdown().await.unwrap();
    let noticed = async {
        while !presence.has_hung_up() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), noticed).await.unwrap();
    // It may only have said its last.
    accept.send(()).unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

/// Whether the poll on this connection is under way, and not refused because the place is still taken.
async fn served(server: &TestServer, stream: &mut TcpStream) -> bool {
    tokio::select! {
        () = is_asked(server) => true,
        readable = stream.readable() => readable.is_err(),
    }
}

async fn until_served(server: &TestServer) -> String {
    let live = GET_LIVE.replace("host: h", "host: h\r\nconnection: close");
    let asked = async {
        loop {
            let answer = ask(server, &live).await;
            if answer.starts_with("HTTP/1.1 200 ") {
                return answer;
            }
        }
    };
    timeout(Duration::from_secs(10), asked).await.unwrap()
}
