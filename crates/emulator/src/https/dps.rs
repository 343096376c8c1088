//! The provisioning service over HTTPS, and observations for tests.
//!
//! Served under every name, since the id scope in the path identifies the service.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use bytes::Bytes;
use drawspan_emulator_hub::dps::Asked;
use drawspan_emulator_hub::dps::requests::{Answer, Caller, Refusal};
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::{ErrorCode, RegistrationId};
use serde_json::{Value, json};

use super::body::Unreadable;
use super::refused::Reason;
use super::request::{query, text};
use super::{ClientCertificate, Shared, body};
use crate::limits::{REGISTRATION_BODY_BYTES, REQUEST_READ_MS};

const WRONG_METHOD: u32 = 405_000;

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
    uri: Uri,
    headers: HeaderMap,
    certificate: Presented,
    body: Body,
) -> Result<Response, Refused> {
    let Path((scope, id)) = names.map_err(bad_path)?;
    let caller = caller(&scope, &id, &uri, &headers, &certificate);
    // Before the body is read, which whoever may not register need not send.
    shared
        .dps
        .identify(caller)
        .inspect_err(|_| shared.dps.count(Asked::Register))?;
    let body = read(body).await?;
    answer(shared.dps.answer_registration(caller, &body).await?)
}

/// `GET /{scope}/registrations/{id}/operations/{operation}`
async fn poll(
    State(shared): State<Shared>,
    names: Result<Path<(String, String, String)>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
    certificate: Presented,
) -> Result<Response, Refused> {
    let Path((scope, id, operation)) = names.map_err(bad_path)?;
    let caller = caller(&scope, &id, &uri, &headers, &certificate);
    answer(shared.dps.answer_operation(caller, &operation)?)
}

/// `POST /{scope}/registrations/{id}`
async fn look_up(
    State(shared): State<Shared>,
    names: Names,
    uri: Uri,
    headers: HeaderMap,
    certificate: Presented,
) -> Result<Response, Refused> {
    let Path((scope, id)) = names.map_err(bad_path)?;
    answer(
        shared
            .dps
            .answer_lookup(caller(&scope, &id, &uri, &headers, &certificate))?,
    )
}

/// `GET /emulator/observations`: how often the service was asked.
async fn observations(State(shared): State<Shared>) -> Response {
    body::write(StatusCode::OK, &json!({ "dps": shared.dps.observations() }))
}

/// `GET /emulator/registrations/{id}`: what a device registered with. Holds no key.
async fn registration(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    let Path(id) = id.map_err(bad_path)?;
    let id = RegistrationId::parse(&id).map_err(|error| Refusal::invalid(error.to_string()))?;
    let registration = shared
        .dps
        .registration(&id)
        .ok_or_else(Refusal::unregistered)?;
    let payload = registration.payload.as_deref();
    let answer = json!({
        "group": &*registration.group,
        "payload": payload.and_then(|payload| serde_json::from_str::<Value>(payload).ok()),
        "state": shared.dps.state(&registration),
    });
    Ok(body::write(StatusCode::OK, &answer))
}

async fn wrong_method() -> Refused {
    Refused(Refusal::new(
        WRONG_METHOD,
        "The resource does not support this method",
    ))
}

/// The certificate of the connection, if the client presented one.
type Presented = Option<Extension<ClientCertificate>>;

fn caller<'c>(
    id_scope: &'c str,
    registration: &'c str,
    uri: &'c Uri,
    headers: &'c HeaderMap,
    certificate: &'c Presented,
) -> Caller<'c> {
    let certificate = certificate.as_ref();
    Caller {
        id_scope,
        registration,
        token: text(headers, header::AUTHORIZATION.as_str()),
        certificate: certificate.map(|Extension(ClientCertificate(presented))| &**presented),
        api_version: query(uri, "api-version"),
    }
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    let whole = body::whole(body, REGISTRATION_BODY_BYTES);
    let limit = Duration::from_millis(REQUEST_READ_MS);
    tokio::time::timeout(limit, whole)
        .await
        .map_err(|_| Refusal::invalid("The body did not arrive in time"))?
        .map_err(|error| match error {
            Unreadable::TooLarge(_) => {
                Refusal::new(ErrorCode::MESSAGE_TOO_LARGE.number(), error.to_string())
            }
            Unreadable::Broken(_) => Refusal::invalid(error.to_string()),
        })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the last step of handlers that may be refused"
)]
fn answer(answer: Answer) -> Result<Response, Refused> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let response = body::write(status, &answer.body);
    Ok(match answer.retry_after_s {
        Some(seconds) => with_wait(response, seconds),
        None => response,
    })
}

fn with_wait(mut response: Response, seconds: u32) -> Response {
    let value = HeaderValue::from(seconds);
    response.headers_mut().insert(header::RETRY_AFTER, value);
    response
}

fn bad_path(error: PathRejection) -> Refusal {
    Refusal::invalid(error.to_string())
}

/// A refusal of the service as HTTP has it.
struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(refusal) = self;
        let status = StatusCode::from_u16(refusal.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = body::write(status, &refusal.body());
        response.extensions_mut().insert(Reason {
            door: Door::Dps,
            code: refusal.code,
            text: refusal.reason().to_owned(),
        });
        match refusal.retry_after_s {
            Some(seconds) => with_wait(response, seconds),
            None => response,
        }
    }
}
