//! The header `Host`: RFC 9112, section 3.2, and the allowed names where no key is needed.

use std::net::{IpAddr, Ipv6Addr};

use axum::body::Body;
use axum::http::header::HOST;
use axum::http::{Request, Version};

use super::problem::{Kind, Problem};

/// The hosts that requests may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hosts {
    /// Any: callers show that they may ask by their key.
    #[default]
    Any,
    /// This machine by a loopback name or address, so that no page of the web whose name was made to lead here (DNS rebinding) can ask.
    Loopback,
    /// The same, or any address: an address cannot be made to lead elsewhere. For a listener that others are to reach.
    Addresses,
}

impl Hosts {
    /// Checks what a request says about its host.
    ///
    /// # Errors
    /// 400 if `Host` is missing (but in HTTP/1.0), is there twice or is malformed; 403 if requests for that host are not answered.
    pub(super) fn check(self, request: &Request<Body>) -> Result<(), Problem> {
        let mut given = request.headers().get_all(HOST).iter();
        let host = match (given.next(), given.next()) {
            (Some(host), None) => host.to_str().ok(),
            (None, _) if request.version() < Version::HTTP_11 => Some(""),
            (None, _) => return Err(invalid("The header Host is missing.")),
            (Some(_), Some(_)) => return Err(invalid("The header Host is repeated.")),
        };
        let Some(host) = host.and_then(host_of) else {
            return Err(invalid(
                "The header Host is not a name or address, with or without a port.",
            ));
        };
        // The host in the request line takes precedence (RFC 9112, section 3.2.2).
        match self.admit(request.uri().host().unwrap_or(host)) {
            true => Ok(()),
            false => Err(refused(self)),
        }
    }

    fn admit(self, host: &str) -> bool {
        if self == Self::Any {
            return true;
        }
        let name = host.trim_matches(['[', ']']);
        match name.parse::<IpAddr>() {
            Ok(address) => self == Self::Addresses || address.to_canonical().is_loopback(),
            Err(_) => is_localhost(name.strip_suffix('.').unwrap_or(name)),
        }
    }
}

/// `localhost` and what is below it (RFC 6761, section 6.3).
fn is_localhost(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// The host in a value `host [":" port]`, which may be empty; `None` if the value is malformed.
fn host_of(value: &str) -> Option<&str> {
    let end = match value.strip_prefix('[') {
        Some(_) => value.find(']')? + 1,
        None => value.find(':').unwrap_or(value.len()),
    };
    let (host, port) = value.split_at_checked(end)?;
    let port_is_valid = match port.strip_prefix(':') {
        Some(port) => {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && (port.is_empty() || port.parse::<u16>().is_ok())
        }
        None => port.is_empty(),
    };
    let literal = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_valid = match literal {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok() || is_future(inner),
        None => is_name(host),
    };
    (is_valid && port_is_valid).then_some(host)
}

/// `reg-name` or an IPv4 address (RFC 3986, section 3.2.2).
fn is_name(host: &str) -> bool {
    let mut bytes = host.bytes();
    while let Some(byte) = bytes.next() {
        let is_valid = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !is_valid {
            return false;
        }
    }
    true
}

/// `IPvFuture` (RFC 3986, section 3.2.2).
fn is_future(inner: &str) -> bool {
    let version = inner
        .strip_prefix(['v', 'V'])
        .and_then(|rest| rest.split_once('.'));
    version.is_some_and(|(version, address)| {
        !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !address.is_empty()
    })
}

fn invalid(detail: &'static str) -> Problem {
    Problem::new(Kind::InvalidHost, detail)
}

fn refused(hosts: Hosts) -> Problem {
    Problem::new(
        Kind::HostRefused,
        match hosts {
            Hosts::Addresses => {
                "Without --api-key only requests for localhost or an IP address are answered, so that no web page can ask. \
                 Use one of these in the URL, or start with --api-key KEY."
            }
            Hosts::Any | Hosts::Loopback => {
                "Without --api-key only requests for localhost, 127.0.0.1 or [::1] are answered, so that no web page can ask. \
                 Use one of these in the URL, or start with --api-key KEY."
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, uri: &str, hosts: &[&str]) -> Request<Body> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn a_host_is_there_once_and_well_formed() {
        let check = |version, hosts: &[&str], expected: bool| {
            let found = Hosts::Any.check(&request(version, "/livez", hosts));
            assert_eq!(found.is_ok(), expected, "{version:?} {hosts:?} {found:?}");
            if let Err(problem) = found {
                assert_eq!(problem.kind(), Kind::InvalidHost);
            }
        };
        for good in [
            "a",
            "a.example",
            "a_b.example:5001",
            "a:",
            "",
            ":80",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:8080",
            "[v1.a]",
            "x%20y",
            "a,b",
        ] {
            check(Version::HTTP_11, &[good], true);
            check(Version::HTTP_10, &[good], true);
        }
        for bad in [
            "a b", "a/b", "a%2", "a:+1", "u@a", "a:b", "a:1:2", "a:65536", "[::1", "::1", "[x]",
            "[]", "[::1]x", "a?b", "a#b", "a\\b", "ä",
        ] {
            check(Version::HTTP_11, &[bad], false);
            check(Version::HTTP_10, &[bad], false);
        }
        check(Version::HTTP_11, &[], false);
        check(Version::HTTP_10, &[], true);
        check(Version::HTTP_11, &["a", "a"], false);
        check(Version::HTTP_10, &["a", "b"], false);
    }

    #[test]
    fn names_that_can_be_made_to_lead_here_are_refused() {
        let check = |uri: &str, host: &str, expected: [bool; 3]| {
            let request = request(Version::HTTP_11, uri, &[host]);
            let found = [Hosts::Any, Hosts::Loopback, Hosts::Addresses]
                .map(|hosts| hosts.check(&request).is_ok());
            assert_eq!(found, expected, "{uri} {host}");
        };
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "app.localhost",
            "127.0.0.1:8080",
            "127.1.2.3",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
        ] {
            check("/", host, [true; 3]);
        }
        for host in ["10.0.0.7:8080", "[fd00::1]", "0.0.0.0"] {
            check("/", host, [true, false, true]);
        }
        for host in ["evil.example", "localhost.evil.example", "notlocalhost", ""] {
            check("/", host, [true, false, false]);
        }
        check("http://evil.example/", "localhost", [true, false, false]);
        check("http://localhost/", "evil.example", [true; 3]);
    }

    #[test]
    fn the_refusal_says_what_to_do() {
        let request = request(Version::HTTP_11, "/", &["evil.example"]);
        let problem = Hosts::Loopback.check(&request).unwrap_err();
        assert_eq!(problem.kind(), Kind::HostRefused);
        let text = String::from_utf8(problem.to_json()).unwrap();
        assert!(
            text.contains("127.0.0.1") && text.contains("--api-key"),
            "{text}"
        );
    }
}
