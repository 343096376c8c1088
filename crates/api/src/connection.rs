//! What is known about a device's connection, and what can be done about it: `connectionStatus`, `resync`, `diagnostics`, and
//! `DELETE /devices/{id}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::http::{Request, Response, StatusCode};
use drawspan_gateway::{Devices, Diagnostics, LastFailure};
use drawspan_hub::UtcTime;
use serde::Serialize;

use super::api::{State, empty_response, json_of};
use super::problem::{Kind, Problem};
use super::request::{DeviceRequest, IdInPath, by, respond};

/// The public words.
pub(super) async fn status<D: Devices>(
    extract::State(state): extract::State<Arc<State<D>>>,
    id: IdInPath,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let (device, deadline) = DeviceRequest::new(&state, id, request)
            .await?
            .without_body()
            .await;
        let found = by(deadline, state.devices.connection_status(device)).await?;
        let (status, reason) = found.ok_or_else(|| {
            Problem::new(
                Kind::UnknownDevice,
                "The device has not tried to connect; its first request makes it.",
            )
        })?;
        Ok(json_of(&Status {
            status: status.as_str(),
            reason: reason.as_str(),
        }))
    };
    respond(answer.await)
}

/// Takes the order; 202.
pub(super) async fn resync<D: Devices>(
    extract::State(state): extract::State<Arc<State<D>>>,
    id: IdInPath,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let (device, _) = DeviceRequest::new(&state, id, request)
            .await?
            .without_body()
            .await;
        Ok::<_, Problem>(state.devices.resync(device)?)
    };
    match answer.await {
        Ok(()) => empty_response(StatusCode::ACCEPTED),
        Err(problem) => problem.into_response(),
    }
}

/// Everything that an operator may want to know.
pub(super) async fn diagnostics<D: Devices>(
    extract::State(state): extract::State<Arc<State<D>>>,
    id: IdInPath,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let (device, deadline) = DeviceRequest::new(&state, id, request)
            .await?
            .without_body()
            .await;
        let id = device.to_string();
        let found = by(deadline, state.devices.diagnostics(device)).await?;
        let found = found.ok_or_else(|| {
            Problem::new(
                Kind::UnknownDevice,
                "Nothing is known about this device: it was not used since the start, and its hub is not remembered.",
            )
        })?;
        Ok(json_of(&Document::new(&id, &found)))
    };
    respond(answer.await)
}

/// Forgets the device, its subscriptions too; 204, also when it was unknown.
pub(super) async fn forget<D: Devices>(
    extract::State(state): extract::State<Arc<State<D>>>,
    id: IdInPath,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let (device, deadline) = DeviceRequest::new(&state, id, request)
            .await?
            .without_body()
            .await;
        Ok::<_, Problem>(state.devices.forget(device, deadline).await?)
    };
    match answer.await {
        Ok(()) => empty_response(StatusCode::NO_CONTENT),
        Err(problem) => problem.into_response(),
    }
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
    reason: &'static str,
}

/// What is not known is `null`, so that every document has every member.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    device_id: &'a str,
    state: &'static str,
    since: Option<String>,
    status: Option<&'static str>,
    reason: Option<&'static str>,
    hub: Option<&'a str>,
    assigned_device_id: Option<&'a str>,
    last_failure: Option<Failure<'a>>,
    failures: u32,
    next_attempt_at: Option<String>,
    permanent: bool,
    wanted_until: Option<String>,
    connection: Option<u64>,
    token_slot: Option<u32>,
    wanted: Vec<&'static str>,
    refused: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    code: Option<u32>,
    kind: &'static str,
    tracking_id: Option<&'a str>,
    message: &'a str,
    at: String,
}

impl<'a> Document<'a> {
    fn new(device_id: &'a str, known: &'a Diagnostics) -> Self {
        let time = |time: Option<UtcTime>| time.map(|time| time.to_string());
        Self {
            device_id,
            state: known.state.as_str(),
            since: time(known.since),
            status: known.status.map(|(status, _)| status.as_str()),
            reason: known.status.map(|(_, reason)| reason.as_str()),
            hub: known.hub.as_ref().map(AsRef::as_ref),
            assigned_device_id: known.assigned_device_id.as_ref().map(AsRef::as_ref),
            last_failure: known.last_failure.as_ref().map(Failure::new),
            failures: known.failures,
            next_attempt_at: time(known.next_attempt_at),
            permanent: known.permanent,
            wanted_until: time(known.wanted_until),
            connection: known.connection,
            token_slot: known.token_slot,
            wanted: known.wanted.iter().map(|kind| kind.as_str()).collect(),
            refused: known.refused.iter().map(|kind| kind.as_str()).collect(),
        }
    }
}

impl<'a> Failure<'a> {
    fn new(failure: &'a LastFailure) -> Self {
        Self {
            code: failure.code.map(drawspan_hub::ErrorCode::number),
            kind: failure.kind.as_str(),
            tracking_id: failure.tracking_id.as_deref(),
            message: &failure.message,
            at: failure.at.to_string(),
        }
    }
}
