//! A direct method, as a service calls it over HTTPS.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use drawspan_hub::{DeviceId, Failure, FailureKind, WhichKey, text};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ServiceConfig;
use crate::https::{Ask, Reply};
use crate::limits;

pub(super) const API_VERSION: &str = "api-version=2021-04-12";

pub(super) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A call of a direct method.
#[derive(Debug, Clone)]
pub struct Call {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub method: String,
    /// The payload: JSON, at most 128 KB.
    pub payload: Option<Box<RawValue>>,
    /// How long the hub waits for the answer, in seconds: 5 to 300.
    pub response_timeout_s: u32,
    /// How long the hub waits for a device that is not connected, in seconds: 0 to 300.
    pub connect_timeout_s: u32,
}

/// A device's answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Called {
    /// The device's own word, not the hub's.
    pub status: i64,
    /// JSON.
    #[serde(default)]
    pub payload: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    method_name: &'a str,
    response_timeout_in_seconds: u32,
    connect_timeout_in_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
}

impl Call {
    pub(super) fn ask(&self, config: &ServiceConfig) -> Result<Ask, Failure> {
        let body = serde_json::to_vec(&Body {
            method_name: &self.method,
            response_timeout_in_seconds: self.response_timeout_s,
            connect_timeout_in_seconds: self.connect_timeout_s,
            payload: self.payload.as_deref(),
        });
        let body =
            body.map_err(|error| Failure::local(FailureKind::InvalidRequest, &error.to_string()))?;
        let device = utf8_percent_encode(self.device.as_str(), SEGMENT);
        Ok(Ask {
            method: Method::POST,
            path: format!("/twins/{device}/methods?{API_VERSION}"),
            token: Some(token(config)?),
            body: Bytes::from(body),
            // The device may have done it already.
            repeatable: false,
        })
    }
}

impl Called {
    pub(super) fn read(reply: &Reply) -> Result<Self, Failure> {
        if reply.status != 200 {
            let (code, body) = (reply.error_code.as_deref(), &reply.body);
            let body = String::from_utf8_lossy(body);
            return Err(Failure::from_http(
                reply.status,
                code,
                &body,
                reply.retry_after_s,
            ));
        }
        serde_json::from_slice(text::without_mark(&reply.body)).map_err(|error| {
            // Only the place: the message would quote the payload.
            let (line, column) = (error.line(), error.column());
            let text = format!(
                "the hub's answer to a direct method makes no sense (line {line}, column {column})"
            );
            Failure::local(FailureKind::ServerError, &text)
        })
    }
}

/// A policy's token for the whole hub, good for some time from now.
pub(super) fn token(config: &ServiceConfig) -> Result<String, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let expiry = now.map_or(0, |now| now.as_secs()) + limits::TOKEN_LIFE_S;
    let token = config
        .credentials
        .policy_token(&config.host, WhichKey::Primary, expiry);
    token.ok_or_else(|| {
        let text = "there is no policy key to sign with";
        Failure::local(FailureKind::Unauthorized, text)
    })
}
