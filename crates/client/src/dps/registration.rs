//! The requests of one registration.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use drawspan_hub::{DeviceId, Failure, FailureKind, RegistrationId, WhichKey};
use drawspan_net::ClientIdentity;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::value::RawValue;

use super::DpsConfig;
use crate::https::Ask;
use crate::limits;

/// The API version that all official SDKs but one use; the answers of later versions only have more fields.
const API_VERSION: &str = "api-version=2019-03-31";

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':');

/// A device to be registered: everything about it is checked.
pub(super) struct Registration<'a> {
    config: &'a DpsConfig,
    device: &'a DeviceId,
    which: WhichKey,
    /// The device's certificate, if that is what it proves itself by.
    identity: Option<ClientIdentity>,
    path: String,
    body: Bytes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    registration_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
}

impl<'a> Registration<'a> {
    pub(super) async fn new(
        config: &'a DpsConfig,
        device: &'a DeviceId,
        which: WhichKey,
        payload: Option<&str>,
    ) -> Result<Self, Failure> {
        let id = RegistrationId::parse(device.as_str()).map_err(|error| {
            invalid(&format!(
                "{device} cannot be registered at the provisioning service: {error}"
            ))
        })?;
        let path = format!(
            "/{}/registrations/{}",
            utf8_percent_encode(&config.id_scope, SEGMENT),
            utf8_percent_encode(id.as_str(), SEGMENT)
        );
        let body = body(&id, payload)?;
        let credentials = &config.credentials;
        let identity = match credentials.is_by_certificate() {
            true => Some(credentials.identity(device, device).await?),
            false => None,
        };
        Ok(Self {
            config,
            device,
            which,
            identity,
            path,
            body,
        })
    }

    pub(super) const fn identity(&self) -> Option<&ClientIdentity> {
        self.identity.as_ref()
    }

    pub(super) fn register(&self) -> Result<Ask, Failure> {
        Ok(Ask {
            method: Method::PUT,
            path: format!("{}/register?{API_VERSION}", self.path),
            token: self.token()?,
            body: self.body.clone(),
            repeatable: true,
        })
    }

    /// Asks what is known of the device, which changes nothing.
    pub(super) fn look_up(&self) -> Result<Ask, Failure> {
        Ok(Ask {
            method: Method::POST,
            path: format!("{}?{API_VERSION}", self.path),
            token: self.token()?,
            body: self.body.clone(),
            repeatable: true,
        })
    }

    pub(super) fn status(&self, operation: &str) -> Result<Ask, Failure> {
        let operation = utf8_percent_encode(operation, SEGMENT);
        Ok(Ask {
            method: Method::GET,
            path: format!("{}/operations/{operation}?{API_VERSION}", self.path),
            token: self.token()?,
            body: Bytes::new(),
            repeatable: true,
        })
    }

    /// Signed again each time, since keys may have changed. `None` with a certificate.
    fn token(&self) -> Result<Option<String>, Failure> {
        if self.identity.is_some() {
            return Ok(None);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let expiry = now.map_or(0, |now| now.as_secs()) + limits::TOKEN_LIFE_S;
        let credentials = &self.config.credentials;
        let token =
            credentials.registration_token(&self.config.id_scope, self.device, self.which, expiry);
        token.map(Some).ok_or_else(|| {
            let text = format!("there is no key for {} to register with", self.device);
            Failure::local(FailureKind::Unauthorized, &text)
        })
    }
}

fn body(id: &RegistrationId, payload: Option<&str>) -> Result<Bytes, Failure> {
    let payload = payload.map(serde_json::from_str::<&RawValue>).transpose();
    let payload = payload.map_err(|error| {
        // Only the place: the message would quote the payload.
        invalid(&format!(
            "the payload for the provisioning service is not JSON: line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    let body = Body {
        registration_id: id.as_str(),
        payload,
    };
    let body = serde_json::to_vec(&body).map_err(|error| invalid(&error.to_string()))?;
    if body.len() > limits::DPS_REQUEST_BYTES {
        return Err(invalid(&format!(
            "the payload for the provisioning service is too large: {} bytes with the rest, at most {} are allowed",
            body.len(),
            limits::DPS_REQUEST_BYTES
        )));
    }
    Ok(body.into())
}

fn invalid(text: &str) -> Failure {
    Failure::local(FailureKind::InvalidRequest, text)
}
