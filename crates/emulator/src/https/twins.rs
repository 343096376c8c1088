//! Twins, as services see them.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::registry::{Entry, IfMatch, RegistryError};
use drawspan_hub_model::twin::{TwinError, TwinUpdate, parse_patch};
use drawspan_hub_model::twins::TwinFailure;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body;
use super::caller::Caller;
use super::devices::{IdPath, id_of, if_match};
use super::refusal::Refusal;
use super::wire::DeviceAnswer;

/// `GET /twins/{id}`
pub(super) async fn read(caller: Caller, path: IdPath) -> Result<Response, Refusal> {
    let id = id_of(path)?;
    let hub = caller.hub(&[Right::ServiceConnect], &format!("/twins/{id}"))?;
    let entry = hub.entry(&id).ok_or(RegistryError::NotFound(id))?;
    Ok(answer(hub, &entry))
}

/// `PATCH /twins/{id}` merges; `PUT /twins/{id}` replaces tags and desired properties.
pub(super) async fn write(
    caller: Caller,
    method: Method,
    path: IdPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let id = id_of(path)?;
    let hub = caller.hub(&[Right::ServiceConnect], &format!("/twins/{id}"))?;
    let body: Box<RawValue> = body::read(body).await?;
    let object = parse_patch(body.get().as_bytes())?;
    let update = TwinUpdate::from_json(object, method == Method::PUT)?;
    // The REST reference does not require the header; without it nothing is compared.
    let if_match = if_match(&headers).unwrap_or(IfMatch::Any);
    let now = hub.now_unix_ms();
    let result = hub
        .change(
            |registry| match registry.update_twin(&id, &update, &if_match, now) {
                Ok((entry, change)) => (Ok(entry), vec![change]),
                Err(error) => (Err(error), Vec::new()),
            },
        )
        .await?;
    Ok(answer(hub, &result?))
}

/// A device's twin, with what the registry says of the device.
pub(super) fn describe(hub: &Hub, entry: &Entry) -> Value {
    let twin = entry.twin();
    let device = DeviceAnswer::of(entry, hub.message_count(&entry.device.id));
    let mut description = device.in_twin();
    let own = json!({
        "etag": twin.etag(),
        "version": twin.version,
        "modelId": entry.model_id.as_deref().unwrap_or_default(),
        "tags": twin.tags,
        "properties": {
            "desired": twin.desired.for_service(true),
            "reported": twin.reported.for_service(false),
        },
    });
    if let (Value::Object(description), Value::Object(own)) = (&mut description, own) {
        description.extend(own);
    }
    description
}

fn answer(hub: &Hub, entry: &Entry) -> Response {
    let mut response = body::write(StatusCode::OK, &describe(hub, entry));
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", entry.twin().etag())) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

impl From<TwinError> for Refusal {
    fn from(error: TwinError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<TwinFailure> for Refusal {
    fn from(error: TwinFailure) -> Self {
        let message = match &error {
            TwinFailure::Registry(RegistryError::PreconditionFailed { existing }) => {
                format!("Twin version did not match, existing ETag is {existing}")
            }
            error => error.to_string(),
        };
        Self::new(error.code(), message)
    }
}
