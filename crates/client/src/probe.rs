//! A probe of a hub: connects, authenticates with one token, and disconnects. It attaches no link of a real device, since that would
//! end a connection that the device has elsewhere.

use std::time::Duration;

use drawspan_amqp::engine::{CommandError, Config, Connection, Event, LinkId, LinkOptions};
use drawspan_hub::{DeviceId, Failure, FailureKind, HostName, address};
use drawspan_net::{Clock, Connector, Handler, Transport, drive};
use tokio::sync::mpsc;

use crate::connection::cbs::{Cbs, Subject, TokenResponse};
use crate::connection::device::named;
use crate::connection::{failure_of, failure_of_end};
use crate::limits;

/// Connects, puts `token`, and closes.
///
/// # Errors
/// What the hub said of the token; [`FailureKind::HubUnreachable`] when there is no hub. It may take as long as connecting
/// and a token may take: set a bound of your own.
pub async fn put_token(
    host: &HostName,
    connector: &Connector,
    transport: Transport,
    token: String,
) -> Result<(), Failure> {
    run(host, connector, transport, token, None).await
}

/// Connects, puts `token`, and asks for the telemetry link of `stranger`, a device that must not exist: `Ok` when the hub does not know
/// it, which it says to those alone who may connect devices.
///
/// # Errors
/// As [`put_token`], and what the hub said of the link, such as [`FailureKind::Unauthorized`].
pub async fn attach_stranger(
    host: &HostName,
    connector: &Connector,
    transport: Transport,
    token: String,
    stranger: &DeviceId,
) -> Result<(), Failure> {
    let address = address::telemetry(stranger);
    match run(host, connector, transport, token, Some(address)).await {
        Err(failure) if failure.kind == FailureKind::DeviceNotFound => Ok(()),
        other => other,
    }
}

/// `target` is the address of a link that is attached once the token was taken.
async fn run(
    host: &HostName,
    connector: &Connector,
    transport: Transport,
    token: String,
    target: Option<String>,
) -> Result<(), Failure> {
    let clock = Clock::start();
    let stream = connector.connect_to(host.as_str(), transport).await;
    let stream =
        stream.map_err(|error| Failure::local(FailureKind::HubUnreachable, &error.to_string()))?;
    let engine = Config {
        container_id: format!("drawspan-probe-{}", std::process::id()),
        hostname: Some(host.as_str().to_owned()),
        idle_time_out_ms: Some(limits::IDLE_TIME_OUT_MS),
        ..Config::default()
    };
    let connection = Connection::client(engine, None, clock.now());
    let mut probe = Probe {
        token,
        target,
        link: None,
        cbs: None,
        found: None,
    };
    // Held until the end: without it the connection closes at once.
    let (_commands, receiver) = mpsc::channel(1);
    let ended = drive(stream, connection, &mut probe, receiver, clock).await;
    probe.found.unwrap_or_else(|| Err(failure_of_end(ended)))
}

struct Probe {
    token: String,
    target: Option<String>,
    link: Option<LinkId>,
    cbs: Option<Cbs>,
    found: Option<Result<(), Failure>>,
}

impl Probe {
    fn end(&mut self, connection: &mut Connection, found: Result<(), Failure>, now: Duration) {
        self.found.get_or_insert(found);
        connection.close(None, now);
    }

    /// The hub answered the token.
    fn answered(
        &mut self,
        connection: &mut Connection,
        answer: Result<(), Failure>,
        now: Duration,
    ) {
        match (answer, self.target.take()) {
            (Ok(()), Some(target)) => match attach(connection, target) {
                Ok(link) => self.link = Some(link),
                Err(error) => self.end(connection, Err(protocol(&error.to_string())), now),
            },
            (answer, _) => self.end(connection, answer, now),
        }
    }

    fn look(&mut self, connection: &mut Connection, now: Duration) {
        let Some(cbs) = &mut self.cbs else { return };
        if cbs.has_come_up(connection) {
            cbs.ask(Subject::Policy, now);
        }
        if let Some((subject, until)) = cbs.next_to_send(connection)
            && let Err(error) = cbs.send(connection, subject, &self.token, until)
        {
            self.end(connection, Err(protocol(&error.to_string())), now);
        }
    }
}

impl Handler for Probe {
    type Command = ();

    fn on_event(&mut self, connection: &mut Connection, event: Event, now: Duration) {
        match event {
            Event::Opened(_) => match Cbs::start(connection, now) {
                Ok(cbs) => self.cbs = Some(cbs),
                Err(error) => self.end(connection, Err(protocol(&error.to_string())), now),
            },
            Event::Attached { link, .. } => {
                if let Some(cbs) = &mut self.cbs {
                    cbs.on_attached(link);
                }
                self.look(connection, now);
            }
            // Only a link that stands gets credit.
            Event::Credit { link, .. } if self.link == Some(link) => {
                self.end(connection, Ok(()), now);
            }
            Event::Credit { .. } | Event::Room { .. } => self.look(connection, now),
            Event::Delivery {
                delivery,
                settled,
                payload,
                ..
            } => {
                let Some(cbs) = &mut self.cbs else { return };
                match cbs.on_answer(connection, delivery, settled, &payload) {
                    TokenResponse::Stray => {}
                    TokenResponse::To(_, answer) => {
                        self.answered(connection, answer.map(|_| ()), now);
                    }
                    TokenResponse::Unreadable(text) => {
                        self.end(connection, Err(protocol(&text)), now)
                    }
                }
            }
            Event::Detached { error, .. } | Event::SessionEnded { error, .. } => {
                self.end(connection, Err(failure_of(error.as_ref())), now);
            }
            _ => {}
        }
    }

    fn on_command(&mut self, _: &mut Connection, (): (), _: Duration) {}
}

fn attach(connection: &mut Connection, target: String) -> Result<LinkId, CommandError> {
    let session = connection.begin()?;
    connection.attach(
        session,
        named(LinkOptions::sender("drawspan-probe", target)),
    )
}

fn protocol(text: &str) -> Failure {
    Failure::local(FailureKind::Protocol, text)
}
