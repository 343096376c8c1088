//! Questions to the bridge, over a connection each.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::conformance::environment::{API_KEY, BRIDGE};
use crate::error::{Error, Result};

/// Nothing that is asked here takes long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether `/readyz` says so.
pub(super) fn is_ready() -> Result<bool> {
    Ok(get("/readyz")?.0 == 200)
}

/// The answer to a question that must be answered with 200.
pub(super) fn ask<T: DeserializeOwned>(path: &str) -> Result<T> {
    let (status, body) = get(path)?;
    let answer = serde_json::from_str(&body).ok();
    answer
        .filter(|_| status == 200)
        .ok_or_else(|| Error::Unexpected(format!("GET {path} was answered {status}: {body}")))
}

/// Status and body.
fn get(path: &str) -> Result<(u16, String)> {
    let mut answer = String::new();
    let asked = TcpStream::connect(BRIDGE).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {BRIDGE}\r\nx-api-key: {API_KEY}\r\nConnection: close\r\n\r\n"
        )?;
        stream.read_to_string(&mut answer)
    });
    asked.map_err(Error::io("asking the bridge for", path))?;
    parse(&answer).ok_or_else(|| Error::Unexpected(format!("GET {path} was answered `{answer}`")))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_body_are_read() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parse(answer), Some((503, "{}".into())));
        assert_eq!(parse("HTTP/1.1 200 OK\r\n"), None);
    }
}
