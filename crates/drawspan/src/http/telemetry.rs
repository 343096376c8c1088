//! `POST /devices/{id}/messages/events`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::{Request, Response};
use bytes::Bytes;
use drawspan_hub::{DeviceId, Telemetry};
use tokio::time::Instant;

use super::api::State;
use super::problem::{Kind, Problem};
use super::{body, envelope};
use crate::devices::Devices;

/// Takes one message; 200 without a body when the hub accepted it.
pub(super) async fn send<D: Devices>(
    extract::State(state): extract::State<Arc<State<D>>>,
    device: Result<Path<String>, PathRejection>,
    request: Request<Body>,
) -> Response<Body> {
    match try_send(&state, device, request).await {
        Ok(()) => Response::new(Body::empty()),
        Err(problem) => problem.into_response(),
    }
}

async fn try_send<D: Devices>(
    state: &State<D>,
    device: Result<Path<String>, PathRejection>,
    request: Request<Body>,
) -> Result<(), Problem> {
    let deadline = Instant::now() + state.request_timeout;
    let device = match device_id(device) {
        Ok(device) => device,
        Err(problem) => {
            body::discard(request).await;
            return Err(problem);
        }
    };
    let body = body::read_json(request, deadline).await?;
    let message = message(&body)?;
    drop(body);
    Ok(state.devices.send(device, message, deadline).await?)
}

fn device_id(path: Result<Path<String>, PathRejection>) -> Result<DeviceId, Problem> {
    let Ok(Path(text)) = path else {
        return Err(Problem::new(
            Kind::InvalidDeviceId,
            "The device id in the path is not percent-encoded UTF-8.",
        ));
    };
    DeviceId::parse(&text)
        .map_err(|error| Problem::new(Kind::InvalidDeviceId, sentence(&error.to_string())))
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

/// An error text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}
