//! File uploads: a device asks where to put a file, and says how that ended.
//!
//! The end comes to one of three paths, by the SDK: with the correlation id in the path, in the body, or in both.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use drawspan_emulator_hub::hub::UploadError;
use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_hub_model::throttle::OperationClass;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Sender;
use crate::https::Shared;
use crate::https::body;
use crate::https::caller::{AnyVersion, Authority};
use crate::https::devices::{IdPath, id_of};
use crate::https::refusal::Refusal;
use crate::https::throttling::turn;

type NotificationPath = Result<Path<(String, String)>, PathRejection>;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/devices/{id}/files", post(begin))
        .route("/devices/{id}/files/", post(begin))
        .route("/devices/{id}/files/notifications", post(end))
        .route("/devices/{id}/files/notifications/", post(end))
        .route(
            "/devices/{id}/files/notifications/{correlation}",
            post(end_named),
        )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    #[serde(default)]
    blob_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place<'a> {
    correlation_id: &'a str,
    host_name: &'a str,
    container_name: &'a str,
    blob_name: &'a str,
    sas_token: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct End {
    #[serde(default)]
    correlation_id: Option<String>,
    #[serde(default)]
    is_success: Option<bool>,
    #[serde(default)]
    status_code: Value,
}

/// `POST /devices/{id}/files`
async fn begin(
    caller: AnyVersion,
    Authority(authority): Authority,
    path: IdPath,
    body: Body,
) -> Result<Response, Refusal> {
    let id = id_of(path)?;
    let path = format!("/devices/{id}/files");
    let sender = Sender::at(&caller, &path, id)?;
    let wish: Wish = body::read(body).await?;
    let client = (&sender.id).into();
    turn(&sender.hub, Some(&client), OperationClass::Uploads, 1, [0]).await?;
    let authority = authority.unwrap_or_else(|| sender.hub.host().to_string());
    let begun = sender
        .hub
        .begin_upload(&sender.id, wish.blob_name, &authority);
    let place = begun.await?;
    let answer = Place {
        correlation_id: &place.correlation_id,
        host_name: &place.host_name,
        container_name: &place.container,
        blob_name: &place.blob,
        sas_token: &place.signature,
    };
    Ok(body::write(StatusCode::OK, &answer))
}

/// `POST /devices/{id}/files/notifications`
async fn end(caller: AnyVersion, path: IdPath, body: Body) -> Result<StatusCode, Refusal> {
    ended(&caller, id_of(path)?, None, body).await
}

/// `POST /devices/{id}/files/notifications/{correlationId}`
async fn end_named(
    caller: AnyVersion,
    path: NotificationPath,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let bad = |text: String| Refusal::new(ErrorCode::ARGUMENT_INVALID, text);
    let Path((id, correlation)) = path.map_err(|error| bad(error.to_string()))?;
    let id = DeviceId::parse(&id).map_err(|error| bad(error.to_string()))?;
    ended(&caller, id, Some(correlation), body).await
}

async fn ended(
    caller: &AnyVersion,
    id: DeviceId,
    in_path: Option<String>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let path = format!("/devices/{id}/files/notifications");
    let sender = Sender::at(caller, &path, id)?;
    let end: End = body::read(body).await?;
    let correlation = in_path.or(end.correlation_id).unwrap_or_default();
    let outcome = match end.is_success {
        Some(true) => Ok(()),
        Some(false) => Err(end.status_code.as_i64().unwrap_or_default()),
        None => {
            let code = ErrorCode::INVALID_FILE_UPLOAD_COMPLETION_STATUS;
            return Err(Refusal::new(code, "isSuccess must be true or false"));
        }
    };
    let ended = sender.hub.end_upload(&sender.id, &correlation, outcome);
    ended.await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        if let UploadError::Store(_) | UploadError::Random(_) = &error {
            tracing::error!(%error, "a file upload failed");
        }
        Self::new(error.code(), error.to_string())
    }
}
