//! The queue of messages to a device.

use axum::http::StatusCode;
use axum::response::Response;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::registry::RegistryError;
use serde::Serialize;

use super::body;
use super::caller::Caller;
use super::devices::{IdPath, id_of, path_of};
use super::refusal::Refusal;

/// The result of a purge.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Purged {
    total_messages_purged: usize,
    device_id: String,
    /// Modules have no queues here.
    module_id: Option<String>,
}

/// `DELETE /devices/{id}/commands`: empties the queue; senders who asked for it get feedback.
pub(super) async fn purge(caller: Caller, path: IdPath) -> Result<Response, Refusal> {
    let id = id_of(path)?;
    let rights = [Right::ServiceConnect, Right::RegistryWrite];
    let hub = caller.hub(&rights, &path_of(&id))?;
    let purged = hub.purge_messages(&id).await?;
    let total_messages_purged = purged.ok_or_else(|| RegistryError::NotFound(id.clone()))?;
    let answer = Purged {
        total_messages_purged,
        device_id: id.to_string(),
        module_id: None,
    };
    Ok(body::write(StatusCode::OK, &answer))
}
