//! `POST /devices/{id}/registration`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::http::{Request, Response};
use drawspan_api_types::model_id;
use drawspan_gateway::Devices;

use super::api::State;
use super::member;
use super::problem::{Kind, Problem};
use super::request::{DeviceRequest, IdInPath};

/// Registers the device at DPS; 200 without a body when its hub is known.
pub(super) async fn register<D: Devices>(
    extract::State(state): extract::State<Arc<State<D>>>,
    id: IdInPath,
    request: Request<Body>,
) -> Response<Body> {
    match try_register(&state, id, request).await {
        Ok(()) => Response::new(Body::empty()),
        Err(problem) => problem.into_response(),
    }
}

async fn try_register<D: Devices>(
    state: &State<D>,
    id: IdInPath,
    request: Request<Body>,
) -> Result<(), Problem> {
    let request = DeviceRequest::new(state, id, request).await?;
    let (device, deadline, body) = request.json().await?;
    let model = model(&body)?;
    Ok(state.devices.register(device, model, deadline).await?)
}

/// The model, `None` when absent, null or empty.
fn model(body: &[u8]) -> Result<Option<String>, Problem> {
    if body.is_empty() {
        return Ok(None);
    }
    let invalid = |text: String| Problem::new(Kind::InvalidBody, text);
    let text = member::read(body, "modelId").map_err(|error| invalid(error.to_string()))?;
    let Some(text) = text else { return Ok(None) };
    let model: String = serde_json::from_str(text)
        .map_err(|_| invalid("The member `modelId` must be a string.".to_owned()))?;
    if model.is_empty() {
        return Ok(None);
    }
    if !model_id::is_valid(&model) {
        return Err(invalid(
            "The member `modelId` must be a digital twin model id of at most 128 characters, like dtmi:com:example:Pump;1."
                .to_owned(),
        ));
    }
    Ok(Some(model))
}
