//! `GET /devices/{id}/twin` and `PATCH /devices/{id}/twin/properties/reported`. The JSON of both is passed on unchanged.

use axum::extract;
use axum::http::StatusCode;
use bytes::Bytes;
use drawspan_api_types::answers::TwinAnswer;
use drawspan_gateway::{DeviceError, DeviceGateway};
use drawspan_hub::{ErrorCode, Failure, FailureKind};
use serde_json::value::RawValue;

use super::api::{empty_response, json_of};
use super::json_member;
use super::problem::{Kind, Problem};
use super::request::{Bare, ForDevice, Full, HandlerResult, Shared};

/// The whole twin.
pub(super) async fn get<D: DeviceGateway>(
    extract::State(state): Shared<D>,
    ForDevice { device, request }: ForDevice<Bare>,
) -> HandlerResult {
    let twin = state.devices.twin(device, request.deadline).await?;
    let twin = object(&twin).ok_or_else(|| {
        Problem::new(
            Kind::HubRefused,
            "The hub answered with something that is not a twin.",
        )
    })?;
    Ok(json_of(&TwinAnswer::new(twin)))
}

/// Changes reported properties; 204 when the hub took the patch.
pub(super) async fn report<D: DeviceGateway>(
    extract::State(state): Shared<D>,
    ForDevice { device, request }: ForDevice<Full>,
) -> HandlerResult {
    let deadline = request.deadline;
    let body = request.json().await?;
    let patch = patch(&body)?;
    drop(body);
    let reported = state.devices.report(device, patch, deadline).await;
    reported.map_err(of_patch)?;
    Ok(empty_response(StatusCode::NO_CONTENT))
}

/// The hub knows best what a twin may hold: a patch that it finds invalid is the caller's mistake.
fn of_patch(error: DeviceError) -> Problem {
    match error {
        DeviceError::Refused(failure) if is_invalid(&failure) => {
            Problem::new(Kind::InvalidBody, failure.message)
                .from_hub(failure.code.map(ErrorCode::number), failure.tracking_id)
        }
        error => error.into(),
    }
}

fn is_invalid(failure: &Failure) -> bool {
    let code = failure.code.map(ErrorCode::number);
    failure.kind == FailureKind::InvalidRequest
        && code.is_some_and(|code| matches!(code, 400_000..401_000 | 403_100))
}

/// The bytes of `patch` as they came.
fn patch(body: &Bytes) -> Result<Bytes, Problem> {
    let invalid = |text: String| Problem::new(Kind::InvalidBody, text);
    let patch = json_member::read(body, "patch").map_err(|error| invalid(error.to_string()))?;
    let patch = patch.ok_or_else(|| invalid("The member `patch` is required.".to_owned()))?;
    if !patch.starts_with('{') {
        return Err(invalid(
            "The member `patch` must be a JSON object.".to_owned(),
        ));
    }
    Ok(body.slice_ref(patch.as_bytes()))
}

/// The JSON object that these bytes are, if they are one.
fn object(bytes: &[u8]) -> Option<&RawValue> {
    let value: &RawValue = serde_json::from_slice(bytes).ok()?;
    value.get().starts_with('{').then_some(value)
}
