//! A stream that does not end by itself.

use drawspan_gateway::Change;
use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, DeviceId, UtcTime};

use super::*;

const STREAM: &str = "GET /connectionStatus/stream HTTP/1.1\r\nhost: h\r\nx-api-key: k\r\n\r\n";

fn push(server: &TestServer, device: &str) {
    let change = Change {
        at: UtcTime::from_unix_ms(0),
        status: ConnectionStatus::Connected,
        reason: ConnectionStatusReason::ConnectionOk,
        cause: None,
        detail: None,
        session: None,
    };
    let device = DeviceId::parse(device).unwrap();
    server.feed.push(device, None, change);
}

/// Opens a stream, and reads its greeting.
async fn follow(server: &TestServer) -> TcpStream {
    let mut stream = connect(server).await;
    stream.write_all(STREAM.as_bytes()).await.unwrap();
    let greeting = read_to(&mut stream, "id: ").await;
    assert!(greeting.starts_with("HTTP/1.1 200 OK\r\n"), "{greeting}");
    stream
}

/// What comes up to this text.
async fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&bytes).contains(end) {
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "it ended");
        }
    };
    timeout(Duration::from_secs(10), reading).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_stream_keeps_its_place_and_ends_with_the_server() {
    let server = start(2);
    let mut stream = follow(&server).await;
    // Only idle connections give way to new ones.
    let mut idle = kept_alive(&server).await;
    let _new = kept_alive(&server).await;
    check_closing(&rest(&mut idle).await, "503");
    push(&server, "pump-1");
    let event = read_to(&mut stream, "pump-1").await;
    assert!(event.contains("event: connectionStatus"), "{event}");
    server.stop.send(()).unwrap();
    let rest = rest(&mut stream).await;
    let chunks_end = rest
        .find("\r\n0\r\n\r\n")
        .or_else(|| rest.find("0\r\n\r\n"));
    assert!(chunks_end.is_some(), "the body ends as it should: {rest}");
    timeout(STOP / 2, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_hangs_up_leaves_nothing_behind() {
    let server = start(10);
    let before = Arc::strong_count(&server.feed);
    let streams = [follow(&server).await, follow(&server).await];
    assert_eq!(Arc::strong_count(&server.feed), before + 2);
    drop(streams);
    let all_gone = async {
        while Arc::strong_count(&server.feed) > before {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), all_gone).await.unwrap();
}

#[tokio::test]
async fn a_listener_that_does_not_read_holds_nobody_up() {
    let server = start(10);
    let slow = follow(&server).await;
    let mut quick = follow(&server).await;
    let all = drawspan_bridge::limits::FEED_CHANGES * 3;
    for number in 0..all {
        push(&server, &format!("device-{number}"));
        if number % 1_000 == 0 {
            read_to(&mut quick, &format!("\"device-{number}\"")).await;
        }
    }
    push(&server, "the-last-one");
    read_to(&mut quick, "the-last-one").await;
    let mut slow = slow;
    let text = read_to(&mut slow, "the-last-one").await;
    assert!(text.contains("event: missed"), "it was too slow");
}
