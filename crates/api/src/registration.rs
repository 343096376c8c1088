//! `POST /devices/{id}/registration`.

use axum::extract;
use axum::http::StatusCode;
use drawspan_api_types::model_id;
use drawspan_gateway::DeviceGateway;

use super::api::empty_response;
use super::json_member;
use super::problem::{Kind, Problem};
use super::request::{ForDevice, Full, HandlerResult, Shared};

/// Registers the device at DPS; 200 without a body when its hub is known.
pub(super) async fn register<D: DeviceGateway>(
    extract::State(state): Shared<D>,
    ForDevice { device, request }: ForDevice<Full>,
) -> HandlerResult {
    let deadline = request.deadline;
    let body = request.json().await?;
    let model = model(&body)?;
    state.devices.register(device, model, deadline).await?;
    Ok(empty_response(StatusCode::OK))
}

/// The model, `None` when absent, null or empty.
fn model(body: &[u8]) -> Result<Option<String>, Problem> {
    if body.is_empty() {
        return Ok(None);
    }
    let invalid = |text: String| Problem::new(Kind::InvalidBody, text);
    let text = json_member::read(body, "modelId").map_err(|error| invalid(error.to_string()))?;
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
