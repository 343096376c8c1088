//! Decoding of the service's answers. Pure.

use drawspan_hub::{DeviceId, Failure, FailureKind, HostName, text};
use serde::Deserialize;
use serde_json::json;

use super::Assigned;
use crate::https::Reply;
use crate::limits;

/// An answer other than a refusal.
#[derive(Debug)]
pub(super) struct OperationStatus {
    operation: Operation,
    retry_after_s: Option<u32>,
}

/// The step after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Assigned(Assigned),
    Ask { operation: String, wait_s: u32 },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operation {
    operation_id: Option<String>,
    status: Status,
    registration_state: Option<State>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Status {
    Assigned,
    Assigning,
    /// The .NET client goes on asking, too.
    Unassigned,
    Failed,
    #[serde(alias = "blacklisted")]
    Disabled,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    assigned_hub: Option<String>,
    device_id: Option<String>,
    /// What the hub speaks; old versions of the interface do not say it.
    connection_profile: Option<String>,
    error_code: Option<u32>,
    error_message: Option<String>,
}

impl OperationStatus {
    /// Reads an answer.
    ///
    /// # Errors
    /// When it is a refusal, or no answer that the service gives.
    pub(super) fn read(reply: &Reply) -> Result<Self, Failure> {
        if !(200..300).contains(&reply.status) {
            let code = reply.error_code.as_deref();
            let body = String::from_utf8_lossy(&reply.body);
            let after = reply.retry_after_s;
            return Err(Failure::from_http(reply.status, code, &body, after));
        }
        let operation =
            serde_json::from_slice(text::without_mark(&reply.body)).map_err(|error| {
                senseless(&format!(
                    "it is not JSON that can be understood (line {}, column {})",
                    error.line(),
                    error.column()
                ))
            })?;
        Ok(Self {
            operation,
            retry_after_s: reply.retry_after_s,
        })
    }

    /// The next step.
    ///
    /// # Errors
    /// When the registration has ended without a hub.
    pub(super) fn into_next(self) -> Result<Next, Failure> {
        let state = self.operation.registration_state.unwrap_or_default();
        match self.operation.status {
            Status::Assigned => assigned(&state).map(Next::Assigned),
            Status::Assigning | Status::Unassigned => {
                let operation = self.operation.operation_id.filter(|id| is_usable(id));
                Ok(Next::Ask {
                    operation: operation.ok_or_else(|| senseless("it names no operation"))?,
                    wait_s: wait_s(self.retry_after_s),
                })
            }
            Status::Failed => Err(refused(&state, "the registration failed")),
            Status::Disabled => Err(Failure {
                kind: FailureKind::DeviceDisabled,
                ..refused(&state, "the enrollment is disabled")
            }),
            Status::Unknown => Err(senseless("its status is unknown")),
        }
    }
}

/// Decodes the answer to a look-up: the device's hub, or `None` if it is not registered.
///
/// # Errors
/// When it is a refusal. An unknown id scope and an unknown registration are both 404; the words tell them apart.
pub(super) fn known(reply: &Reply) -> Result<Option<Assigned>, Failure> {
    if reply.status == 404 {
        let body = String::from_utf8_lossy(&reply.body);
        let failure = Failure::from_http(404, None, &body, None);
        let words = failure.message.to_ascii_lowercase();
        return match words.contains("scope") {
            true => Err(Failure {
                kind: FailureKind::NotFound,
                ..failure
            }),
            false => Ok(None),
        };
    }
    if reply.status != 200 {
        OperationStatus::read(reply)?;
    }
    let state: State = serde_json::from_slice(&reply.body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        senseless(&format!("line {line}, column {column}"))
    })?;
    match state.assigned_hub {
        Some(_) => assigned(&state).map(Some),
        None => Ok(None),
    }
}

/// How long to wait for the next answer, in seconds.
pub(super) fn wait_s(asked_s: Option<u32>) -> u32 {
    asked_s
        .unwrap_or(limits::DPS_WAIT_S)
        .clamp(limits::DPS_WAIT_MIN_S, limits::DPS_WAIT_MAX_S)
}

/// The one connection profile that has AMQP, and with it many devices on one connection.
const CLASSIC: &str = "classic";

fn assigned(state: &State) -> Result<Assigned, Failure> {
    let hub = state.assigned_hub.as_deref().unwrap_or_default();
    let profile = state.connection_profile.as_deref().unwrap_or(CLASSIC);
    if !profile.eq_ignore_ascii_case(CLASSIC) {
        let text = format!(
            "DPS assigned the hub {hub} of the connection profile '{profile}', which has no AMQP: only hubs of the profile '{CLASSIC}' \
             are supported; link such a hub to the enrollment"
        );
        return Err(Failure::local(FailureKind::InvalidRequest, &text));
    }
    let device = state.device_id.as_deref().unwrap_or_default();
    Ok(Assigned {
        hub: HostName::parse(hub).map_err(|error| senseless(&format!("assignedHub: {error}")))?,
        device: DeviceId::parse(device)
            .map_err(|error| senseless(&format!("deviceId: {error}")))?,
    })
}

/// The service's own code says what is wrong; its message may quote what a hub said.
fn refused(state: &State, otherwise: &str) -> Failure {
    let code = state.error_code.unwrap_or_default();
    let status = u16::try_from(code / 1_000).unwrap_or_default();
    let said = json!({ "errorCode": code, "message": state.error_message });
    let mut failure = Failure::from_http(status, None, &said.to_string(), None);
    if state.error_message.as_deref().is_none_or(str::is_empty) {
        failure.message = otherwise.to_owned();
    }
    failure
}

fn senseless(what: &str) -> Failure {
    let text = format!("the provisioning service's answer makes no sense: {what}");
    Failure::local(FailureKind::ServerError, &text)
}

fn is_usable(operation: &str) -> bool {
    (1..=limits::DPS_OPERATION_ID_CHARS).contains(&operation.len())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
