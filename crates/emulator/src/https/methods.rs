//! Direct methods.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::policy::Right;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::body;
use super::caller::Caller;
use super::devices::{IdPath, id_of};
use super::refusal::Refusal;
use super::wire::invalid;
use crate::hub::InvokeError;
use crate::limits::{
    METHOD_CONNECT_MAX_S, METHOD_NAME_CHARS, METHOD_PAYLOAD_BYTES, METHOD_RESPONSE_DEFAULT_S,
    METHOD_RESPONSE_S,
};
use crate::reach::{CallFailure, MethodAnswer};

/// A call as a service describes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MethodBody {
    method_name: Option<String>,
    response_timeout_in_seconds: Option<u64>,
    /// What old clients call it.
    timeout_in_seconds: Option<u64>,
    connect_timeout_in_seconds: Option<u64>,
    /// Passed on as it is written; `null` is a payload, none at all is none.
    #[serde(default, deserialize_with = "given")]
    payload: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct MethodResult {
    status: i32,
    payload: Option<Box<RawValue>>,
}

/// `POST /twins/{id}/methods`
pub(super) async fn invoke(caller: Caller, path: IdPath, body: Body) -> Result<Response, Refusal> {
    let id = id_of(path)?;
    let hub = caller.hub(&[Right::ServiceConnect], &format!("/twins/{id}/methods"))?;
    let call: MethodBody = body::read(body).await?;
    let (connect, response) = call.times()?;
    let (name, payload) = call.into_request()?;
    let answer = hub.invoke(&id, name, payload, connect, response).await?;
    Ok(body::write(StatusCode::OK, &MethodResult::of(&answer)))
}

impl MethodBody {
    fn times(&self) -> Result<(Duration, Duration), Refusal> {
        let connect = self.connect_timeout_in_seconds.unwrap_or(0);
        if connect > METHOD_CONNECT_MAX_S {
            let text = format!("connectTimeoutInSeconds is more than {METHOD_CONNECT_MAX_S}");
            return Err(invalid(&text));
        }
        let response = self
            .response_timeout_in_seconds
            .or(self.timeout_in_seconds)
            .unwrap_or(METHOD_RESPONSE_DEFAULT_S);
        if !METHOD_RESPONSE_S.contains(&response) {
            let (from, to) = (METHOD_RESPONSE_S.start(), METHOD_RESPONSE_S.end());
            let text = format!("responseTimeoutInSeconds is not between {from} and {to}");
            return Err(invalid(&text));
        }
        Ok((Duration::from_secs(connect), Duration::from_secs(response)))
    }

    fn into_request(self) -> Result<(String, Bytes), Refusal> {
        let name = self
            .method_name
            .filter(|name| is_name(name))
            .ok_or_else(|| {
                let text = format!(
                    "methodName is not a name: 1 to {METHOD_NAME_CHARS} printable ASCII characters \
                     other than $()<>@,;:\\\"/[]?={{}} and space"
                );
                invalid(&text)
            })?;
        let payload = self.payload.map_or_else(Bytes::new, |payload| {
            String::from(Box::<str>::from(payload)).into()
        });
        if payload.len() > METHOD_PAYLOAD_BYTES {
            return Err(too_large("payload"));
        }
        Ok((name, payload))
    }
}

impl MethodResult {
    fn of(answer: &MethodAnswer) -> Self {
        Self {
            status: answer.status,
            // It was found to be JSON, or it is empty.
            payload: serde_json::from_slice(&answer.payload).ok(),
        }
    }
}

impl From<InvokeError> for Refusal {
    fn from(error: InvokeError) -> Self {
        let offline = |message| Self::new(ErrorCode::DEVICE_NOT_ONLINE, message);
        match error {
            InvokeError::NotFound => {
                Self::new(ErrorCode::DEVICE_NOT_FOUND, "The device is not registered")
            }
            InvokeError::NotOnline => offline("Timed out waiting for device to connect."),
            InvokeError::Left => offline("Device unavailable"),
            InvokeError::TimedOut => Self::new(
                ErrorCode::GATEWAY_TIMEOUT,
                "Timed out waiting for the response from device.",
            ),
            InvokeError::Failed(CallFailure::TooMany) => Self::new(
                ErrorCode::DEVICE_MAXIMUM_INFLIGHT_METHOD_EXCEEDED,
                "The device has too many calls to answer",
            ),
            InvokeError::Failed(CallFailure::RequestTooLarge) => Self::new(
                ErrorCode::MESSAGE_TOO_LARGE,
                "The device takes no message of this size",
            ),
            InvokeError::Failed(CallFailure::AnswerTooLarge) => too_large("device's answer"),
            InvokeError::Failed(CallFailure::BadAnswer(why)) => Self::new(
                ErrorCode::FORMAT_ERROR,
                format!("The device's answer makes no sense: {why}"),
            ),
        }
    }
}

fn too_large(what: &str) -> Refusal {
    let text = format!("The {what} has more than {METHOD_PAYLOAD_BYTES} bytes");
    Refusal::new(ErrorCode::MESSAGE_TOO_LARGE, text)
}

/// Article "Understand and invoke direct methods from IoT Hub".
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_graphic() && !"$()<>@,;:\\\"/[]?={}".contains(c);
    (1..=METHOD_NAME_CHARS).contains(&name.len()) && name.chars().all(allowed)
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}
