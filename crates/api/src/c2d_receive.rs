//! Cloud-to-device messages by polling: `GET /devices/{id}/messages/deviceBound?wait=`, and their settlement: `POST
//! /devices/{id}/messages/deviceBound/{lockToken}/complete` (or `abandon`, or `reject`).

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::{Method, Response, StatusCode};
use drawspan_api_types::events;
use drawspan_gateway::{DeviceError, Gateway, Held};
use drawspan_hub::{DeviceId, Outcome};
use tokio::time::Instant;

use super::api::{empty_response, json_response};
use super::client_disconnect::ClientDisconnect;
use super::problem::Problem;
use super::query::Query;
use super::request::{Bare, ForDevice, HandlerResult, Shared};
use crate::limits::MAX_RECEIVE_WAIT_S;

/// Device id and lock token in the path, as the router found them.
pub(super) type TokenInPath = Result<Path<(String, String)>, PathRejection>;

/// The next message, or 204.
pub(super) async fn receive<D: Gateway>(
    extract::State(state): Shared<D>,
    ForDevice { device, request }: ForDevice<Bare>,
) -> HandlerResult {
    let wait = wait(request.query())?;
    // The router calls GET for HEAD: a message would be delivered to no one.
    if *request.method() == Method::HEAD {
        return Ok(empty_response(StatusCode::NO_CONTENT));
    }
    let patience = request.extension();
    let deadline = request.deadline;
    let found = next(&state.devices, &device, wait, deadline, patience.as_ref()).await?;
    Ok(match found {
        Some(held) => message(&device, &held),
        None => empty_response(StatusCode::NO_CONTENT),
    })
}

/// Settles a message; 204 once the hub has confirmed it.
pub(super) async fn settle<D: Gateway>(
    outcome: Outcome,
    extract::State(state): Shared<D>,
    names: TokenInPath,
    ForDevice { device, request }: ForDevice<Bare>,
) -> HandlerResult {
    let token = names.map_or_else(|_| String::new(), |Path((_, token))| token);
    let settled = state
        .devices
        .settle(device, token, outcome, request.deadline);
    settled.await?;
    Ok(empty_response(StatusCode::NO_CONTENT))
}

/// The parameter `wait`.
pub(super) fn wait(query: Query<'_>) -> Result<Duration, Problem> {
    let wait = query.number("wait", 0..=MAX_RECEIVE_WAIT_S)?;
    Ok(Duration::from_secs(wait.unwrap_or(0)))
}

/// The next message, if one comes while the caller may be kept waiting.
pub(super) async fn next<D: Gateway>(
    devices: &D,
    device: &DeviceId,
    wait: Duration,
    deadline: Instant,
    patience: Option<&ClientDisconnect>,
) -> Result<Option<Held>, DeviceError> {
    let until = Instant::now() + wait;
    tokio::select! {
        biased;
        found = devices.receive(device.clone(), until, deadline) => found,
        () = ClientDisconnect::over(patience) => Ok(None),
    }
}

/// A message as its device reads it.
pub(super) fn message(device: &DeviceId, held: &Held) -> Response<Body> {
    json_response(events::held(device, held).into())
}
