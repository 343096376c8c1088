//! The last answer on a connection.
//!
//! A client may send the next request on an open connection at any time, even while it is being closed. So an answer is written
//! before the close: it answers a request that is on its way, which is not executed. A client that has sent no request hangs up, as
//! HTTP clients do on an unsolicited answer (RFC 9110, section 15.5.9 specifies the same for 408).

use std::io;
use std::time::Duration;

use drawspan_gateway::limits::RETRY_AFTER_S;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connection::Wire;
use crate::api::Api;
use crate::limits::{FAREWELL_MS, LINGER_BYTES, LINGER_MS, LINGER_READ_BYTES};
use crate::problem::{Kind, Problem};

/// Answers 503 and closes, after the peer did so or after a second: closing at once could lose the answer.
pub(super) async fn farewell(mut stream: impl Wire, stopping: bool) {
    let problem = match stopping {
        true => Api::not_begun(),
        false => Problem::new(
            Kind::TooManyConnections,
            "Too many connections are open, and this one was idle. A request that was just sent was not processed; send it again.",
        ),
    };
    let body = problem.to_json();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: {RETRY_AFTER_S}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let words = async {
        stream.write_all(&[head.as_bytes(), &body].concat()).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(Duration::from_millis(FAREWELL_MS), words).await;
}

/// Hangs up in one direction, and reads and throws away what the caller still sends, until it hangs up as well: closing a socket
/// with unread bytes resets it, and a caller that sends on would not see the answer. Bounded in bytes and time.
pub(super) async fn linger(mut stream: impl Wire) {
    let rest = async {
        stream.shutdown().await?;
        let mut bytes = vec![0; LINGER_READ_BYTES];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut bytes).await? {
                0 => break,
                length => left = left.saturating_sub(length),
            }
        }
        io::Result::Ok(())
    };
    let _ = timeout(Duration::from_millis(LINGER_MS), rest).await;
}
