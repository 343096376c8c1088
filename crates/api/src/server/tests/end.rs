//! Shutdown: every request gets an answer, whenever it comes, and callers that have gone are not waited for.

use tokio::sync::Semaphore;

use super::*;

#[tokio::test]
async fn requests_in_the_socket_at_the_end_are_answered() {
    let server = start(10);
    let post = post("/devices/d/messages/events", "k", r#"{"data":{}}"#);
    let mut sender = kept_alive(&server).await;
    let mut unauthorized = kept_alive(&server).await;
    let mut prober = kept_alive(&server).await;
    let mut liveness = kept_alive(&server).await;
    let mut idle = kept_alive(&server).await;
    // No task runs between these lines: the server learns of its end first.
    sender.try_write(post.as_bytes()).unwrap();
    let wrong_key = post.replace("x-api-key: k", "x-api-key: x");
    unauthorized.try_write(wrong_key.as_bytes()).unwrap();
    prober.try_write(GET_READY.as_bytes()).unwrap();
    liveness.try_write(GET_LIVE.as_bytes()).unwrap();
    server.stop.send(()).unwrap();

    let answer = rest(&mut sender).await;
    check_closing(&answer, "503");
    assert!(
        answer.contains("retry-after: 5\r\n") && answer.contains("problem:stopping"),
        "{answer}"
    );
    check_closing(&rest(&mut unauthorized).await, "401");
    let answer = rest(&mut prober).await;
    check_closing(&answer, "503");
    assert!(answer.contains("the bridge is stopping"), "{answer}");
    check_closing(&rest(&mut liveness).await, "200");
    let answer = rest(&mut idle).await;
    check_closing(&answer, "503");
    assert!(answer.contains("problem:stopping"), "{answer}");
    server.task.await.unwrap();
}

#[tokio::test]
async fn connections_that_nobody_accepted_yet_are_answered() {
    let server = start(10);
    // Not through the runtime: the server's task does not run meanwhile.
    let mut streams: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(server.address).unwrap();
            io::Write::write_all(&mut stream, GET_READY.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            TcpStream::from_std(stream).unwrap()
        })
        .collect();
    server.stop.send(()).unwrap();
    for stream in &mut streams {
        check_closing(&rest(stream).await, "503");
    }
    server.task.await.unwrap();
}

#[tokio::test]
async fn half_a_head_may_be_finished() {
    let server = start(10);
    let mut stream = kept_alive(&server).await;
    let (first, second) = GET_READY.split_at(12);
    stream.write_all(first.as_bytes()).await.unwrap();
    // Once this is answered, the server has read what was written before it.
    drop(kept_alive(&server).await);
    server.stop.send(()).unwrap();
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    timeout(STOP, refused).await.unwrap();
    stream.write_all(second.as_bytes()).await.unwrap();
    check_closing(&rest(&mut stream).await, "503");
    server.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_finished_is_answered_before_the_end() {
    let mut server = start(10);
    let started = tokio::time::Instant::now();
    let mut stream = connect(&server).await;
    let request = post("/devices/d/messages/events", "k", r#"{"data":{}}"#);
    stream.write_all(request.as_bytes()).await.unwrap();
    let never = server.messages.recv().await.unwrap();
    server.stop.send(()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    check_closing(&answer, "503");
    assert!(
        answer.contains("retry-after: 5\r\n") && answer.contains("it may or may not have"),
        "{answer}"
    );
    server.task.await.unwrap();
    assert!(started.elapsed() < STOP);
    assert!(never.is_closed());
}

#[tokio::test(start_paused = true)]
async fn of_a_body_that_never_came_in_full_nothing_was_sent() {
    let server = start(10);
    let mut stream = connect(&server).await;
    let head = "POST /devices/d/messages/events HTTP/1.1\r\nhost: h\r\nx-api-key: k\r\n\
                content-type: application/json\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // It is under way once it is asked for its body.
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut heard = vec![0; go_on.len()];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), go_on);
    stream.write_all(b"{\"data").await.unwrap();
    server.stop.send(()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    check_closing(&answer, "503");
    assert!(answer.contains("nothing was sent"), "{answer}");
    server.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn silence_in_the_middle_of_a_head_does_not_hold_up_the_end() {
    let server = start(10);
    let mut stream = kept_alive(&server).await;
    stream.write_all(b"GET /rea").await.unwrap();
    drop(kept_alive(&server).await);
    server.stop.send(()).unwrap();
    timeout(STOP, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_waits_for_a_message_is_answered_at_the_end() {
    let server = start(10);
    let mut stream = connect(&server).await;
    stream.write_all(POLL.as_bytes()).await.unwrap();
    is_asked(&server).await;
    server.stop.send(()).unwrap();
    check_closing(&rest(&mut stream).await, "204");
    server.task.await.unwrap();
}

#[tokio::test]
async fn connections_are_kept_and_answered_until_the_end() {
    let mut server = start(10);
    let mut under_way = connect(&server).await;
    let message = post("/devices/d/messages/events", "k", r#"{"data":{}}"#);
    under_way.write_all(message.as_bytes()).await.unwrap();
    let accept = server.messages.recv().await.unwrap();
    let mut kept = Vec::new();
    for _ in 0..5 {
        kept.push(kept_alive(&server).await);
    }
    server.stop.send(()).unwrap();
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    timeout(STOP, refused).await.unwrap();
    for stream in &mut kept {
        stream.write_all(message.as_bytes()).await.unwrap();
        let answer = rest(stream).await;
        check_closing(&answer, "503");
        assert!(answer.contains("problem:stopping") && answer.contains("nothing was sent"));
    }
    accept.send(()).unwrap();
    assert!(
        rest(&mut under_way)
            .await
            .starts_with("HTTP/1.1 200 OK\r\n")
    );
    server.task.await.unwrap();
}

/// Asks again and again on one connection until it is closed; says whether the last request got an answer. Adds a permit once the first one
/// has: from then on the connection is kept.
async fn ask_until_closed(address: SocketAddr, pause: Duration, kept: Arc<Semaphore>) -> bool {
    let mut is_kept = false;
    let mut stream = TcpStream::connect(address).await.unwrap();
    loop {
        let mut answer = Vec::new();
        if stream.write_all(GET_LIVE.as_bytes()).await.is_err() {
            // What was said before it closed may still be read.
            let _ = stream.read_to_end(&mut answer).await;
            return !answer.is_empty();
        }
        while !answer.ends_with(b"}") {
            if !matches!(stream.read_buf(&mut answer).await, Ok(1..)) {
                return false;
            }
        }
        if String::from_utf8_lossy(&answer).contains("connection: close\r\n") {
            return true;
        }
        if !is_kept {
            kept.add_permits(1);
            is_kept = true;
        }
        sleep(pause).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_goes_without_an_answer() {
    for _ in 0..5 {
        let server = start(1_000);
        let kept = Arc::new(Semaphore::new(0));
        let callers: Vec<_> = (0..300)
            .map(|at| {
                let pause = Duration::from_millis(at % 10);
                tokio::spawn(ask_until_closed(server.address, pause, Arc::clone(&kept)))
            })
            .collect();
        let all = timeout(STOP, kept.acquire_many(300)).await;
        assert!(all.is_ok(), "not all are at it");
        server.stop.send(()).unwrap();
        let mut unanswered = 0;
        for caller in callers {
            unanswered += usize::from(!caller.await.unwrap());
        }
        assert_eq!(unanswered, 0);
        server.task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn requests_of_callers_who_are_gone_hold_up_nothing() {
    let mut server = start(10);
    let message = post("/devices/d/messages/events", "k", r#"{"data":{}}"#);
    let started = Instant::now();
    let mut never = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(&server).await;
        stream.write_all(message.as_bytes()).await.unwrap();
        never.push(server.messages.recv().await.unwrap());
    }
    server.stop.send(()).unwrap();
    server.task.await.unwrap();
    let limit = STOP - Duration::from_millis(STOP_FLUSH_MS);
    assert!(started.elapsed() < limit, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn of_what_waits_before_the_hub_nothing_was_sent() {
    let mut server = start_with(None, 10, false);
    let mut stream = connect(&server).await;
    let request = post("/devices/d/messages/events", "k", r#"{"data":{}}"#);
    stream.write_all(request.as_bytes()).await.unwrap();
    let _never = server.messages.recv().await.unwrap();
    server.stop.send(()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    check_closing(&answer, "503");
    assert!(answer.contains("nothing was sent"), "{answer}");
    server.task.await.unwrap();
}
