//! What devices do over HTTPS: they send messages, take those that wait for them one by one, and begin and end file uploads.
//!
//! Rules: Azure's REST reference "IoT Hub device". Devices are never refused for a version of the interface, or for want of one.

mod files;
mod messages;
mod telemetry;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub::DeviceId;
use drawspan_hub_model::policy::Right;
use drawspan_segment_log::{AuthKind, MessageSource, Origin};

use super::Shared;
use super::caller::AnyVersion;
use super::refusal::Refusal;

pub(super) fn routes() -> Router<Shared> {
    let mut router = Router::new();
    for events in [
        "/devices/{id}/messages/events",
        "/devices/{id}/messages/events/",
    ] {
        router = router.route(events, post(telemetry::send));
    }
    // Both spellings are in use.
    for bound in ["deviceBound", "devicebound"] {
        let queue = format!("/devices/{{id}}/messages/{bound}");
        let message = format!("{queue}/{{token}}");
        router = router
            .route(&queue, get(messages::receive))
            .route(&format!("{queue}/"), get(messages::receive))
            .route(&message, delete(messages::complete_or_reject))
            .route(&format!("{message}/abandon"), post(messages::abandon));
    }
    router.merge(files::routes())
}

/// A device that asks for itself.
struct Sender {
    hub: Arc<Hub>,
    id: DeviceId,
    origin: Origin,
}

impl Sender {
    /// The device that a request is of, if the caller may speak for it.
    fn new(caller: &AnyVersion, id: DeviceId, what: &str) -> Result<Self, Refusal> {
        let path = format!("/devices/{id}/messages/{what}");
        Self::at(caller, &path, id)
    }

    /// The same, for a path of the device.
    fn at(caller: &AnyVersion, path: &str, id: DeviceId) -> Result<Self, Refusal> {
        let caller = caller.of(&id)?;
        let hub = caller.hub(&[Right::DeviceConnect], path)?;
        let (scope, generation_id) = hub.admit(caller.grant(), &(&id).into())?;
        Ok(Self {
            hub: Arc::clone(hub),
            origin: Origin {
                scope,
                kind: match caller.grant().is_by_certificate() {
                    true => AuthKind::X509,
                    false => AuthKind::Sas,
                },
                generation_id,
                source: MessageSource::Telemetry,
            },
            id,
        })
    }
}
