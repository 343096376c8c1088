//! One HTTP connection: opened when needed, one request in flight, abandoned at the first error.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

type Body = Full<Bytes>;

/// A connection that is polled together with its request: no separate task, no wake-up between tasks.
struct Open {
    sender: SendRequest<Body>,
    driver: Driver,
}

/// The future that drives a connection's I/O.
struct Driver {
    connection: Pin<Box<Connection<TokioIo<TcpStream>, Body>>>,
    ended: bool,
}

/// A connection to the server, open or not.
pub(super) struct Client {
    authority: String,
    timeout: Duration,
    open: Option<Open>,
}

/// There was no answer, for any reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The server could not be connected to: nothing was sent.
    NotConnected,
    /// The connection broke, or the time was over.
    Broken,
}

impl Client {
    pub(super) fn new(authority: String, timeout: Duration) -> Self {
        Self {
            authority,
            timeout,
            open: None,
        }
    }

    /// Connects if there is no connection, or the server has closed it meanwhile.
    pub(super) async fn connect(&mut self) -> Result<(), NoAnswer> {
        if let Some(Open { sender, driver }) = &mut self.open {
            let ready = driver.drive(sender.ready()).await;
            if !driver.ended && matches!(ready, Some(Ok(()))) {
                return Ok(());
            }
            self.open = None;
        }
        let open = timeout_at(Instant::now() + self.timeout, open(&self.authority)).await;
        self.open = open.ok().flatten();
        if self.open.is_some() {
            Ok(())
        } else {
            Err(NoAnswer::NotConnected)
        }
    }

    /// Sends one request and reads its answer to the end: its status, and its body, which must not be larger. Never sends
    /// twice.
    pub(super) async fn ask_for(
        &mut self,
        request: Request<Body>,
        max_bytes: usize,
    ) -> Result<(u16, Bytes), NoAnswer> {
        let deadline = Instant::now() + self.timeout;
        self.connect().await?;
        let Some(Open { sender, driver }) = &mut self.open else {
            return Err(NoAnswer::NotConnected);
        };
        let exchange = async {
            let response = sender.send_request(request).await.ok()?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), max_bytes);
            let body = body.collect().await.ok()?.to_bytes();
            Some((status, body))
        };
        let answer = timeout_at(deadline, driver.drive(exchange)).await;
        match answer.ok().flatten().flatten() {
            Some(answer) => Ok(answer),
            None => {
                // A late answer must not be taken for that of the next request.
                self.open = None;
                Err(NoAnswer::Broken)
            }
        }
    }
}

async fn open(authority: &str) -> Option<Open> {
    let stream = TcpStream::connect(authority).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    Some(Open {
        sender,
        driver: Driver {
            connection: Box::pin(connection),
            ended: false,
        },
    })
}

impl Driver {
    /// The outcome of `work`, or `None` if the connection ends first.
    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        if !self.ended {
            tokio::select! {
                biased;
                // First the connection, which moves the bytes; the work then finds them.
                _ = &mut self.connection => self.ended = true,
                done = &mut work => return Some(done),
            }
        }
        // The last answer of a connection may have come together with its end.
        tokio::select! {
            biased;
            done = &mut work => Some(done),
            () = std::future::ready(()) => None,
        }
    }
}
