//! `POST /devices/{id}/messages/events`.

use std::time::Duration;

use axum::body::Body;
use axum::extract;
use axum::http::Response;
use bytes::Bytes;
use drawspan_gateway::{DeviceGateway, Gateway};
use drawspan_hub::{DeviceId, Telemetry};
use tokio::time::Instant;

use super::c2d_receive;
use super::client_disconnect::ClientDisconnect;
use super::idempotency::{self, Done, Key};
use super::problem::{Kind, Problem};
use super::query::Query;
use super::request::{ForDevice, Full, HandlerResult, Shared, sentence};
use super::state::State;
use super::telemetry_body;

/// Takes one message; 200 when the hub accepted it, with a waiting message for the device if it asks for one.
pub(super) async fn send<D: Gateway>(
    extract::State(state): Shared<D>,
    request: ForDevice<Full>,
) -> HandlerResult {
    if request.request.asks_for_nothing() {
        let accepted = accept(&state, request).await?;
        return Ok(accepted.into_response());
    }
    // Separate from the path of most messages, whose future stays small.
    Box::pin(send_and_receive(&state, request)).await
}

async fn send_and_receive<D: Gateway>(state: &State<D>, request: ForDevice<Full>) -> HandlerResult {
    let wait = receive(request.request.query())?;
    let patience: Option<ClientDisconnect> = request.request.extension();
    let deadline = request.request.deadline;
    let device = request.device.clone();
    let accepted = accept(state, request).await?;
    let Some(wait) = wait else {
        return Ok(accepted.into_response());
    };
    let found = c2d_receive::next(&state.devices, &device, wait, deadline, patience.as_ref()).await;
    Ok(match found {
        Ok(Some(held)) => accepted.mark(c2d_receive::message(&device, &held)),
        // The message is at the hub: regardless of the result of receiving, it must not be sent again.
        Ok(None) | Err(_) => accepted.into_response(),
    })
}

/// How long to wait for a message to the device; `None` if the request does not receive.
fn receive(query: Query<'_>) -> Result<Option<Duration>, Problem> {
    let receive = query.flag("receive")?;
    let wait = c2d_receive::wait(query)?;
    Ok(receive.then_some(wait))
}

/// The hub has the message.
struct Accepted {
    /// It was sent by an earlier request with the same key.
    replayed: bool,
}

impl Accepted {
    fn into_response(self) -> Response<Body> {
        self.mark(Response::new(Body::empty()))
    }

    fn mark(&self, response: Response<Body>) -> Response<Body> {
        match self.replayed {
            true => idempotency::replayed(response),
            false => response,
        }
    }
}

async fn accept<D: DeviceGateway>(
    state: &State<D>,
    ForDevice { device, request }: ForDevice<Full>,
) -> Result<Accepted, Problem> {
    let identity = state.devices.identity(&device);
    let key = request.idempotency_key(identity.as_str())?;
    let deadline = request.deadline;
    let body = request.json().await?;
    if let Some(key) = key {
        return Box::pin(accept_once(state, key, device, deadline, body)).await;
    }
    let message = message(&body)?;
    drop(body);
    let counts = &state.counts;
    counts
        .send(&state.devices, device, message, deadline)
        .await?;
    Ok(Accepted { replayed: false })
}

async fn accept_once<D: DeviceGateway>(
    state: &State<D>,
    key: Key,
    device: DeviceId,
    deadline: Instant,
    body: Bytes,
) -> Result<Accepted, Problem> {
    let message = message(&body)?;
    let claim = state.idempotency.claim(key, &body, deadline).await?;
    drop(body);
    let replayed = claim.done.is_some();
    if replayed {
        state.counts.replayed();
    } else {
        let counts = &state.counts;
        counts
            .send(&state.devices, device, message, deadline)
            .await?;
        claim.remember(Done::All).await;
    }
    Ok(Accepted { replayed })
}

/// The message in a body.
pub(super) fn message(body: &Bytes) -> Result<Telemetry, Problem> {
    let envelope = telemetry_body::parse(body)
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
