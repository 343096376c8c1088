//! The task of a connection: connect, drive, tell how it ended.

use std::sync::Arc;

use drawspan_amqp::engine::{Config, Connection};
use drawspan_hub::{Failure, FailureKind};
use drawspan_net::{Ended, drive};
use tokio::sync::mpsc;

use super::handler::DeviceHandler;
use super::{Command, ConnectionConfig};
use crate::board::Status;
use crate::ledger::ConnectionKey;
use crate::limits;

pub(super) async fn run(
    config: Arc<ConnectionConfig>,
    key: ConnectionKey,
    commands: mpsc::Receiver<Command>,
) {
    let failure = connect_and_drive(&config, key, commands).await;
    tracing::debug!(hub = %config.host, connection = key.0, reason = %failure.message, "connection over");
    config.board.post(Status::ConnectionEnded(key, failure));
}

async fn connect_and_drive(
    config: &Arc<ConnectionConfig>,
    key: ConnectionKey,
    commands: mpsc::Receiver<Command>,
) -> Failure {
    let stream = match config
        .connector
        .connect(config.host.as_str(), limits::AMQPS_PORT)
        .await
    {
        Ok(stream) => stream,
        Err(error) => return Failure::local(FailureKind::HubUnreachable, &error.to_string()),
    };
    let now = config.clock.now();
    let connection = Connection::client(engine_config(config, key), None, now);
    let mut handler = DeviceHandler::new(Arc::clone(config), key);
    let ended = drive(stream, connection, &mut handler, commands, config.clock).await;
    handler.failure().unwrap_or_else(|| failure_of(ended))
}

fn engine_config(config: &ConnectionConfig, key: ConnectionKey) -> Config {
    Config {
        container_id: format!("drawspan-{}-{}", std::process::id(), key.0),
        hostname: Some(config.host.as_str().to_owned()),
        idle_time_out_ms: Some(limits::IDLE_TIME_OUT_MS),
        ..Config::default()
    }
}

fn failure_of(ended: Ended) -> Failure {
    use drawspan_amqp::engine::Closed;
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
