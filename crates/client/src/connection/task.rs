//! The task of a connection: connects, drives it, and reports how it ended.

use std::sync::Arc;

use drawspan_amqp::engine::{Closed, Config, Connection};
use drawspan_hub::failure::Ending;
use drawspan_hub::{ConnectionKey, Failure, FailureKind};
use drawspan_net::{Ended, drive, is_certificate_refused};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::handler::DeviceHandler;
use super::{Command, ConnectionConfig, Open};
use crate::limits;
use crate::status::Status;

pub(super) async fn run(
    config: Arc<ConnectionConfig>,
    key: ConnectionKey,
    commands: mpsc::Receiver<Command>,
) {
    let failure = match config.credentials.is_by_certificate() {
        true => certified(&config, key, commands).await,
        false => match connect(&config).await {
            Ok(stream) => converse(&config, key, stream, commands, None).await,
            Err(failure) => failure,
        },
    };
    tracing::debug!(hub = %config.host, connection = key.0, reason = %failure.message, "connection over");
    config
        .mailbox
        .post(Status::ConnectionEnded(config.pool, key, failure));
}

/// As [`run`], on a stream that stands already.
#[cfg(test)]
pub(super) async fn run_on(
    config: Arc<ConnectionConfig>,
    key: ConnectionKey,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    commands: mpsc::Receiver<Command>,
) {
    let failure = converse(&config, key, stream, commands, None).await;
    config
        .mailbox
        .post(Status::ConnectionEnded(config.pool, key, failure));
}

async fn connect(
    config: &ConnectionConfig,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>, Failure> {
    config
        .connector
        .connect_to(config.host.as_str(), config.transport)
        .await
        .map_err(|error| Failure::local(FailureKind::HubUnreachable, &error.to_string()))
}

/// The connection of the one device that opens first, by its certificate.
async fn certified(
    config: &Arc<ConnectionConfig>,
    key: ConnectionKey,
    mut commands: mpsc::Receiver<Command>,
) -> Failure {
    let open = loop {
        match commands.recv().await {
            Some(Command::Open(open)) => break open,
            // Of no device that there is yet.
            Some(_) => {}
            None => return unused(),
        }
    };
    let registration = open.registration.as_ref().unwrap_or(&open.device);
    let identity = config.credentials.identity(&open.device, registration);
    let identity = match identity.await {
        Ok(identity) => identity,
        Err(failure) => return refused(config, &open, failure, commands).await,
    };
    let connector = config.connector.with_identity(&identity);
    let connected = connector.connect_to(config.host.as_str(), config.transport);
    match connected.await {
        Ok(stream) => converse(config, key, stream, commands, Some(open)).await,
        Err(error) if error.is_certificate_refused() => {
            let failure = Failure::local(FailureKind::Unauthorized, &error.to_string());
            refused(config, &open, failure, commands).await
        }
        Err(error) => Failure::local(FailureKind::HubUnreachable, &error.to_string()),
    }
}

/// The device cannot connect, which says nothing of its hub. The connection is over when its owner lets it go.
async fn refused(
    config: &ConnectionConfig,
    open: &Open,
    failure: Failure,
    mut commands: mpsc::Receiver<Command>,
) -> Failure {
    config
        .mailbox
        .post(Status::TokenRefused(open.attempt, failure));
    while commands.recv().await.is_some() {}
    unused()
}

fn unused() -> Failure {
    Failure::own(
        FailureKind::ConnectionLost,
        "the connection was not needed any more",
    )
}

/// Speaks AMQP until one side ends it. `first` is the device for which the connection was made, if it was made for one.
async fn converse(
    config: &Arc<ConnectionConfig>,
    key: ConnectionKey,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    commands: mpsc::Receiver<Command>,
    first: Option<Open>,
) -> Failure {
    let now = config.clock.now();
    let connection = Connection::client(engine_config(config, key), None, now);
    let mut handler = DeviceHandler::new(Arc::clone(config), key);
    let of = first.as_ref().map(|open| open.attempt);
    handler.queued.extend(first);
    let ended = drive(stream, connection, &mut handler, commands, config.clock).await;
    if let (Some(attempt), false, Ended::Stream(error)) = (of, handler.opened(), &ended)
        && is_certificate_refused(error)
    {
        // Before the end of the connection, which is the hub's.
        let text = format!("the hub does not take the device's certificate: {error}");
        let failure = Failure::local(FailureKind::Unauthorized, &text);
        config.mailbox.post(Status::TokenRefused(attempt, failure));
    }
    let by_us = matches!(ended, Ended::Closed(Closed::ByUs));
    match handler.failure() {
        Some(failure) => failure,
        None if by_us || handler.opened() => failure_of(ended),
        None => not_opened(&failure_of(ended)),
    }
}

/// An end before the hub has answered open proves nothing about devices: it is the state of the hub, or of what is in front of it.
fn not_opened(failure: &Failure) -> Failure {
    let text = format!("the hub did not open the connection: {}", failure.message);
    Failure {
        condition: failure.condition.clone(),
        ..Failure::local(FailureKind::HubUnreachable, &text).with_ending(failure.ending)
    }
}

fn engine_config(config: &ConnectionConfig, key: ConnectionKey) -> Config {
    Config {
        container_id: format!("drawspan-{}-{}", std::process::id(), key.0),
        hostname: Some(config.host.as_str().to_owned()),
        idle_time_out_ms: Some(limits::IDLE_TIME_OUT_MS),
        ..Config::default()
    }
}

pub(crate) fn failure_of(ended: Ended) -> Failure {
    match ended {
        Ended::Stream(error) => Failure::local(
            FailureKind::ConnectionLost,
            &format!("the connection broke: {error}"),
        ),
        Ended::Closed(Closed::ByPeer(Some(error))) => {
            Failure::from_amqp(error.condition.as_str(), error.description.as_deref())
        }
        Ended::Closed(Closed::Violation(error)) => Failure::local(
            FailureKind::Protocol,
            &format!(
                "the hub broke the protocol: {}",
                error.description.unwrap_or_default()
            ),
        ),
        Ended::Closed(closed) => {
            let (text, ending) = match closed {
                Closed::ByPeer(_) => (
                    "the hub closed the connection without a reason".into(),
                    Ending::Unexplained,
                ),
                Closed::Silent => {
                    let seconds = limits::IDLE_TIME_OUT_MS / 1_000 * 3 / 2;
                    let text = format!("nothing came from the hub for {seconds} s");
                    (text, Ending::Silence)
                }
                Closed::ByUs => ("this side closed the connection".into(), Ending::Own),
                closed => (
                    format!("the connection was closed: {closed:?}"),
                    Ending::Found,
                ),
            };
            Failure::local(FailureKind::ConnectionLost, &text).with_ending(ending)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_connection_ended_says_who_ended_it() {
        let check = |ended: Ended, expected: Ending| {
            let failure = failure_of(ended);
            assert_eq!(failure.kind, FailureKind::ConnectionLost, "{failure}");
            assert_eq!(failure.ending, expected, "{failure}");
        };
        check(Ended::Closed(Closed::Silent), Ending::Silence);
        check(Ended::Closed(Closed::ByPeer(None)), Ending::Unexplained);
        check(Ended::Closed(Closed::PeerDoesNotRead), Ending::Found);
        check(Ended::Closed(Closed::TimedOut), Ending::Found);
        check(Ended::Closed(Closed::ByUs), Ending::Own);
        let reset = std::io::ErrorKind::ConnectionReset;
        check(Ended::Stream(reset.into()), Ending::Found);
    }
}
