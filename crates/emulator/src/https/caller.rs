//! The caller of a request: host, API version, and token or certificate.

use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Uri, header};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::hub_set::Served;
use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_hub_model::access::{Denied, Grant};
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::policy::Right;

use super::refusal::Refusal;
use super::request::{query, text};
use super::{ClientCertificate, Shared, Sni};
use crate::limits::AUTHORITY_CHARS;

/// A caller whose token is good. The hub is given out together with the check of what it is wanted for.
#[derive(Debug)]
pub(super) struct Caller {
    hub: Arc<Hub>,
    grant: Grant,
}

impl Caller {
    fn new(parts: &Parts, hub: Arc<Hub>) -> Result<Self, Refusal> {
        let token = text(&parts.headers, header::AUTHORIZATION.as_str()).ok_or(Denied::NoToken)?;
        let grant = hub.authenticate(token)?;
        Ok(Self { hub, grant })
    }

    /// What the caller's token is good for.
    pub(super) const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The hub, if the caller may use `path` (decoded) there with one of `rights`.
    pub(super) fn hub(&self, rights: &[Right], path: &str) -> Result<&Arc<Hub>, Refusal> {
        let mut result = Err(Denied::MissingRight);
        for right in rights {
            result = self.grant.allows(*right, self.hub.host(), path);
            if result.is_ok() {
                return Ok(&self.hub);
            }
        }
        result.map(|()| &self.hub).map_err(|reason| {
            self.hub.emit(HubEvent::AccessDenied {
                client: None,
                reason,
            });
            reason.into()
        })
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        let hub = hub_of(parts, shared)?;
        check_api_version(&parts.uri)?;
        Self::new(parts, hub)
    }
}

/// A caller that may be a device: it may name any version of the interface, or none, and prove itself by a certificate.
#[derive(Debug)]
pub(super) struct AnyVersion {
    hub: Arc<Hub>,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Token(Grant),
    /// Whose it is depends on the device that the request is of.
    Certificate(ClientCertificate),
}

impl AnyVersion {
    /// The caller of a request that is of `device`.
    pub(super) fn of(&self, device: &DeviceId) -> Result<Caller, Refusal> {
        let grant = match &self.proof {
            Proof::Token(grant) => grant.clone(),
            Proof::Certificate(ClientCertificate(presented)) => self
                .hub
                .authenticate_certificate(presented, &device.into())?,
        };
        let hub = Arc::clone(&self.hub);
        Ok(Caller { hub, grant })
    }

    /// The caller of a request that no device makes: one with a token.
    pub(super) fn with_token(self) -> Result<Caller, Refusal> {
        match self.proof {
            Proof::Token(grant) => Ok(Caller {
                hub: self.hub,
                grant,
            }),
            Proof::Certificate(_) => Err(Denied::NoToken.into()),
        }
    }
}

impl FromRequestParts<Shared> for AnyVersion {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        let hub = hub_of(parts, shared)?;
        let token = text(&parts.headers, header::AUTHORIZATION.as_str());
        let proof = match (token, parts.extensions.get::<ClientCertificate>()) {
            (None, Some(certificate)) => Proof::Certificate(certificate.clone()),
            (None, None) => return Err(Denied::NoToken.into()),
            (Some(token), _) => Proof::Token(hub.authenticate(token)?),
        };
        Ok(Self { hub, proof })
    }
}

/// Where a request was sent: host, and port unless it is the usual one.
#[derive(Debug)]
pub(super) struct Authority(pub(super) Option<String>);

impl<S: Sync> FromRequestParts<S> for Authority {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        let named = named(parts).filter(|named| {
            let is_short = (1..=AUTHORITY_CHARS).contains(&named.len());
            is_short && named.bytes().all(plain)
        });
        Ok(Self(named.map(str::to_owned)))
    }
}

fn named(parts: &Parts) -> Option<&str> {
    match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => text(&parts.headers, header::HOST.as_str()),
    }
}

/// The hub that a request is for.
pub(super) fn hub_of(parts: &Parts, shared: &Shared) -> Result<Arc<Hub>, Refusal> {
    let named = named(parts);
    let sni = parts
        .extensions
        .get::<Sni>()
        .and_then(|sni| sni.0.as_deref());
    match shared.hubs.select(named, sni) {
        Served::Hub(hub) if hub.is_failing_over() => Err(Refusal::new(
            ErrorCode::HUB_FAILING_OVER,
            "The hub is failing over to another region",
        )),
        Served::Hub(hub) => Ok(hub),
        Served::Dps => Err(Refusal::new(
            ErrorCode::GENERIC_NOT_FOUND,
            "This is the provisioning service: devices register at /{idScope}/registrations/{registrationId}/register",
        )),
        Served::Nothing => {
            let host = named.unwrap_or_default();
            Err(Refusal::new(
                ErrorCode::HUB_NOT_FOUND,
                format!("This emulator has no hub of the name '{host}'"),
            ))
        }
    }
}

/// Versions of the interface that a hub knows, as dates: the first that was published and the newest that is documented. In between
/// all are answered alike; a `-preview` may follow.
const API_VERSIONS: RangeInclusive<&str> = "2015-08-15"..="2021-04-12";

fn check_api_version(uri: &Uri) -> Result<(), Refusal> {
    let version = query(uri, "api-version").unwrap_or_default();
    if is_known(version.strip_suffix("-preview").unwrap_or(version)) {
        return Ok(());
    }
    let newest = API_VERSIONS.end();
    Err(Refusal::new(
        ErrorCode::INVALID_PROTOCOL_VERSION,
        format!("api-version '{version}' is not valid, use {newest}"),
    ))
}

/// Dates of this form compare as text.
fn is_known(date: &str) -> bool {
    let is_date = date.len() == "2021-04-12".len()
        && date.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_date && API_VERSIONS.contains(&date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_a_hub_knows_are_taken() {
        let checked = |version: &str| {
            let uri: Uri = format!("/devices?api-version={version}").parse().unwrap();
            check_api_version(&uri).is_ok()
        };
        for known in [
            "2016-11-14",
            "2018-06-30",
            "2021-04-12",
            "2020-05-31-preview",
        ] {
            assert!(checked(known), "{known}");
        }
        for unknown in [
            "",
            "1",
            "2021-04-13",
            "2099-01-01",
            "2021-04-1x",
            "2020-05-31-beta",
        ] {
            assert!(!checked(unknown), "{unknown}");
        }
    }
}
