//! What is known about a device's connection, and what can be done about it: `connectionStatus`, `resync`, `diagnostics`, and
//! `DELETE /devices/{id}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::http::{Request, Response, StatusCode};
use drawspan_api_types::answers::{ConnectionAnswer, Diagnostics};
use drawspan_gateway::Devices;

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
        let found = found.ok_or_else(|| {
            Problem::new(
                Kind::UnknownDevice,
                "The device has not tried to connect; its first request makes it.",
            )
        })?;
        Ok(json_of(&ConnectionAnswer::new(found)))
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
        Ok(json_of(&Diagnostics::new(&id, &found)))
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
