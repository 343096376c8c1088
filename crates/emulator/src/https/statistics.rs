//! The number of devices.

use axum::http::StatusCode;
use axum::response::Response;
use drawspan_hub_model::policy::Right;
use serde_json::json;

use super::body;
use super::caller::Caller;
use super::refusal::Refusal;
use super::throttling::registry_turn;

/// `GET /statistics/devices`
pub(super) async fn devices(caller: Caller) -> Result<Response, Refusal> {
    let hub = caller.hub(&[Right::RegistryRead], "/statistics/devices")?;
    registry_turn(hub, 1).await?;
    let counts = hub.registry().counts();
    let answer = json!({
        "totalDeviceCount": counts.enabled + counts.disabled,
        "enabledDeviceCount": counts.enabled,
        "disabledDeviceCount": counts.disabled,
    });
    Ok(body::write(StatusCode::OK, &answer))
}

/// `GET /statistics/service`
pub(super) async fn service(caller: Caller) -> Result<Response, Refusal> {
    let hub = caller.hub(
        &[Right::ServiceConnect, Right::RegistryRead],
        "/statistics/service",
    )?;
    registry_turn(hub, 1).await?;
    let counts = hub.registry().counts();
    Ok(body::write(
        StatusCode::OK,
        &json!({ "connectedDeviceCount": counts.connected }),
    ))
}
