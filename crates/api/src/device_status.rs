//! The status of a device's connection, and operations on it: `connectionStatus`, `resync`, `diagnostics`, and `DELETE
//! /devices/{id}`.

use axum::extract;
use axum::http::StatusCode;
use drawspan_api_types::answers::{ConnectionAnswer, Diagnostics};
use drawspan_gateway::DeviceGateway;

use super::api::{empty_response, json_of};
use super::deadline::by;
use super::problem::{Kind, Problem};
use super::request::{Bare, ForDevice, HandlerResult, Shared};

/// The public words.
pub(super) async fn status<D: DeviceGateway>(
    extract::State(state): Shared<D>,
    ForDevice { device, request }: ForDevice<Bare>,
) -> HandlerResult {
    let found = by(request.deadline, state.devices.connection_status(device)).await?;
    let found = found.ok_or_else(|| {
        Problem::new(
            Kind::UnknownDevice,
            "The device has not tried to connect yet; its first request makes it.",
        )
    })?;
    Ok(json_of(&ConnectionAnswer::new(found)))
}

/// Takes the order; 202.
pub(super) async fn resync<D: DeviceGateway>(
    extract::State(state): Shared<D>,
    ForDevice { device, .. }: ForDevice<Bare>,
) -> HandlerResult {
    state.devices.resync(device)?;
    Ok(empty_response(StatusCode::ACCEPTED))
}

/// All diagnostics of a device.
pub(super) async fn diagnostics<D: DeviceGateway>(
    extract::State(state): Shared<D>,
    ForDevice { device, request }: ForDevice<Bare>,
) -> HandlerResult {
    let id = device.to_string();
    let found = by(request.deadline, state.devices.diagnostics(device)).await?;
    let found = found.ok_or_else(|| {
        Problem::new(
            Kind::UnknownDevice,
            "This device is not known: it was not used since the start, and its hub is not remembered.",
        )
    })?;
    Ok(json_of(&Diagnostics::new(&id, &found)))
}

/// Forgets the device, its subscriptions too; 204, also when it was unknown.
pub(super) async fn forget<D: DeviceGateway>(
    extract::State(state): Shared<D>,
    ForDevice { device, request }: ForDevice<Bare>,
) -> HandlerResult {
    state.devices.forget(device, request.deadline).await?;
    Ok(empty_response(StatusCode::NO_CONTENT))
}
