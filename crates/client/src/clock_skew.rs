//! What time it is at a hub or at DPS. Tokens are refused when the two clocks differ by more than minutes, and nothing else tells
//! that fault from a wrong key.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use drawspan_hub::HostName;
use drawspan_hub::limits::CLOCK_TOLERANCE_S;
use drawspan_net::{Connector, HttpBounds, HttpChannel, HttpClient};
use http::{Request, header};

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

    /// How far this machine's clock is ahead, in seconds; negative if it is behind.
    #[must_use]
    pub fn ahead_s(self) -> i64 {
        let seconds = i64::try_from(self.length().as_secs()).unwrap_or(i64::MAX);
        match self {
            Self::Ahead(_) => seconds,
            Self::Behind(_) => -seconds,
        }
    }

    /// By the header `Date` of an answer that has just come.
    #[must_use]
    pub fn by_date(date: &str) -> Option<Self> {
        let theirs = httpdate::parse_http_date(date).ok()?;
        Some(Self::between(SystemTime::now(), theirs))
    }

    /// Whether it is worth a word when tokens are refused.
    #[must_use]
    pub const fn matters(self) -> bool {
        self.length().as_secs() > limits::CLOCK_SKEW_S
    }

    /// Whether it is more than a hub tolerates, so that it is the reason why tokens are refused.
    #[must_use]
    pub const fn is_refused(self) -> bool {
        self.length().as_secs() > CLOCK_TOLERANCE_S
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
    let bounds = HttpBounds {
        connections: 1,
        time: Duration::from_millis(limits::PEER_CLOCK_TIMEOUT_MS),
        answer_bytes: limits::HTTPS_ANSWER_BYTES,
    };
    let channel = HttpChannel::Tls(connector.clone());
    let client = HttpClient::new(host.as_str(), limits::HTTPS_PORT, channel, bounds);
    let request = Request::head("/").header(header::HOST, host.as_str());
    let answer = client.send(request.body(Bytes::new()).ok()?, true).await;
    Skew::by_date(answer.ok()?.headers().get(header::DATE)?.to_str().ok()?)
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
