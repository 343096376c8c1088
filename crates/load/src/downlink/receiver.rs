//! A receiver of events with configurable behavior.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use drawspan_api::server;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::tracker::{Kind, Tracker};
use crate::behavior::{Behavior, Reaction, Turns};
use crate::limits::MAX_EVENT_BYTES;

/// The records of senders and receivers.
#[derive(Debug)]
pub(super) struct Book {
    start: Instant,
    first_id: u64,
    c2d: Mutex<Tracker>,
    methods: Mutex<Tracker>,
    others: Mutex<Others>,
}

/// Events that are not of this run.
#[derive(Debug, Clone, Default)]
pub(super) struct Others {
    /// Messages and calls that were not sent in this run.
    pub(super) strays: u64,
    /// Changes of connection status, and of desired properties.
    pub(super) notices: u64,
    /// Number of events that could not be decoded.
    pub(super) senseless: u64,
    pub(super) last_senseless: Option<String>,
}

/// A listening receiver. Ends with the process.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    address: SocketAddr,
    turns: Arc<Mutex<Arc<Turns>>>,
}

/// The relevant members of an event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    event_type: String,
    message_id: Option<String>,
    request_data: Option<RequestData>,
}

#[derive(Deserialize)]
struct RequestData {
    id: u64,
}

impl Book {
    pub(super) fn new(first_id: u64) -> Self {
        Self {
            start: Instant::now(),
            first_id,
            c2d: Mutex::default(),
            methods: Mutex::default(),
            others: Mutex::default(),
        }
    }

    pub(super) fn track(&self, kind: Kind) -> MutexGuard<'_, Tracker> {
        let track = match kind {
            Kind::C2d => &self.c2d,
            Kind::Method => &self.methods,
        };
        track.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since it was begun.
    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn id(&self, number: u64) -> u64 {
        self.first_id.wrapping_add(number)
    }

    /// Records an event. Returns kind and number if it was sent in this run.
    fn arrive(&self, webhook_id: Option<&str>, body: &[u8]) -> Option<(Kind, u64)> {
        let now = self.now_us();
        let event = match (serde_json::from_slice::<Event>(body), webhook_id) {
            (Ok(event), Some(_)) => event,
            (Ok(_), None) => return self.senseless("an event without webhook-id".to_owned()),
            (Err(error), _) => return self.senseless(format!("not an event: {error}")),
        };
        let (kind, id) = match event.event_type.as_str() {
            "C2DMessage" => (
                Kind::C2d,
                event.message_id.and_then(|id| id.parse::<u64>().ok()),
            ),
            "DirectMethodInvocation" => (Kind::Method, event.request_data.map(|data| data.id)),
            _ => {
                self.others().notices += 1;
                return None;
            }
        };
        let number = id.map(|id| id.wrapping_sub(self.first_id));
        let measured = (kind == Kind::C2d).then_some(now);
        let known = number.filter(|number| {
            let webhook_id = webhook_id.unwrap_or_default();
            self.track(kind).arrive(*number, webhook_id, measured)
        });
        if known.is_none() {
            self.others().strays += 1;
        }
        known.map(|number| (kind, number))
    }

    fn senseless<T>(&self, what: String) -> Option<T> {
        let mut others = self.others();
        others.senseless += 1;
        others.last_senseless = Some(what);
        None
    }
}

impl Receiver {
    /// Listens at `address`, and answers everything at once.
    ///
    /// # Errors
    /// What the system says, e.g. that the address is in use.
    pub(super) fn start(address: SocketAddr, book: Arc<Book>) -> io::Result<Self> {
        let listener = server::bind(address)?;
        let receiver = Self {
            address: listener.local_addr()?,
            turns: Arc::new(Mutex::new(Arc::new(Turns::new(Behavior::OK)))),
        };
        let own = receiver.clone();
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        tokio::spawn(own.clone().serve(stream, Arc::clone(&book)));
                    }
                    // No socket to give: some will be closed.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Ok(receiver)
    }

    /// The URL for events.
    pub(super) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// From now on.
    pub(super) fn behave(&self, manner: Behavior) {
        *self.lock() = Arc::new(Turns::new(manner));
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Turns>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self, stream: TcpStream, book: Arc<Book>) {
        // Answers are small, and waited for.
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| self.answer(request, &book));
        // The other side notices a connection that breaks, or is broken on purpose.
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        book: &Book,
    ) -> Result<Response<Full<Bytes>>, Broken> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_EVENT_BYTES).collect().await;
        let body = body.map_err(|_| Broken)?.to_bytes();
        let webhook_id = head.headers.get("webhook-id");
        let webhook_id = webhook_id.and_then(|value| value.to_str().ok());
        let arrived = book.arrive(webhook_id, &body);
        let turns = Arc::clone(&self.lock());
        match turns.next() {
            Reaction::Answer => {}
            Reaction::Delay(time) => tokio::time::sleep(time).await,
            Reaction::Status(code) => {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
                return Ok(response);
            }
            Reaction::Hang => std::future::pending::<()>().await,
            Reaction::Close => return Err(Broken),
        }
        let Some((kind, number)) = arrived else {
            return Ok(Response::new(Full::default()));
        };
        book.track(kind).take(number);
        Ok(Response::new(match kind {
            Kind::C2d => Full::default(),
            Kind::Method => Full::new(Bytes::from(method_answer(book.id(number)))),
        }))
    }
}

/// The answer of a receiver to a call, which the caller expects.
pub(super) fn method_answer(id: u64) -> String {
    format!("{{\"status\":200,\"payload\":{}}}", method_payload(id))
}

/// The payload of a call, and of its answer.
pub(super) fn method_payload(id: u64) -> String {
    format!("{{\"id\":{id}}}")
}

/// Ends a connection.
#[derive(Debug, thiserror::Error)]
#[error("closed")]
struct Broken;

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::tracker::SenderOutcome;
    use super::*;

    #[test]
    fn events_are_found_by_what_was_sent_with_them() {
        let book = Book::new(1_000);
        for kind in [Kind::C2d, Kind::Method] {
            let number = book.track(kind).send(0, true, false);
            book.track(kind).end(number, SenderOutcome::Ok, None);
        }
        let check = |body: &str, expected: Option<(Kind, u64)>| {
            assert_eq!(book.arrive(Some("w"), body.as_bytes()), expected, "{body}");
        };
        check(
            r#"{"eventType":"C2DMessage","messageId":"1000","messageBody":{}}"#,
            Some((Kind::C2d, 0)),
        );
        check(
            r#"{"eventType":"DirectMethodInvocation","requestData":{"id":1000}}"#,
            Some((Kind::Method, 0)),
        );
        check(r#"{"eventType":"C2DMessage","messageId":"999"}"#, None);
        check(r#"{"eventType":"C2DMessage"}"#, None);
        check(r#"{"eventType":"ConnectionStatusChange"}"#, None);
        check("[]", None);
        assert_eq!(book.arrive(None, br#"{"eventType":"C2DMessage"}"#), None);
        let others = book.others().clone();
        assert_eq!((others.strays, others.notices, others.senseless), (2, 1, 2));
    }
}
