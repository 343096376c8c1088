//! `--connect NAME[:PORT]=ADDR:PORT`: the address to connect to for a name, as in curl's `--connect-to`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use drawspan_hub::{HostName, InvalidId};
use drawspan_net::Route;
use thiserror::Error;

/// Connections to a name (and port, if given) go to an address instead. TLS still checks the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTo {
    /// The name that would be looked up.
    pub name: HostName,
    /// The port to replace; `None` for every port.
    pub port: Option<u16>,
    /// The address to connect to.
    pub to: SocketAddr,
}

/// Why a text is not `NAME[:PORT]=ADDR:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidConnectTo {
    /// No `=`.
    #[error("`{0}` is not NAME[:PORT]=ADDR:PORT, like hub.azure-devices.net=127.0.0.1:5671")]
    Shape(String),
    /// The name is invalid.
    #[error("`{text}`: {error}")]
    Name {
        /// The given text.
        text: String,
        /// The mistake.
        error: InvalidId,
    },
    /// The port is invalid.
    #[error("`{0}` is not a port, 1 to 65535")]
    Port(String),
    /// The address is invalid.
    #[error("`{0}` is not an IP address with a port, like 127.0.0.1:5671 or [::1]:5671")]
    Address(String),
}

impl ConnectTo {
    /// Reads one value of the flag. `localhost` is taken as 127.0.0.1.
    ///
    /// # Errors
    /// Names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidConnectTo> {
        let (from, to) = text
            .split_once('=')
            .ok_or_else(|| InvalidConnectTo::Shape(text.to_owned()))?;
        let (name, port) = match from.split_once(':') {
            Some((name, port)) => (name, Some(parse_port(port)?)),
            None => (from, None),
        };
        let name = HostName::parse(name).map_err(|error| InvalidConnectTo::Name {
            text: name.to_owned(),
            error,
        })?;
        Ok(Self {
            name,
            port,
            to: parse_address(to)?,
        })
    }

    /// The same for connections.
    #[must_use]
    pub fn route(&self) -> Route {
        Route {
            host: self.name.as_str().to_owned(),
            port: self.port,
            to: self.to,
        }
    }

    /// Whether a connection to `name` and `port` goes elsewhere by this rule. `name` in lower case.
    #[must_use]
    pub fn applies_to(&self, name: &str, port: u16) -> bool {
        self.name.as_str() == name && self.port.is_none_or(|own| own == port)
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}={}", self.name, self.to),
            None => write!(f, "{}={}", self.name, self.to),
        }
    }
}

/// Reads `ADDR:PORT` with an IP address or `localhost`.
///
/// # Errors
/// When it is anything else; port 0 is left to the caller.
pub fn parse_address(text: &str) -> Result<SocketAddr, InvalidConnectTo> {
    let invalid = || InvalidConnectTo::Address(text.to_owned());
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = port.parse().map_err(|_| invalid())?;
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| invalid())
}

fn parse_port(text: &str) -> Result<u16, InvalidConnectTo> {
    match text.parse() {
        Ok(0) | Err(_) => Err(InvalidConnectTo::Port(text.to_owned())),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_applies() {
        let check = |text: &str, name: &str, port: u16, expected: bool| {
            let rule = ConnectTo::parse(text).unwrap();
            assert_eq!(
                rule.applies_to(name, port),
                expected,
                "{text} {name}:{port}"
            );
        };
        check("Hub.Example=127.0.0.1:5671", "hub.example", 5671, true);
        check("hub.example=127.0.0.1:5671", "hub.example", 443, true);
        check("hub.example:443=[::1]:8443", "hub.example", 443, true);
        check("hub.example:443=[::1]:8443", "hub.example", 5671, false);
        check("hub.example=localhost:1", "other.example", 5671, false);
        let rule = ConnectTo::parse("hub.example:443=localhost:8443").unwrap();
        assert_eq!(rule.to_string(), "hub.example:443=127.0.0.1:8443");
    }

    #[test]
    fn names_the_wrong_part() {
        let check = |text: &str, expected: &str| {
            let error = ConnectTo::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("hub.example", "is not NAME[:PORT]=ADDR:PORT");
        check("hub_example=127.0.0.1:1", "host name");
        check("=127.0.0.1:1", "host name");
        check("hub.example:=127.0.0.1:1", "is not a port");
        check("hub.example:0=127.0.0.1:1", "is not a port");
        check("hub.example:70000=127.0.0.1:1", "is not a port");
        check("hub.example=127.0.0.1", "is not an IP address with a port");
        check(
            "hub.example=elsewhere:1",
            "is not an IP address with a port",
        );
        check(
            "hub.example=localhost:x",
            "is not an IP address with a port",
        );
    }
}
