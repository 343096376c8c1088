//! Single devices, and the list.

use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::random;
use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::registry::{Change, Entry, IfMatch, RegistryError};

use super::body;
use super::caller::Caller;
use super::refusal::Refusal;
use super::request::{query, text};
use super::throttling::registry_turn;
use super::wire::{DeviceAnswer, DeviceBody, device_id, invalid};

pub(super) type IdPath = Result<Path<String>, PathRejection>;

/// `GET /devices/{id}`
pub(super) async fn read(caller: Caller, path: IdPath) -> Result<Response, Refusal> {
    let id = id_of(path)?;
    let hub = caller.hub(&[Right::RegistryRead], &path_of(&id))?;
    registry_turn(hub, 1).await?;
    let entry = hub.entry(&id).ok_or(RegistryError::NotFound(id))?;
    Ok(answer(hub, &entry))
}

/// `PUT /devices/{id}`: creates; with `If-Match`, updates.
pub(super) async fn write(
    caller: Caller,
    path: IdPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let id = id_of(path)?;
    let hub = caller.hub(&[Right::RegistryWrite], &path_of(&id))?;
    let description: DeviceBody = body::read(body).await?;
    if description
        .device_id
        .as_deref()
        .is_some_and(|named| named != id.as_str())
    {
        return Err(invalid(
            "deviceId in the body is not the one in the address",
        ));
    }
    let if_match = if_match(&headers);
    let spec = description.into_spec(id)?;
    registry_turn(hub, 1).await?;
    let now = hub.now_unix_ms();
    let fresh = random::fresh(now)?;
    let result = hub
        .change(|registry| {
            let result = match &if_match {
                Some(if_match) => registry.update(spec, if_match, fresh, now),
                None => registry.create(spec, fresh, now),
            };
            let change = result
                .iter()
                .map(|entry| Change::Put(entry.device.clone()))
                .collect();
            (result, change)
        })
        .await?;
    Ok(answer(hub, &result?))
}

/// `DELETE /devices/{id}`
pub(super) async fn delete(
    caller: Caller,
    path: IdPath,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let id = id_of(path)?;
    let hub = caller.hub(&[Right::RegistryWrite], &path_of(&id))?;
    // The REST reference does not require the header; without it nothing is compared.
    let if_match = if_match(&headers).unwrap_or(IfMatch::Any);
    registry_turn(hub, 1).await?;
    let result = hub
        .change(|registry| {
            let result = registry.delete(&id, &if_match);
            let change = result.iter().map(|()| Change::Delete(id.clone())).collect();
            (result, change)
        })
        .await?;
    result?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /devices?top=N`
pub(super) async fn list(caller: Caller, uri: Uri) -> Result<Response, Refusal> {
    let hub = caller.hub(&[Right::RegistryRead], "/devices")?;
    let most = hub.limits().list_devices;
    let top = match query(&uri, "top").map(str::parse) {
        None => most,
        Some(Ok(top)) if top > 0 => most.min(top),
        Some(_) => return Err(invalid("top is not a number above 0")),
    };
    registry_turn(hub, 1).await?;
    let of = |entry: &Entry| DeviceAnswer::of(entry, hub.message_count(&entry.device.id));
    let devices: Vec<DeviceAnswer> = hub.registry().list(top).map(of).collect();
    Ok(body::write(StatusCode::OK, &devices))
}

fn answer(hub: &Hub, entry: &Entry) -> Response {
    let mut response = body::write(
        StatusCode::OK,
        &DeviceAnswer::of(entry, hub.message_count(&entry.device.id)),
    );
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", entry.device.etag)) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

pub(super) fn id_of(path: IdPath) -> Result<DeviceId, Refusal> {
    let Path(text) =
        path.map_err(|error| Refusal::new(ErrorCode::ARGUMENT_INVALID, error.to_string()))?;
    device_id(&text)
}

pub(super) fn path_of(id: &DeviceId) -> String {
    format!("/devices/{id}")
}

pub(super) fn if_match(headers: &HeaderMap) -> Option<IfMatch> {
    text(headers, header::IF_MATCH.as_str()).map(IfMatch::parse_header)
}
