//! Connections through an HTTP proxy: `CONNECT` (RFC 9110, 9.3.6), then bytes pass unchanged.

use std::fmt;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::limits;

/// An HTTP proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The value of header `Proxy-Authorization`.
    pub authorization: Option<SecretString>,
}

/// Why a text is not a proxy. Holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxy {
    /// Another scheme.
    #[error("only proxies of the form http://host:port are supported")]
    Scheme,
    /// No host, or one with characters that no host has.
    #[error("the proxy has no valid host name or address")]
    Host,
    /// No number from 1 to 65535.
    #[error("the proxy's port is not a number from 1 to 65535")]
    Port,
    /// User or password are not text when decoded, or the user has a colon.
    #[error("the proxy's user or password is not percent-encoded text")]
    Credentials,
    /// Something follows the port.
    #[error("the proxy has a path, query or fragment; only http://host:port is taken")]
    Path,
}

/// Why a proxy did not connect.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// It cannot be reached, or broke off.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It wants to know who asks, or others to ask.
    #[error("it wants other credentials (407)")]
    Credentials,
    /// It refused, with this status and reason, cut to one bounded line.
    #[error("it refused ({0})")]
    Refused(String),
    /// Its answer is malformed.
    #[error("it does not answer as an HTTP proxy does")]
    NotHttp,
}

impl Proxy {
    /// Reads `[http://][user[:password]@]host[:port][/]`; user and password percent-encoded, the port 80 where it is not
    /// named, as in `HTTPS_PROXY`.
    ///
    /// # Errors
    /// What is wrong, without quoting it.
    pub fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let text = text.trim();
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(InvalidProxy::Scheme),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // A password may hold anything but what must be encoded, so that the last `@` counts.
        let (user_info, address) = match rest.rsplit_once('@') {
            Some((user_info, address)) => (Some(user_info), address),
            None => (None, rest),
        };
        if address.contains(['/', '?', '#']) {
            return Err(InvalidProxy::Path);
        }
        let (host, port) = host_and_port(address)?;
        Ok(Self {
            host,
            port,
            authorization: user_info.map(basic).transpose()?,
        })
    }

    /// Has the proxy connect `stream` to `host` and `port`.
    pub(crate) async fn tunnel<S>(
        &self,
        stream: &mut S,
        host: &str,
        port: u16,
    ) -> Result<(), ProxyError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let target = authority(host, port);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(value) = &self.authorization {
            request.push_str("Proxy-Authorization: ");
            request.push_str(value.expose_secret());
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        judge(&read_head(stream).await?)
    }
}

impl fmt::Display for Proxy {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&authority(&self.host, self.port))
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

fn host_and_port(address: &str) -> Result<(String, u16), InvalidProxy> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(InvalidProxy::Host)?;
            let is_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
            (Some(host).filter(|_| is_v6), port)
        }
        None => {
            let at = address.find(':').unwrap_or(address.len());
            let (host, port) = address.split_at(at);
            (Some(host).filter(|host| is_name(host)), port)
        }
    };
    let host = host.ok_or(InvalidProxy::Host)?.to_owned();
    let port = match port.strip_prefix(':') {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().map_err(|_| InvalidProxy::Port)?
        }
        None if port.is_empty() => 80,
        _ => return Err(InvalidProxy::Port),
    };
    if port == 0 {
        return Err(InvalidProxy::Port);
    }
    Ok((host, port))
}

fn is_name(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !host.is_empty() && host.bytes().all(allowed)
}

/// The `Basic` scheme (RFC 7617).
fn basic(user_info: &str) -> Result<SecretString, InvalidProxy> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let decode = |text| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map_err(|_| InvalidProxy::Credentials)
    };
    let user = decode(user)?;
    if user.contains(':') {
        return Err(InvalidProxy::Credentials);
    }
    let both = format!("{user}:{}", decode(password)?);
    Ok(format!("Basic {}", STANDARD.encode(both)).into())
}

/// The head of the answer. Nothing may follow it: what the proxy connects to speaks second.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, ProxyError> {
    let mut head = Vec::with_capacity(512);
    loop {
        let mut chunk = [0; 512];
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        head.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            let is_refusal = judge(&head).is_err();
            return if is_refusal || at + 4 == head.len() {
                Ok(head)
            } else {
                Err(ProxyError::NotHttp)
            };
        }
        if head.len() > limits::PROXY_HEAD_BYTES {
            return Err(ProxyError::NotHttp);
        }
    }
}

fn judge(head: &[u8]) -> Result<(), ProxyError> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let answer = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_once(' '))
        .map_or("", |(_, answer)| answer);
    let status = answer.split(' ').next().and_then(|word| word.parse().ok());
    match status {
        Some(200..=299) => Ok(()),
        Some(407) => Err(ProxyError::Credentials),
        Some(100..=599) => {
            let shown = answer.chars().filter(|c| !c.is_control());
            Err(ProxyError::Refused(
                shown.take(limits::PROXY_REASON_CHARS).collect(),
            ))
        }
        Some(0..=99 | 600..=u16::MAX) | None => Err(ProxyError::NotHttp),
    }
}

#[cfg(test)]
mod tests;
