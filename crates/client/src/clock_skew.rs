//! What time it is at a hub or at DPS. Tokens are refused when the two clocks differ by more than minutes, and nothing else tells
//! that fault from a wrong key.

use std::fmt;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use drawspan_hub::HostName;
use drawspan_net::Connector;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;

use crate::limits;

/// How far this machine's clock is from a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// This machine's clock is behind by that much.
    Behind(Duration),
    /// This machine's clock is ahead by that much.
    Ahead(Duration),
}

impl Skew {
    /// By how much, whichever way.
    #[must_use]
    pub const fn length(self) -> Duration {
        match self {
            Self::Behind(length) | Self::Ahead(length) => length,
        }
    }

    /// By the header `Date` of an answer that has just come.
    #[must_use]
    pub fn by_date(date: &str) -> Option<Self> {
        let theirs = httpdate::parse_http_date(date).ok()?;
        Some(Self::between(SystemTime::now(), theirs))
    }

    /// Whether tokens are refused because of it.
    #[must_use]
    pub const fn matters(self) -> bool {
        self.length().as_secs() > limits::CLOCK_SKEW_S
    }

    fn between(ours: SystemTime, theirs: SystemTime) -> Self {
        match theirs.duration_since(ours) {
            Ok(behind) => Self::Behind(behind),
            Err(ahead) => Self::Ahead(ahead.duration()),
        }
    }
}

impl fmt::Display for Skew {
    /// As in "this machine's clock is 7200 s behind that of the hub".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.length().as_secs();
        match self {
            Self::Behind(_) => write!(f, "{seconds} s behind"),
            Self::Ahead(_) => write!(f, "{seconds} s ahead of"),
        }
    }
}

/// Asks `host` for the time over HTTPS (`Date` of any answer, RFC 9110 section 6.6.1). `None` when it does not say. Exact to
/// a few seconds.
pub async fn skew(connector: &Connector, host: &HostName) -> Option<Skew> {
    let limit = Duration::from_millis(limits::PEER_CLOCK_TIMEOUT_MS);
    let theirs = tokio::time::timeout(limit, date(connector, host)).await;
    Some(Skew::between(SystemTime::now(), theirs.ok()??))
}

async fn date(connector: &Connector, host: &HostName) -> Option<SystemTime> {
    let stream = connector
        .connect(host.as_str(), limits::HTTPS_PORT)
        .await
        .ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::head("/")
        .header(header::HOST, host.as_str())
        .body(Empty::<Bytes>::new())
        .ok()?;
    let mut answer = pin!(async move {
        let answer = sender.send_request(request).await.ok()?;
        let date = answer.headers().get(header::DATE)?.to_str().ok()?;
        httpdate::parse_http_date(date).ok()
    });
    tokio::select! {
        date = &mut answer => date,
        // A peer may close right behind its answer, which has been read then.
        _ = connection => answer.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_has_a_direction() {
        let now = SystemTime::now();
        let minute = Duration::from_secs(60);
        assert_eq!(Skew::between(now, now + minute), Skew::Behind(minute));
        assert_eq!(Skew::between(now, now - minute), Skew::Ahead(minute));
        assert_eq!(Skew::between(now, now - minute).length(), minute);
    }
}
