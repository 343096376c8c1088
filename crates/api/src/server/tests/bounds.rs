//! Too many connections: an idle one is closed, and probes are always answered.

use super::*;

const SUBSCRIPTION: &str = "GET /devices/d/methods/sub HTTP/1.1\r\nhost: h\r\nx-api-key: k\r\n\r\n";

/// A request under way, for which the returned sender waits.
async fn busy(server: &mut TestServer) -> (TcpStream, oneshot::Sender<()>) {
    let mut stream = connect(server).await;
    let request = post("/devices/d/messages/events", "k", r#"{"data":{}}"#);
    stream.write_all(request.as_bytes()).await.unwrap();
    (stream, server.messages.recv().await.unwrap())
}

#[tokio::test]
async fn the_idlest_connection_ends_for_a_new_one() {
    let server = start(2);
    let mut idlest = kept_alive(&server).await;
    let mut half = connect(&server).await;
    half.write_all(b"GET /live").await.unwrap();
    let _new = [kept_alive(&server).await, kept_alive(&server).await];
    for stream in [&mut idlest, &mut half] {
        let answer = rest(stream).await;
        check_closing(&answer, "503");
        assert!(answer.contains("problem:too-many-connections"), "{answer}");
    }
}

#[tokio::test]
async fn with_all_of_them_busy_probes_are_answered_and_the_rest_is_told_so() {
    let mut server = start(1);
    let (mut stream, accept) = busy(&mut server).await;
    for (request, expected) in [(GET_LIVE, "200"), (GET_READY, "200"), (SUBSCRIPTION, "503")] {
        let mut crowded = connect(&server).await;
        crowded.write_all(request.as_bytes()).await.unwrap();
        let answer = rest(&mut crowded).await;
        check_closing(&answer, expected);
        if expected == "503" {
            assert!(
                answer.contains("retry-after: 5\r\n")
                    && answer.contains("application/problem+json"),
                "{answer}"
            );
            assert!(answer.contains("problem:too-many-connections"), "{answer}");
        }
    }
    // Silent connections do not block new ones.
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(connect(&server).await);
    }
    let mut crowded = connect(&server).await;
    crowded.write_all(GET_LIVE.as_bytes()).await.unwrap();
    check_closing(&rest(&mut crowded).await, "200");
    accept.send(()).unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
}
