//! The AMQP head. Not served yet: connections are accepted, their TLS handshake is done, and they are closed.

use tokio::io::AsyncWriteExt as _;

use crate::hub_set::HubSet;
use crate::server::Secured;

/// Serves one connection until it ends, or until the emulator stops.
pub(crate) async fn serve(mut connection: Secured, hubs: HubSet) {
    let hub = connection
        .sni
        .as_deref()
        .and_then(|name| hubs.find(name))
        .map(|hub| hub.host().clone());
    tracing::debug!(peer = %connection.peer, ?hub, "an AMQP connection came, and AMQP is not served yet");
    // The peer may be gone already; there is nothing to lose.
    let _ = connection.stream.shutdown().await;
}
