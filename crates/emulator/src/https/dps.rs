//! The provisioning service over HTTPS, and observations for tests.
//!
//! Served under every name, since the id scope in the path identifies the service. Official SDKs require 202 for a registration, an
//! operation to poll, and errors as JSON with a number.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use drawspan_hub::text::without_mark;
use drawspan_hub::{ErrorCode, RegistrationId, UtcTime};
use drawspan_hub_model::dps::{Denied, Group, Registration};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body::Unreadable;
use super::refusal::place_in_body;
use super::refused::Reason;
use super::request::text;
use super::{Shared, body};
use crate::clock::system_unix_ms;
use crate::dps::{Asked, Dps, RegisterError};
use crate::limits::{REGISTRATION_BODY_BYTES, REQUEST_READ_MS};
use crate::random;
use crate::refusals::Door;

/// The service's code for an unknown scope, registration or operation.
const NOT_FOUND: u32 = 404_201;
const WRONG_METHOD: u32 = 405_000;

/// A request that is not done.
#[derive(Debug)]
struct Refusal {
    code: u32,
    message: String,
    /// The text for the log instead of the message, which has less detail, or more.
    logged: Option<String>,
    retry_after_s: Option<u32>,
}

/// The body of a registration.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegisterBody<'a> {
    registration_id: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

pub(super) fn routes() -> Router<Shared> {
    let lookup = || post(look_up).fallback(wrong_method);
    Router::new()
        .route("/{scope}/registrations/{id}", lookup())
        .route("/{scope}/registrations/{id}/", lookup())
        .route(
            "/{scope}/registrations/{id}/register",
            put(register).fallback(wrong_method),
        )
        .route(
            "/{scope}/registrations/{id}/operations/{operation}",
            get(poll).fallback(wrong_method),
        )
        .route("/emulator/observations", get(observations))
        .route("/emulator/registrations/{id}", get(registration))
}

type Names = Result<Path<(String, String)>, PathRejection>;

/// `PUT /{scope}/registrations/{id}/register`
async fn register(
    State(shared): State<Shared>,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let dps = &shared.dps;
    dps.count(Asked::Register);
    let (id, group) = authenticate(dps, names, &headers)?;
    let payload = read(body, &id).await?;
    let registration = dps.register(id, group, payload).await?;
    if dps.retry_after_s() == 0 {
        return Ok(body::write(StatusCode::ACCEPTED, &assigned(&registration)));
    }
    let answer = json!({ "operationId": registration.operation, "status": "assigning" });
    Ok(with_wait(
        body::write(StatusCode::ACCEPTED, &answer),
        dps.retry_after_s(),
    ))
}

/// `GET /{scope}/registrations/{id}/operations/{operation}`
async fn poll(
    State(shared): State<Shared>,
    names: Result<Path<(String, String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let dps = &shared.dps;
    dps.count(Asked::Poll);
    let Path((scope, id, operation)) = names.map_err(bad_path)?;
    let (id, _) = authenticate(dps, Ok(Path((scope, id))), &headers)?;
    let registration = dps
        .registration(&id)
        .filter(|registration| registration.operation == operation)
        .ok_or_else(|| Refusal::new(NOT_FOUND, "The operation does not exist"))?;
    Ok(body::write(StatusCode::OK, &assigned(&registration)))
}

/// `POST /{scope}/registrations/{id}`
async fn look_up(
    State(shared): State<Shared>,
    names: Names,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let dps = &shared.dps;
    dps.count(Asked::LookUp);
    let (id, _) = authenticate(dps, names, &headers)?;
    let registration = dps.registration(&id).ok_or_else(unregistered)?;
    Ok(body::write(StatusCode::OK, &state(&registration)))
}

/// `GET /emulator/observations`: how often the service was asked.
async fn observations(State(shared): State<Shared>) -> Response {
    body::write(StatusCode::OK, &json!({ "dps": shared.dps.observations() }))
}

/// `GET /emulator/registrations/{id}`: what a device registered with. Holds no key.
async fn registration(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path(id) = id.map_err(bad_path)?;
    let id = RegistrationId::parse(&id).map_err(|error| invalid(error.to_string()))?;
    let registration = shared.dps.registration(&id).ok_or_else(unregistered)?;
    let payload = registration.payload.as_deref();
    let answer = json!({
        "group": &*registration.group,
        "payload": payload.and_then(|payload| serde_json::from_str::<Value>(payload).ok()),
        "state": state(&registration),
    });
    Ok(body::write(StatusCode::OK, &answer))
}

async fn wrong_method() -> Refusal {
    Refusal::new(WRONG_METHOD, "The resource does not support this method")
}

fn authenticate<'d>(
    dps: &'d Dps,
    names: Names,
    headers: &HeaderMap,
) -> Result<(RegistrationId, &'d Group), Refusal> {
    let Path((scope, id)) = names.map_err(bad_path)?;
    if !scope.eq_ignore_ascii_case(dps.id_scope()) {
        return Err(Refusal::new(NOT_FOUND, "The id scope does not exist"));
    }
    let id = RegistrationId::parse(&id).map_err(|error| invalid(error.to_string()))?;
    let token = text(headers, header::AUTHORIZATION.as_str());
    let group = dps.authenticate(token, &id)?;
    Ok((id, group))
}

/// The payload in the body.
async fn read(body: Body, id: &RegistrationId) -> Result<Option<Arc<str>>, Refusal> {
    let whole = body::whole(body, REGISTRATION_BODY_BYTES);
    let limit = Duration::from_millis(REQUEST_READ_MS);
    let bytes = tokio::time::timeout(limit, whole)
        .await
        .map_err(|_| invalid("The body did not arrive in time"))?
        .map_err(|error| match error {
            Unreadable::TooLarge(_) => {
                Refusal::new(ErrorCode::MESSAGE_TOO_LARGE.number(), error.to_string())
            }
            Unreadable::Broken(_) => invalid(error.to_string()),
        })?;
    let body: RegisterBody<'_> =
        serde_json::from_slice(without_mark(&bytes)).map_err(|error| Refusal {
            logged: Some(place_in_body(&error)),
            ..invalid(format!("The body is not what is expected: {error}"))
        })?;
    let names_other = |named: &String| !named.eq_ignore_ascii_case(id.as_str());
    if body.registration_id.as_ref().is_some_and(names_other) {
        return Err(invalid(
            "registrationId in the body is not the one in the address",
        ));
    }
    Ok(body.payload.map(|payload| payload.get().into()))
}

/// An operation that is done.
fn assigned(registration: &Registration) -> Value {
    json!({
        "operationId": registration.operation,
        "status": "assigned",
        "registrationState": state(registration),
    })
}

fn state(registration: &Registration) -> Value {
    let time = |unix_ms: u64| {
        let unix_ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
        UtcTime::from_unix_ms(unix_ms).to_string()
    };
    json!({
        "registrationId": registration.id.as_str(),
        "createdDateTimeUtc": time(registration.created_unix_ms),
        "assignedHub": registration.hub.as_str(),
        "deviceId": registration.device.as_str(),
        "status": "assigned",
        "substatus": registration.substatus.as_str(),
        "lastUpdatedDateTimeUtc": time(registration.updated_unix_ms),
        "etag": registration.etag,
        "symmetricKey": { "enrollmentGroupId": &*registration.group },
    })
}

fn with_wait(mut response: Response, seconds: u32) -> Response {
    let value = HeaderValue::from(seconds);
    response.headers_mut().insert(header::RETRY_AFTER, value);
    response
}

fn bad_path(error: PathRejection) -> Refusal {
    invalid(error.to_string())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::ARGUMENT_INVALID.number(), message)
}

fn unregistered() -> Refusal {
    Refusal::new(NOT_FOUND, "The registration does not exist")
}

impl Refusal {
    fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            logged: None,
            retry_after_s: None,
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        // The service says no more than this; why, only the log knows.
        Self {
            logged: Some(denied.to_string()),
            ..Self::new(ErrorCode::UNAUTHORIZED_ACCESS.number(), "Unauthorized")
        }
    }
}

impl From<RegisterError> for Refusal {
    fn from(error: RegisterError) -> Self {
        let retry_after_s = match &error {
            RegisterError::TooMany { retry_after_s } => Some(*retry_after_s),
            RegisterError::Change(error) => {
                tracing::error!(%error, "a registration failed");
                None
            }
            RegisterError::NoHub | RegisterError::Registry(_) => None,
        };
        Self {
            retry_after_s,
            ..Self::new(error.code(), error.to_string())
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let now = i64::try_from(system_unix_ms()).unwrap_or(i64::MAX);
        let answer = json!({
            "errorCode": self.code,
            "trackingId": random::uuid_text().unwrap_or_default(),
            "message": self.message,
            "timestampUtc": UtcTime::from_unix_ms(now).to_string(),
            "info": {},
        });
        // A code's first three digits are the status.
        let status = u16::try_from(self.code / 1_000).ok();
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = body::write(status, &answer);
        response.extensions_mut().insert(Reason {
            door: Door::Dps,
            code: self.code,
            text: self.logged.unwrap_or(self.message),
        });
        match self.retry_after_s {
            Some(seconds) => with_wait(response, seconds),
            None => response,
        }
    }
}
