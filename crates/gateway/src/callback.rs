//! The destination of events.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use drawspan_bridge::subscriptions::Callback;
use http::Uri;
use percent_encoding::CONTROLS;
use thiserror::Error;

use crate::limits::MAX_CALLBACK_URL_BYTES;

/// An absolute `http` or `https` URL. It may hold secrets of the caller: `Debug` and logs show its origin only. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CallbackUrl {
    text: Arc<str>,
    origin: Arc<str>,
}

/// Why a text cannot be called back. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidCallback {
    /// The text is empty.
    #[error("the callback URL is empty")]
    Empty,
    /// Too long.
    #[error("the callback URL is over {MAX_CALLBACK_URL_BYTES} bytes")]
    TooLong,
    /// Not an absolute URL.
    #[error("the callback URL must be absolute, like https://example.com/events")]
    NotAbsolute,
    /// Another scheme.
    #[error("the callback URL must begin with http:// or https://")]
    Scheme,
    /// Characters that a URL cannot hold.
    #[error(
        "the callback URL holds characters that must be written otherwise: a host in ASCII (xn--…), spaces as %20"
    )]
    Characters,
    /// The port is invalid.
    #[error("the callback URL's port must be 1 to 65535")]
    Port,
    /// Credentials in front of the host would be lost on the way.
    #[error(
        "the callback URL must not hold a user name or password; put a secret into its path or query"
    )]
    Credentials,
}

impl CallbackUrl {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`InvalidCallback`].
    pub fn parse(text: &str) -> Result<Self, InvalidCallback> {
        if text.trim().is_empty() {
            return Err(InvalidCallback::Empty);
        }
        if text.len() > MAX_CALLBACK_URL_BYTES {
            return Err(InvalidCallback::TooLong);
        }
        if !text.contains("://") {
            return Err(InvalidCallback::NotAbsolute);
        }
        let uri: Uri = text.parse().map_err(|_| InvalidCallback::Characters)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(InvalidCallback::NotAbsolute);
        };
        let default_port: u16 = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(InvalidCallback::Scheme),
        };
        if authority.as_str().contains('@') {
            return Err(InvalidCallback::Credentials);
        }
        let host = authority.host().to_ascii_lowercase();
        if host.is_empty() {
            return Err(InvalidCallback::NotAbsolute);
        }
        let port = authority.as_str().get(host.len()..).unwrap_or_default();
        let port = match port.strip_prefix(':').unwrap_or_default() {
            "" => default_port,
            port => port.parse().map_err(|_| InvalidCallback::Port)?,
        };
        if port == 0 {
            return Err(InvalidCallback::Port);
        }
        Ok(Self {
            text: text.into(),
            origin: format!("{scheme}://{host}:{port}").into(),
        })
    }

    /// The URL as it was given. Not for logs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL as a request may hold it: in ASCII. Not for logs.
    #[must_use]
    pub fn on_the_wire(&self) -> Cow<'_, str> {
        percent_encoding::utf8_percent_encode(&self.text, CONTROLS).into()
    }

    /// Scheme, host and port: all that may be shown.
    #[must_use]
    pub fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    /// The host in lower case, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host_and_port().0
    }

    /// The port, or the scheme's default.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.host_and_port().1
    }

    fn host_and_port(&self) -> (&str, u16) {
        let authority = self.origin.split_once("://").map_or("", |(_, rest)| rest);
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
        // It was written from a number.
        (host, port.parse().unwrap_or(0))
    }
}

impl Callback for CallbackUrl {
    fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    /// Most callers put a secret into the query: this is for those who may not change it, too.
    fn without_query(&self) -> &str {
        let end = self.text.find(['?', '#']);
        self.text
            .get(..end.unwrap_or(self.text.len()))
            .unwrap_or_default()
    }

    fn with_origin(self, origin: &Arc<str>) -> Self {
        let origin = match self.origin == *origin {
            true => Arc::clone(origin),
            false => self.origin,
        };
        Self { origin, ..self }
    }
}

impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackUrl({}/…)", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_hold_all_that_may_be_shown() {
        let check = |text: &str, origin: &str| {
            let url = CallbackUrl::parse(text).unwrap();
            assert_eq!(&**url.origin(), origin);
            let scheme = text.split_once("://").unwrap().0;
            assert_eq!(format!("{scheme}://{}:{}", url.host(), url.port()), origin);
            assert_eq!(url.as_str(), text);
            assert!(!format!("{url:?}").contains("secret"), "{url:?}");
        };
        check("http://Example.com/secret", "http://example.com:80");
        check("https://a.b?code=secret", "https://a.b:443");
        check("http://127.0.0.1:3000/secret", "http://127.0.0.1:3000");
        check("http://[::1]:3000/secret", "http://[::1]:3000");
    }

    #[test]
    fn a_query_is_left_out_where_it_is_not_to_be_seen() {
        let check = |text: &str, shown: &str| {
            assert_eq!(CallbackUrl::parse(text).unwrap().without_query(), shown);
        };
        check("https://a.b/c?code=secret", "https://a.b/c");
        check("https://A.b:8443?code=a?b", "https://A.b:8443");
        check("https://a.b/c#part?d", "https://a.b/c");
        check("https://a.b/c", "https://a.b/c");
    }

    #[test]
    fn requests_hold_ascii_alone() {
        let check = |text: &str, wire: &str| {
            let url = CallbackUrl::parse(text).unwrap();
            assert_eq!((url.as_str(), &*url.on_the_wire()), (text, wire));
        };
        check("http://a/%20?b=c%2F", "http://a/%20?b=c%2F");
        check(
            "http://a/\u{fc}?\u{e4}=\u{20ac}",
            "http://a/%C3%BC?%C3%A4=%E2%82%AC",
        );
        check("http://a:/b", "http://a:/b");
    }

    #[test]
    fn the_rest_is_refused() {
        let check = |text: &str, error| assert_eq!(CallbackUrl::parse(text), Err(error), "{text}");
        check(" ", InvalidCallback::Empty);
        check("/events", InvalidCallback::NotAbsolute);
        check("example.com", InvalidCallback::NotAbsolute);
        check("http://b\u{fc}cher.example/", InvalidCallback::Characters);
        check("http://a/b c", InvalidCallback::Characters);
        check("http://a/b\r\nc: d", InvalidCallback::Characters);
        check("http://a:99999/", InvalidCallback::Port);
        check("http://a:0/", InvalidCallback::Port);
        check("http://[::1]:x/", InvalidCallback::Port);
        check("not a url", InvalidCallback::NotAbsolute);
        check("ftp://example.com/", InvalidCallback::Scheme);
        check(
            "http://me:secret@example.com/",
            InvalidCallback::Credentials,
        );
        check(
            &format!("http://a/{}", "x".repeat(5_000)),
            InvalidCallback::TooLong,
        );
    }
}
