//! Direct methods.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use drawspan_emulator_hub::hub::InvokeError;
use drawspan_emulator_hub::sessions::{CallFailure, MethodAnswer};
use drawspan_hub::ErrorCode;
use drawspan_hub::limits::METHOD_BLOCK_BYTES;
use drawspan_hub_model::limits::Limits;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::throttle::OperationClass;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body;
use super::caller::Caller;
use super::modules::{ClientPath, client_of};
use super::refusal::Refusal;
use super::throttling::turn;
use super::twins;
use super::wire::invalid;
use crate::limits::METHOD_NAME_CHARS;

/// A call as a service describes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MethodBody {
    method_name: Option<String>,
    response_timeout_in_seconds: Option<u64>,
    /// The name of the member in old clients.
    timeout_in_seconds: Option<u64>,
    connect_timeout_in_seconds: Option<u64>,
    /// Passed on as it is written; `null` is a payload, unlike an absent one.
    #[serde(default, deserialize_with = "given")]
    payload: Option<Box<RawValue>>,
}

/// `POST /twins/{id}[/modules/{module}]/methods`
pub(super) async fn invoke(
    caller: Caller,
    path: ClientPath,
    body: Body,
) -> Result<Response, Refusal> {
    let client = client_of(path)?;
    let path = format!("{}/methods", twins::path_of(&client));
    let hub = caller.hub(&[Right::ServiceConnect], &path)?;
    let call: MethodBody = body::read(body).await?;
    let (connect, response) = call.times(hub.limits())?;
    let (name, payload) = call.into_request(hub.limits())?;
    // A call without a payload counts as well.
    let blocks = payload.len().div_ceil(METHOD_BLOCK_BYTES).max(1) as u64;
    let class = OperationClass::Methods;
    turn(hub, Some(&client), class, blocks, [payload.len()]).await?;
    let answer = hub.invoke(&client, name, payload, connect, response).await;
    // A device that is not there counts like one that answers.
    hub.charge([answer.as_ref().map_or(0, |it| it.payload.len())]);
    let answer = answer
        .map_err(|error| refusal(error, hub.limits()).with_info(info(error, connect, response)))?;
    if !is_json(&answer.payload) {
        tracing::info!(%client, "a device's answer to a method is not JSON; it is passed on as it came, as IoT Hub does");
    }
    Ok(body::json(StatusCode::OK, result(&answer)))
}

/// Status and payload of the device. A payload that is not JSON makes this no JSON either, as at IoT Hub
/// (Azure/azure-iot-sdk-c #1641).
fn result(answer: &MethodAnswer) -> Vec<u8> {
    let payload = match &answer.payload[..] {
        [] => b"null",
        payload => payload,
    };
    let mut body = format!("{{\"status\":{},\"payload\":", answer.status).into_bytes();
    body.extend_from_slice(payload);
    body.push(b'}');
    body
}

fn is_json(payload: &[u8]) -> bool {
    payload.is_empty() || serde_json::from_slice::<IgnoredAny>(payload).is_ok()
}

impl MethodBody {
    fn times(&self, hub: &Limits) -> Result<(Duration, Duration), Refusal> {
        let connect = self.connect_timeout_in_seconds.unwrap_or(0);
        if connect > hub.method_connect_max_s {
            let text = format!(
                "connectTimeoutInSeconds is more than {}",
                hub.method_connect_max_s
            );
            return Err(invalid(&text));
        }
        let response = self
            .response_timeout_in_seconds
            .or(self.timeout_in_seconds)
            .unwrap_or(hub.method_response_default_s);
        if !hub.method_response_s.contains(&response) {
            let (from, to) = (hub.method_response_s.start(), hub.method_response_s.end());
            let text = format!("responseTimeoutInSeconds is not between {from} and {to}");
            return Err(invalid(&text));
        }
        Ok((Duration::from_secs(connect), Duration::from_secs(response)))
    }

    fn into_request(self, hub: &Limits) -> Result<(String, Bytes), Refusal> {
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
        if payload.len() > hub.method_payload_bytes {
            return Err(too_large("payload", hub));
        }
        Ok((name, payload))
    }
}

/// What a refused call says besides: the time that was waited for the device.
fn info(error: InvokeError, connect: Duration, response: Duration) -> Value {
    match error {
        InvokeError::NotOnline => json!({ "timeout": span(connect) }),
        InvokeError::TimedOut => json!({ "timeout": span(response) }),
        InvokeError::NotFound
        | InvokeError::ModuleNotFound
        | InvokeError::Left
        | InvokeError::Failed(_) => json!({}),
    }
}

/// `00:00:30`, as .NET writes a time span.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    format!("{hours:02}:{:02}:{:02}", minutes % 60, seconds % 60)
}

fn refusal(error: InvokeError, hub: &Limits) -> Refusal {
    let message = match error {
        InvokeError::NotFound => "The device is not registered".into(),
        InvokeError::ModuleNotFound => "The module is not registered".into(),
        InvokeError::NotOnline => "Timed out waiting for device to connect.".into(),
        InvokeError::Left => "Device unavailable".into(),
        InvokeError::TimedOut => "Timed out waiting for the response from device.".into(),
        InvokeError::Failed(CallFailure::TooMany) => {
            "The device has too many calls to answer".into()
        }
        InvokeError::Failed(CallFailure::RequestTooLarge) => {
            "The device takes no message of this size".into()
        }
        InvokeError::Failed(CallFailure::AnswerTooLarge) => {
            return too_large("device's answer", hub);
        }
        InvokeError::Failed(CallFailure::BadAnswer(why)) => {
            format!("The device's answer makes no sense: {why}")
        }
    };
    Refusal::new(error.code(), message)
}

fn too_large(what: &str, hub: &Limits) -> Refusal {
    let text = format!(
        "The {what} has more than {} bytes",
        hub.method_payload_bytes
    );
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
