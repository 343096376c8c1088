//! `POST /devices/{id}/messages/events`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract;
use axum::http::{Request, Response};
use bytes::Bytes;
use drawspan_hub::Telemetry;
use tokio::time::Instant;

use super::api::State;
use super::downlink;
use super::envelope;
use super::patience::Patience;
use super::problem::{Kind, Problem};
use super::query::Query;
use super::request::{DeviceRequest, IdInPath, respond, sentence};
use crate::devices::{Bridging, Devices};

/// Takes one message; 200 when the hub accepted it, with a waiting message for the device if it asks for one.
pub(super) async fn send<D: Bridging>(
    extract::State(state): extract::State<Arc<State<D>>>,
    id: IdInPath,
    request: Request<Body>,
) -> Response<Body> {
    respond(try_send(&state, id, request).await)
}

/// The same for devices that never get messages.
pub(super) async fn send_only<D: Devices>(
    extract::State(state): extract::State<Arc<State<D>>>,
    id: IdInPath,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let request = DeviceRequest::new(&*state, id, request).await?;
        accept(&state, request).await
    };
    respond(answer.await.map(|_| Response::new(Body::empty())))
}

async fn try_send<D: Bridging>(
    state: &State<D>,
    id: IdInPath,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let request = DeviceRequest::new(state, id, request).await?;
    if request.arrived.asks_for_nothing() {
        accept(state, request).await?;
        return Ok(Response::new(Body::empty()));
    }
    let (wait, request) = request.query(receive).await?;
    let patience: Option<Patience> = request.arrived.extension();
    let device = request.device.clone();
    let deadline = accept(state, request).await?;
    let Some(wait) = wait else {
        return Ok(Response::new(Body::empty()));
    };
    // The message is at the hub: whatever comes of asking, it must not be sent again.
    let found = downlink::next(&state.devices, &device, wait, deadline, patience.as_ref()).await;
    Ok(match found {
        Ok(Some(held)) => downlink::message(&device, &held),
        Ok(None) | Err(_) => Response::new(Body::empty()),
    })
}

/// How long to wait for a message to the device; `None` when none is asked for.
fn receive(query: Query<'_>) -> Result<Option<Duration>, Problem> {
    let receive = query.flag("receive")?;
    let wait = downlink::wait(query)?;
    Ok(receive.then_some(wait))
}

async fn accept<D: Devices>(state: &State<D>, request: DeviceRequest) -> Result<Instant, Problem> {
    let (device, deadline, body) = request.json().await?;
    let message = message(&body)?;
    drop(body);
    state.devices.send(device, message, deadline).await?;
    Ok(deadline)
}

/// The message in a body.
pub(super) fn message(body: &Bytes) -> Result<Telemetry, Problem> {
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
