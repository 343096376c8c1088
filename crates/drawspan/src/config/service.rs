//! Access to a hub as a service, for the commands that are one.

use std::path::Path;
use std::sync::Arc;

use drawspan_client::service::ServiceConfig;
use drawspan_client::{Credentials, KeyPair, Keys};
use drawspan_hub::{HubConnectionString, SymmetricKey};
use drawspan_net::{Connector, Transport, client_config};

use super::connect::ConnectTo;
use super::mistakes::Mistakes;
use super::read_authorities;

/// How hubs are reached: authorities of `--ca` (the system's without it), and routes of `--connect`.
pub fn service_connector(
    mistakes: &mut Mistakes,
    ca: Option<&Path>,
    connect: &[String],
) -> Option<Connector> {
    let authorities = mistakes.keep("--ca", ca.map(read_authorities).transpose());
    let routes = connect.iter().map(|text| ConnectTo::parse(text));
    let routes = mistakes.keep("--connect", routes.collect::<Result<Vec<_>, _>>());
    let tls = mistakes.keep("--ca", client_config(authorities?.unwrap_or_default()))?;
    let routes = routes?.iter().map(ConnectTo::route).collect();
    Some(Connector::new(tls, routes))
}

/// A hub by a policy's connection string.
#[must_use]
pub fn service_config(hub: HubConnectionString, connector: Connector) -> ServiceConfig {
    ServiceConfig {
        host: hub.host,
        credentials: policy_credentials(hub.policy, hub.key),
        connector,
        transport: Transport::Amqps,
    }
}

/// What signs by a policy's key.
#[must_use]
pub fn policy_credentials(name: String, key: SymmetricKey) -> Arc<Credentials> {
    let keys = KeyPair::single(key);
    Arc::new(Credentials::new(Keys::Policy { name, keys }))
}
