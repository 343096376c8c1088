//! What is connected.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{bounded, clients, connections_of, protocol, time, with_more};
use crate::control::body::Json;
use crate::control::path::OneDevice;
use crate::https::Shared;

/// Connections, oldest first.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct ConnectionList {
    connections: Vec<ConnectionLine>,
    /// Connections that are not listed.
    more: usize,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct ConnectionLine {
    /// Its number, from 1.
    connection: u64,
    /// `amqps`, `amqps-ws`, `mqtts` or `mqtts-ws`.
    protocol: String,
    /// The client's address.
    peer: String,
    /// UTC, by the emulator's clock.
    since: String,
    /// `null` until the client has named it, and for who registers at DPS.
    hub: Option<String>,
    /// Devices and modules (`DEVICE/MODULE`); none for services.
    clients: Vec<ClientLine>,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct ClientLine {
    client: String,
    /// UTC, by the emulator's clock; `null` for a module.
    since: Option<String>,
}

/// `GET /emulator/connections`
pub(super) async fn list(
    State(shared): State<Shared>,
    OneDevice(device): OneDevice,
) -> Json<ConnectionList> {
    let mut on: BTreeMap<u64, Vec<ClientLine>> = BTreeMap::new();
    for (hub, it) in clients(&shared, device.as_ref()) {
        let entry = match it.client.module {
            None => hub.entry(&it.client.device),
            Some(_) => None,
        };
        let since = entry.and_then(|entry| entry.connection.updated_unix_ms);
        on.entry(it.connection).or_default().push(ClientLine {
            client: it.client.to_string(),
            since: since.map(time),
        });
    }
    let connections = connections_of(&shared, device.as_ref());
    let lines = connections.iter().map(|it| ConnectionLine {
        connection: it.number,
        protocol: protocol(it.protocol).to_owned(),
        peer: it.peer.to_string(),
        since: time(it.since_unix_ms),
        hub: it.hub().map(ToString::to_string),
        clients: on.remove(&it.number).unwrap_or_default(),
    });
    let (connections, more) = bounded(lines.collect());
    Json(ConnectionList { connections, more })
}

pub(super) fn text(list: &ConnectionList) -> String {
    let mut lines = Vec::new();
    for it in &list.connections {
        let hub = it.hub.as_deref().unwrap_or("no hub");
        let place = format!(
            "{}  {}  connection {} at {hub}",
            it.protocol, it.peer, it.connection
        );
        if it.clients.is_empty() {
            lines.push(format!("-  since {}  {place}", it.since));
        }
        for client in &it.clients {
            let since = client.since.as_ref().unwrap_or(&it.since);
            lines.push(format!("{}  since {since}  {place}", client.client));
        }
    }
    with_more(lines, list.more, "nothing is connected")
}
