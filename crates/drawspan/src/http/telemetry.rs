//! `POST /devices/{id}/messages/events`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::http::{Request, Response};
use bytes::Bytes;
use drawspan_hub::Telemetry;

use super::api::State;
use super::envelope;
use super::problem::{Kind, Problem};
use super::request::{DeviceRequest, IdInPath, sentence};
use crate::devices::Devices;

/// Takes one message; 200 without a body when the hub accepted it.
pub(super) async fn send<D: Devices>(
    extract::State(state): extract::State<Arc<State<D>>>,
    id: IdInPath,
    request: Request<Body>,
) -> Response<Body> {
    match try_send(&state, id, request).await {
        Ok(()) => Response::new(Body::empty()),
        Err(problem) => problem.into_response(),
    }
}

async fn try_send<D: Devices>(
    state: &State<D>,
    id: IdInPath,
    request: Request<Body>,
) -> Result<(), Problem> {
    let request = DeviceRequest::new(state, id, request).await?;
    let (device, deadline, body) = request.json().await?;
    let message = message(&body)?;
    drop(body);
    Ok(state.devices.send(device, message, deadline).await?)
}

fn message(body: &Bytes) -> Result<Telemetry, Problem> {
    let envelope = envelope::parse(body)
        .map_err(|error| Problem::new(Kind::InvalidBody, error.to_string()))?;
    let message = Telemetry {
        component: envelope.component,
        creation_time_utc: envelope.creation_time,
        properties: envelope.properties,
        ..Telemetry::json(envelope.data)
    };
    message
        .check_size()
        .map_err(|error| Problem::new(Kind::TooLarge, sentence(&error.to_string())))?;
    Ok(message)
}
