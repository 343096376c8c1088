//! The log of refusals with their reasons, for users whose client does not get through and reports little itself.
//!
//! Every refusal is a line at `info` with the code that the client got. A client that retries forever does not flood the log: see
//! `throttle`.

mod throttle;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drawspan_hub::error_body::clean;
use rustls::AlertDescription;

use crate::clock::Clock;
use crate::limits::{REFUSAL_TEXT_CHARS, REFUSALS_WINDOW_MS, UNTRUSTING_PEERS_MAX};
use crate::stop::Stop;
use throttle::{LeftOut, Throttle};

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The TLS handshake.
    Tls,
    /// Input over TLS that is not the protocol of the port, or violates it.
    Protocol,
    /// Requests of services over HTTPS.
    Rest,
    /// The provisioning service.
    Dps,
    /// The change from HTTPS to WebSocket.
    WebSocket,
    /// AMQP: SASL.
    Sasl,
    /// AMQP: open.
    Open,
    /// AMQP: a token that is put on the connection.
    PutToken,
    /// For everything that a device sends in a session that the hub stalls.
    Session,
    /// AMQP: attaching a link.
    Attach,
    /// A link that was accepted, and is ended by the hub.
    LinkEnd,
    /// A message.
    Message,
    /// A request about a twin.
    Twin,
    /// AMQP: a request to a management node.
    Management,
    /// MQTT.
    Connect,
    /// A topic over MQTT that is not served.
    Topic,
}

/// Logs refusals. Shared by all connections.
#[derive(Debug)]
pub struct Refusals {
    throttle: Mutex<Throttle>,
    /// Addresses whose user was told how to trust the authority.
    told: Mutex<HashSet<IpAddr>>,
    ca: PathBuf,
    clock: Clock,
}

/// How far a TLS handshake came that failed.
#[derive(Debug)]
pub struct HandshakeFailed {
    /// What went wrong.
    pub cause: io::Error,
    /// The client's first message was understood, and it has been shown the certificate: the name that it wants, if it says.
    pub hello: Option<Option<String>>,
}

impl Refusals {
    /// For an emulator whose authority's certificate lies at `ca`.
    pub fn new(ca: PathBuf, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            throttle: Mutex::default(),
            told: Mutex::default(),
            ca,
            clock,
        })
    }

    /// Logs that `peer` was refused `what`. Both texts may quote the client: they are shortened, and secrets taken out.
    pub fn log(&self, door: Door, code: &str, peer: SocketAddr, what: &str, reason: &str) {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = throttle.admit(door, code, self.clock.machine_elapsed());
        drop(throttle);
        if !admitted {
            return;
        }
        let [what, reason] = [what, reason].map(|text| clean(text, REFUSAL_TEXT_CHARS));
        tracing::info!(code, reason, what, %peer, "{door}");
    }

    /// Logs that a TLS handshake failed. To an address whose client does not trust the authority, it is said once how to make
    /// it trust: the client's alert, or that it hangs up, is all that can be seen of it.
    pub fn handshake_failed(&self, peer: SocketAddr, failed: &HandshakeFailed) {
        let HandshakeFailed { cause, hello } = failed;
        let name = hello.iter().flatten().next();
        let distrusts = hello.is_some() && distrusts(cause);
        if distrusts && self.is_new(peer.ip()) {
            tracing::info!(
                %peer,
                name = name.map(|name| clean(name, REFUSAL_TEXT_CHARS)),
                ca = %self.ca.display(),
                "TLS handshake failed ({cause}): the client does not trust this emulator's certificate authority, or connects \
                 to a name that is not in the certificate. Have it trust the file `ca` (NODE_EXTRA_CA_CERTS for Node, \
                 REQUESTS_CA_BUNDLE or connection_verify= for Python, SSL_CERT_FILE for OpenSSL), and connect to a name that \
                 was given with --hub or --dps"
            );
            return;
        }
        let (code, reason) = match inner(cause) {
            Some(rustls::Error::AlertReceived(alert)) => (
                match alert {
                    // Its number is of the client's choice.
                    AlertDescription::Unknown(_) => "UnknownAlert".to_owned(),
                    alert => format!("{alert:?}"),
                },
                match distrusts {
                    true => "the client does not trust the certificate".to_owned(),
                    false => cause.to_string(),
                },
            ),
            Some(rustls::Error::InvalidMessage(_)) => (
                "InvalidMessage".to_owned(),
                "what came is not TLS; every port here speaks TLS only".to_owned(),
            ),
            _ if distrusts => (
                format!("{:?}", cause.kind()),
                "the client hung up when it saw the certificate, which it probably does not trust"
                    .to_owned(),
            ),
            _ => (format!("{:?}", cause.kind()), cause.to_string()),
        };
        let name = name.map_or("", String::as_str);
        self.log(Door::Tls, &code, peer, name, &reason);
    }

    /// Logs, window by window, how much was not logged, until the emulator stops.
    pub async fn report_left_out(self: Arc<Self>, mut stop: Stop) {
        loop {
            tokio::select! {
                () = stop.stopped() => break,
                () = self.clock.machine_sleep(Duration::from_millis(REFUSALS_WINDOW_MS)) => {}
            }
            self.log_left_out();
        }
        self.log_left_out();
    }

    fn log_left_out(&self) {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = throttle.take_left_out();
        drop(throttle);
        for LeftOut { door, code, count } in left_out {
            tracing::info!(%code, count, "{door}, more of the same that were not logged");
        }
    }

    fn is_new(&self, peer: IpAddr) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < UNTRUSTING_PEERS_MAX && told.insert(peer)
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "TLS handshake failed",
            Self::Protocol => "connection ended",
            Self::Rest => "REST request refused",
            Self::Dps => "DPS request refused",
            Self::WebSocket => "WebSocket refused",
            Self::Sasl => "SASL refused",
            Self::Open => "AMQP open refused",
            Self::PutToken => "token refused",
            Self::Session => "session stalled",
            Self::Attach => "link refused",
            Self::LinkEnd => "link ended",
            Self::Message => "message rejected",
            Self::Twin => "twin request refused",
            Self::Management => "management request refused",
            Self::Connect => "MQTT connection refused",
            Self::Topic => "MQTT topic refused",
        })
    }
}

/// Whether a client that had seen the certificate found fault with it. Some say so by an alert (RFC 8446, 6.2; OpenSSL's is
/// `bad_certificate` for a wrong name), Node hangs up.
fn distrusts(cause: &io::Error) -> bool {
    match inner(cause) {
        Some(rustls::Error::AlertReceived(alert)) => matches!(
            alert,
            AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnsupportedCertificate
        ),
        Some(_) => false,
        None => matches!(
            cause.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
        ),
    }
}

fn inner(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
