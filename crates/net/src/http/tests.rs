//! The client against a service that does as a test tells it.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// What the service does about a request, given how many came before over all connections.
#[derive(Clone, Copy)]
enum Act {
    Answer(&'static str),
    /// Answers, and closes the connection although it did not say so.
    AnswerAndClose,
    Close,
    Never,
}

const OK: Act = Act::Answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");

struct Service {
    client: Arc<HttpClient>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    opened: AtomicUsize,
    ended: AtomicUsize,
}

impl Service {
    async fn start(act: fn(usize) -> Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let counts = Arc::<Counts>::default();
        let counting = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counts = Arc::clone(&counting);
                counts.opened.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    serve(stream, act, &counts.requests).await;
                    counts.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        let channel = HttpChannel::Clear {
            to: Some(to),
            within: Duration::MAX,
        };
        let bounds = HttpBounds {
            connections: 2,
            time: Duration::from_secs(30),
            answer_bytes: 8,
        };
        let client = HttpClient::new("service.test", 80, channel, bounds);
        Self {
            client: Arc::new(client),
            counts,
        }
    }

    async fn send(&self, repeatable: bool) -> Result<Response<Bytes>, HttpError> {
        send(&self.client, repeatable).await
    }

    fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    fn opened(&self) -> usize {
        self.counts.opened.load(Ordering::SeqCst)
    }
}

async fn send(client: &HttpClient, repeatable: bool) -> Result<Response<Bytes>, HttpError> {
    let request = Request::get("/").header("host", "service.test");
    client
        .send(request.body(Bytes::new()).unwrap(), repeatable)
        .await
}

async fn serve(mut stream: TcpStream, act: fn(usize) -> Act, requests: &AtomicUsize) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let (answer, closes) = match act(requests.fetch_add(1, Ordering::SeqCst)) {
            Act::Answer(answer) => (answer, false),
            Act::AnswerAndClose => ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true),
            Act::Close => return,
            Act::Never => std::future::pending().await,
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
        if closes {
            return;
        }
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_heard_is_sent_again_only_if_it_is_repeatable() {
    let heard_and_closed = |before| if before == 1 { Act::Close } else { OK };
    let service = Service::start(heard_and_closed).await;
    assert_eq!(*service.send(false).await.unwrap().body(), "ok");
    assert_eq!(*service.send(true).await.unwrap().body(), "ok");
    assert_eq!((service.requests(), service.opened()), (3, 2));

    let service = Service::start(heard_and_closed).await;
    assert!(service.send(false).await.is_ok());
    let error = service.send(false).await.unwrap_err();
    assert!(matches!(error, HttpError::Broken(_)), "{error}");
    assert_eq!((service.requests(), service.opened()), (2, 1));

    // Over a new connection, whoever closes it has heard the request.
    let service = Service::start(|_| Act::Close).await;
    assert!(service.send(true).await.is_err());
    assert_eq!(service.requests(), 1);
}

#[tokio::test]
async fn a_request_is_sent_again_when_its_connection_had_ended_before() {
    let service = Service::start(|_| Act::AnswerAndClose).await;
    for sent in 1..=20 {
        assert!(service.send(true).await.is_ok());
        assert_eq!((service.requests(), service.opened()), (sent, sent));
    }
}

#[tokio::test]
async fn there_are_never_more_connections_than_may_be() {
    let service = Service::start(|_| OK).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let client = Arc::clone(&service.client);
        tasks.spawn(async move { send(&client, false).await.unwrap() });
    }
    tasks.join_all().await;
    assert_eq!((service.requests(), service.opened()), (200, 2));
}

#[tokio::test]
async fn an_answer_and_its_time_are_bounded() {
    let service =
        Service::start(|_| Act::Answer("HTTP/1.1 404 No\r\ncontent-length: 9\r\n\r\n123456789"))
            .await;
    let error = service.send(true).await.unwrap_err();
    assert!(error.is_too_large(), "{error}");

    tokio::time::pause();
    let service = Service::start(|_| Act::Never).await;
    let error = service.send(true).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 30 s");
    tokio::time::resume();
}

#[tokio::test]
async fn a_kept_connection_is_given_up_in_time_and_with_its_client() {
    let service = Service::start(|_| OK).await;
    assert!(service.send(false).await.is_ok());
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(limits::HTTP_CONNECTION_LIFE_MS)).await;
    tokio::time::resume();
    assert!(service.send(false).await.is_ok());
    assert_eq!(service.opened(), 2);

    drop(service.client);
    while service.counts.ended.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
}
