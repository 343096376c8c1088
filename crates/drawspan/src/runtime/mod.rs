//! The shell around the device cores: one shard task owns every device, its timers and its connections.
//!
//! A caller that finds its device in the [`directory`] sends on the device's connection without meeting the shard at all.
//! Otherwise it asks the shard to connect the device and waits.

mod directory;
mod entry;
mod fleet;
mod handle;
mod pool;
mod shard;
mod timers;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use drawspan_client::{ConnectionConfig, Credentials, KeyPair, Keys, StatusBoard};
use drawspan_hub::HubConnectionString;
use drawspan_net::{Clock, Connector, Route, Transport, TrustError, client_config};
use tokio::sync::mpsc;

use crate::config::serve::Config;
use crate::limits;

pub use handle::Bridge;

/// Starts the devices' side. Must be called within a runtime.
///
/// # Errors
/// When no certificate authority is there to trust.
pub fn start(config: &Config) -> Result<Bridge, TrustError> {
    let board = Arc::new(StatusBoard::default());
    let clock = Clock::start();
    let connections = Arc::new(ConnectionConfig {
        host: config.hub.host.clone(),
        credentials: Arc::new(Credentials::new(keys(&config.hub))),
        connector: Connector::new(client_config(config.authorities.clone())?, routes(config)),
        transport: Transport::Amqps,
        clock,
        board: Arc::clone(&board),
    });
    let directory = Arc::default();
    let hub_down = Arc::new(AtomicBool::new(false));
    let (requests, receiver) = mpsc::channel(limits::SHARD_QUEUE);
    let fleet = fleet::Fleet::new(
        connections,
        config.connect_pace,
        Arc::clone(&directory),
        Arc::clone(&hub_down),
    );
    tokio::spawn(shard::run(fleet, receiver, board, clock));
    Ok(Bridge::new(requests, directory, hub_down, clock))
}

fn keys(hub: &HubConnectionString) -> Keys {
    Keys::Policy {
        name: hub.policy.clone(),
        keys: KeyPair::single(hub.key.clone()),
    }
}

fn routes(config: &Config) -> Vec<Route> {
    let route = |to: &crate::config::connect::ConnectTo| Route {
        host: to.name.as_str().to_owned(),
        port: to.port,
        to: to.to,
    };
    config.connect.iter().map(route).collect()
}

/// Waits between two attempts of one request to send a message.
const RESEND_PAUSE: Duration = Duration::from_millis(50);
