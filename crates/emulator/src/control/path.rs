//! Names in addresses: devices and hubs, as the client writes and the API reads them.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub::DeviceId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::problem::Problem;
use crate::https::{Shared, query};

/// What stays as it is in a segment and in a value (RFC 3986, unreserved).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A name as a segment of a path or a value of a query.
pub(super) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, ENCODED).to_string()
}

/// The name that is the last parameter of a path.
#[derive(Debug)]
pub(super) struct Name(pub(super) String);

/// The device that a path names.
#[derive(Debug)]
pub(super) struct Device(pub(super) DeviceId);

/// The hubs that `?hub=NAME` means: one, or all of them without it.
#[derive(Debug)]
pub(super) struct Hubs(pub(super) Vec<Arc<Hub>>);

/// The device that `?device=ID` means, if it is there.
#[derive(Debug)]
pub(super) struct OneDevice(pub(super) Option<DeviceId>);

impl FromRequestParts<Shared> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let name: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, shared).await;
        let Path(name) = name.map_err(|error| Problem::invalid(error.to_string()))?;
        Ok(Self(name))
    }
}

impl FromRequestParts<Shared> for Device {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let Name(name) = Name::from_request_parts(parts, shared).await?;
        Ok(Self(device_id(&name)?))
    }
}

impl FromRequestParts<Shared> for Hubs {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let all = shared.hubs.hubs();
        let Some(name) = value(parts, "hub")? else {
            return Ok(Self(all.to_vec()));
        };
        Ok(Self(vec![hub(shared, &name)?]))
    }
}

impl FromRequestParts<Shared> for OneDevice {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let name = value(parts, "device")?;
        Ok(Self(name.map(|name| device_id(&name)).transpose()?))
    }
}

/// The hub of that name.
pub(super) fn hub(shared: &Shared, name: &str) -> Result<Arc<Hub>, Problem> {
    let found = shared.hubs.find(name).cloned();
    found.ok_or_else(|| {
        let names = shared.hubs.hubs().iter().map(|hub| hub.host().as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        Problem::not_found(format!("there is no hub `{name}`; there are: {names}"))
    })
}

/// The decoded value of a query parameter.
pub(super) fn value(parts: &Parts, name: &str) -> Result<Option<String>, Problem> {
    let Some(written) = query(&parts.uri, name) else {
        return Ok(None);
    };
    let decoded = percent_decode_str(written).decode_utf8();
    let decoded = decoded.map_err(|_| Problem::invalid(format!("`{name}` is not text")))?;
    Ok(Some(decoded.into_owned()))
}

fn device_id(name: &str) -> Result<DeviceId, Problem> {
    DeviceId::parse(name).map_err(|error| Problem::invalid(error.to_string()))
}
