//! Outbound connections of the commands that act as a back end.

use std::path::Path;

use drawspan_net::{Connector, client_config};

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
