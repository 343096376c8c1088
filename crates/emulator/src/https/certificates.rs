//! Certificate authorities of a hub: added, and verified by proof of possession.
//!
//! Azure has these at its management interface (resource type `Microsoft.Devices/IotHubs/Certificates`), which is no part of a hub.
//! The bodies are those; the path is the emulator's own, and a token of a policy takes the place of Azure's sign-in.

use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drawspan_emulator_hub::certificate_chain;
use drawspan_emulator_hub::hub::AuthoritySpec;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::x509::{Authority, Certificate, InvalidCertificate};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::body;
use super::caller::AnyVersion;
use super::refusal::Refusal;
use super::request::text;

const PATH: &str = "/emulator/certificates";

type Name = Result<Path<String>, PathRejection>;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/emulator/certificates", get(list))
        .route(
            "/emulator/certificates/{name}",
            get(read).put(write).delete(delete),
        )
        .route(
            "/emulator/certificates/{name}/generateVerificationCode",
            post(generate_code),
        )
        .route("/emulator/certificates/{name}/verify", post(verify))
}

/// What a caller describes an authority with.
#[derive(Deserialize)]
struct AuthorityBody {
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    certificate: String,
    #[serde(default)]
    is_verified: bool,
}

/// What a caller proves possession of a key with.
#[derive(Deserialize)]
struct ProofBody {
    certificate: String,
}

/// `GET /emulator/certificates`
async fn list(caller: AnyVersion) -> Result<Response, Refusal> {
    let caller = caller.with_token()?;
    let hub = caller.hub(&[Right::RegistryRead], PATH)?;
    let value: Vec<Value> = hub.authorities().list().map(describe).collect();
    Ok(body::write(StatusCode::OK, &json!({ "value": value })))
}

/// `GET /emulator/certificates/{name}`
async fn read(caller: AnyVersion, name: Name) -> Result<Response, Refusal> {
    let (caller, name) = (caller.with_token()?, name_of(name)?);
    let hub = caller.hub(&[Right::RegistryRead], PATH)?;
    let authorities = hub.authorities();
    Ok(answer(StatusCode::OK, authorities.get(&name)?))
}

/// `PUT /emulator/certificates/{name}`: adds; with `If-Match`, replaces.
async fn write(
    caller: AnyVersion,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (caller, name) = (caller.with_token()?, name_of(name)?);
    let hub = caller.hub(&[Right::RegistryWrite], PATH)?;
    let AuthorityBody { properties } = body::read(body).await?;
    let spec = AuthoritySpec {
        certificate: certificate(&properties.certificate)?,
        is_verified: properties.is_verified,
    };
    let if_match = if_match(&headers);
    let status = match if_match {
        None => StatusCode::CREATED,
        Some(_) => StatusCode::OK,
    };
    let put = hub.put_authority(&name, if_match, spec).await?;
    Ok(answer(status, &put?))
}

/// `DELETE /emulator/certificates/{name}`
async fn delete(caller: AnyVersion, name: Name, headers: HeaderMap) -> Result<Response, Refusal> {
    let (caller, name) = (caller.with_token()?, name_of(name)?);
    let hub = caller.hub(&[Right::RegistryWrite], PATH)?;
    hub.delete_authority(&name, if_match(&headers)).await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /emulator/certificates/{name}/generateVerificationCode`
async fn generate_code(
    caller: AnyVersion,
    name: Name,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (caller, name) = (caller.with_token()?, name_of(name)?);
    let hub = caller.hub(&[Right::RegistryWrite], PATH)?;
    let coded = hub.new_verification_code(&name, if_match(&headers)).await?;
    Ok(answer(StatusCode::OK, &coded?))
}

/// `POST /emulator/certificates/{name}/verify`
async fn verify(
    caller: AnyVersion,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (caller, name) = (caller.with_token()?, name_of(name)?);
    let hub = caller.hub(&[Right::RegistryWrite], PATH)?;
    let proof: ProofBody = body::read(body).await?;
    let proof = certificate(&proof.certificate)?;
    let proof = certificate_chain::presented(&[proof.der().clone()]).map_err(unreadable)?;
    let verified = hub
        .verify_authority(&name, if_match(&headers), &proof)
        .await?;
    Ok(answer(StatusCode::OK, &verified?))
}

fn name_of(name: Name) -> Result<String, Refusal> {
    let name = name.map_err(|error| Refusal::new(ErrorCode::ARGUMENT_INVALID, error.to_string()));
    name.map(|Path(name)| name)
}

/// The ETag that a caller means, with its quotes or, as the management interface has it, without.
fn if_match(headers: &HeaderMap) -> Option<&str> {
    let text = text(headers, header::IF_MATCH.as_str())?;
    Some(text.trim_matches('"'))
}

fn certificate(text: &str) -> Result<Certificate, Refusal> {
    Certificate::from_text(text).map_err(unreadable)
}

fn unreadable(error: InvalidCertificate) -> Refusal {
    Refusal::new(ErrorCode::ARGUMENT_INVALID, error.to_string())
}

fn answer(status: StatusCode, authority: &Authority) -> Response {
    let mut response = body::write(status, &describe(authority));
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", authority.etag)) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// An authority as Azure describes it.
fn describe(authority: &Authority) -> Value {
    let certificate = &authority.certificate;
    let expiry_s = u64::try_from(certificate.not_after_unix_s()).unwrap_or(0);
    let mut properties = json!({
        "subject": certificate.subject(),
        "expiry": time(expiry_s.saturating_mul(1_000)),
        "thumbprint": certificate.sha1_thumbprint(),
        "isVerified": authority.is_verified,
        "created": time(authority.created_unix_ms),
        "updated": time(authority.updated_unix_ms),
        "certificate": STANDARD.encode(certificate.der()),
    });
    if let Some(code) = &authority.verification_code {
        properties["verificationCode"] = (**code).into();
    }
    json!({
        "name": &*authority.name,
        "type": "Microsoft.Devices/IotHubs/Certificates",
        "etag": authority.etag,
        "properties": properties,
    })
}

/// As HTTP writes times. Those beyond the year 9999 become its end.
fn time(unix_ms: u64) -> String {
    const LAST_S: u64 = 253_402_300_799;
    let time = UNIX_EPOCH + Duration::from_secs((unix_ms / 1_000).min(LAST_S));
    httpdate::fmt_http_date(time)
}
