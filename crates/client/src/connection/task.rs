//! The task of a connection: connects, drives it, and reports how it ended.

use std::sync::Arc;

use drawspan_amqp::engine::{Closed, Config, Connection};
use drawspan_hub::{ConnectionKey, Failure, FailureKind};
use drawspan_net::{Ended, drive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::handler::DeviceHandler;
use super::{Command, ConnectionConfig};
use crate::limits;
use crate::status::Status;

pub(super) async fn run(
    config: Arc<ConnectionConfig>,
    key: ConnectionKey,
    commands: mpsc::Receiver<Command>,
) {
    let failure = match connect(&config).await {
        Ok(stream) => converse(&config, key, stream, commands).await,
        Err(failure) => failure,
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
    let failure = converse(&config, key, stream, commands).await;
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

/// Speaks AMQP until one side ends it.
async fn converse(
    config: &Arc<ConnectionConfig>,
    key: ConnectionKey,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    commands: mpsc::Receiver<Command>,
) -> Failure {
    let now = config.clock.now();
    let connection = Connection::client(engine_config(config, key), None, now);
    let mut handler = DeviceHandler::new(Arc::clone(config), key);
    let ended = drive(stream, connection, &mut handler, commands, config.clock).await;
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
    Failure::local(FailureKind::HubUnreachable, &text)
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
        Ended::Closed(closed) => Failure::local(
            FailureKind::ConnectionLost,
            &format!("the connection was closed: {closed:?}"),
        ),
    }
}
