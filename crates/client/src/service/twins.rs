//! Twins, as a service reads and changes them over HTTPS.

use drawspan_hub::{DeviceId, Failure, FailureKind};
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH};
use percent_encoding::utf8_percent_encode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ServiceConfig;
use super::methods::{API_VERSION, SEGMENT, token};
use crate::https::{Ask, CONTINUATION, Exchange, Reply};
use crate::limits;

/// All devices of a hub, by a right that every service has; reading the registry needs another one.
const ALL: &str = "SELECT * FROM devices";

/// Some devices of a hub.
#[derive(Debug, Clone)]
pub struct TwinPage {
    /// In the hub's order.
    pub devices: Vec<TwinSummary>,
    /// Continuation of the next page, if there is one.
    pub continuation: Option<String>,
}

/// The summary of a device in a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinSummary {
    /// Its id.
    pub device_id: String,
    /// `enabled` or `disabled`.
    #[serde(default)]
    pub status: String,
    /// `Connected` or `Disconnected`.
    #[serde(default)]
    pub connection_state: String,
    /// Time of its last activity; the year 1 if there was none.
    #[serde(default)]
    pub last_activity_time: String,
}

#[derive(Serialize)]
struct Patch<'a> {
    properties: Properties<'a>,
}

#[derive(Serialize)]
struct Properties<'a> {
    desired: &'a RawValue,
}

#[derive(Serialize)]
struct Query {
    query: &'static str,
}

pub(super) async fn get(
    exchange: &Exchange,
    config: &ServiceConfig,
    device: &DeviceId,
) -> Result<Box<RawValue>, Failure> {
    let ask = Ask {
        method: Method::GET,
        path: path(device),
        token: Some(token(config)?),
        body: bytes::Bytes::new(),
        repeatable: true,
    };
    read(&exchange.ask(&ask).await?)
}

pub(super) async fn set_desired(
    exchange: &Exchange,
    config: &ServiceConfig,
    device: &DeviceId,
    patch: &RawValue,
) -> Result<Box<RawValue>, Failure> {
    let patch = Patch {
        properties: Properties { desired: patch },
    };
    let ask = Ask {
        method: Method::PATCH,
        path: path(device),
        token: Some(token(config)?),
        body: json(&patch)?,
        // The same values once more.
        repeatable: true,
    };
    let mut headers = HeaderMap::new();
    // Regardless of the twin's version.
    headers.insert(IF_MATCH, HeaderValue::from_static("\"*\""));
    read(&exchange.ask_with(&ask, headers).await?)
}

pub(super) async fn list(
    exchange: &Exchange,
    config: &ServiceConfig,
    continuation: Option<&str>,
) -> Result<TwinPage, Failure> {
    let ask = Ask {
        method: Method::POST,
        path: format!("/devices/query?{API_VERSION}"),
        token: Some(token(config)?),
        body: json(&Query { query: ALL })?,
        repeatable: true,
    };
    let mut headers = HeaderMap::new();
    headers.insert(
        HeaderName::from_static("x-ms-max-item-count"),
        HeaderValue::from(limits::TWIN_PAGE),
    );
    if let Some(continuation) = continuation {
        let value = HeaderValue::from_str(continuation)
            .map_err(|_| senseless("a page's continuation is not text"))?;
        headers.insert(HeaderName::from_static(CONTINUATION), value);
    }
    let reply = exchange.ask_with(&ask, headers).await?;
    Ok(TwinPage {
        devices: read(&reply)?,
        continuation: reply.continuation.filter(|text| !text.is_empty()),
    })
}

fn path(device: &DeviceId) -> String {
    let device = utf8_percent_encode(device.as_str(), SEGMENT);
    format!("/twins/{device}?{API_VERSION}")
}

fn json(body: &impl Serialize) -> Result<bytes::Bytes, Failure> {
    serde_json::to_vec(body)
        .map(Into::into)
        .map_err(|error| Failure::local(FailureKind::InvalidRequest, &error.to_string()))
}

fn read<T: for<'a> Deserialize<'a>>(reply: &Reply) -> Result<T, Failure> {
    if reply.status != 200 {
        let body = String::from_utf8_lossy(&reply.body);
        let code = reply.error_code.as_deref();
        return Err(Failure::from_http(
            reply.status,
            code,
            &body,
            reply.retry_after_s,
        ));
    }
    serde_json::from_slice(&reply.body).map_err(|error| {
        // Only the place: the message would quote the twin.
        let (line, column) = (error.line(), error.column());
        senseless(&format!("line {line}, column {column}"))
    })
}

fn senseless(what: &str) -> Failure {
    let text = format!("the hub's answer about twins makes no sense: {what}");
    Failure::local(FailureKind::ServerError, &text)
}
