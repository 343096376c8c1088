//! Many devices in one call: each succeeds or fails by itself.

use std::collections::HashSet;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use drawspan_emulator_hub::random;
use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_hub_model::device::{DeviceSpec, Fresh};
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::registry::{Change, IfMatch, Registry, RegistryError};
use serde::Serialize;

use super::body;
use super::caller::Caller;
use super::refusal::{ERROR_CODE_HEADER, Refusal};
use super::wire::{DeviceBody, device_id, invalid};

/// The operation for one device.
enum Operation {
    Create(DeviceSpec, Fresh),
    Update(DeviceSpec, IfMatch, Fresh),
    CreateOrUpdate(DeviceSpec, Fresh),
    Delete(DeviceId, IfMatch),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BulkAnswer {
    is_successful: bool,
    errors: Vec<ItemError>,
    warnings: [(); 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemError {
    device_id: String,
    error_code: &'static str,
    error_status: String,
}

/// `POST /devices`
pub(super) async fn apply(caller: Caller, body: Body) -> Result<Response, Refusal> {
    let hub = caller.hub(&[Right::RegistryWrite], "/devices")?;
    let items: Vec<DeviceBody> = body::read(body).await?;
    let now = hub.now_unix_ms();
    let operations = operations(items, hub.limits().bulk_devices, now)?;
    let errors = hub
        .change(|registry| {
            let (mut changes, mut errors) = (Vec::new(), Vec::new());
            for operation in operations {
                let id = operation.device_id().to_string();
                match operation.run(registry, now) {
                    Ok(change) => changes.push(change),
                    Err(error) => errors.push(ItemError::new(id, &error)),
                }
            }
            (errors, changes)
        })
        .await?;
    Ok(answer(errors))
}

fn answer(errors: Vec<ItemError>) -> Response {
    let is_successful = errors.is_empty();
    let answer = BulkAnswer {
        is_successful,
        errors,
        warnings: [],
    };
    if is_successful {
        return body::write(StatusCode::OK, &answer);
    }
    let mut response = body::write(StatusCode::BAD_REQUEST, &answer);
    let name = ErrorCode::BULK_REGISTRY_OPERATION_FAILURE
        .name()
        .unwrap_or_default();
    response
        .headers_mut()
        .insert(ERROR_CODE_HEADER, HeaderValue::from_static(name));
    response
}

fn operations(
    items: Vec<DeviceBody>,
    most: usize,
    now_unix_ms: u64,
) -> Result<Vec<Operation>, Refusal> {
    if items.is_empty() {
        return Err(invalid("the list of devices is empty"));
    }
    if items.len() > most {
        let message = format!(
            "{} devices in one call, at most {most} are allowed",
            items.len()
        );
        return Err(Refusal::new(ErrorCode::TOO_MANY_DEVICES, message));
    }
    let mut seen = HashSet::new();
    items
        .into_iter()
        .map(|item| {
            let id = device_id(item.device_id.as_deref().unwrap_or_default())?;
            if !seen.insert(id.clone()) {
                let message = format!("Device {id} is in the list more than once");
                return Err(Refusal::new(
                    ErrorCode::DEVICE_DEFINED_MULTIPLE_TIMES,
                    message,
                ));
            }
            Operation::new(item, id, now_unix_ms)
        })
        .collect()
}

impl Operation {
    fn new(item: DeviceBody, id: DeviceId, now_unix_ms: u64) -> Result<Self, Refusal> {
        let mode = item
            .import_mode
            .clone()
            .unwrap_or_else(|| "createOrUpdate".to_owned());
        let etag = item
            .etag
            .as_deref()
            .filter(|etag| !etag.is_empty())
            .map(IfMatch::parse_member);
        let if_etag = || {
            etag.clone()
                .ok_or_else(|| invalid(&format!("{mode} needs an eTag")))
        };
        let fresh = random::fresh(now_unix_ms)?;
        match mode.to_ascii_lowercase().as_str() {
            "create" => Ok(Self::Create(item.into_spec(id)?, fresh)),
            "createorupdate" => Ok(Self::CreateOrUpdate(item.into_spec(id)?, fresh)),
            "update" => Ok(Self::Update(item.into_spec(id)?, IfMatch::Any, fresh)),
            "updateifmatchetag" => Ok(Self::Update(item.into_spec(id)?, if_etag()?, fresh)),
            "delete" => Ok(Self::Delete(id, IfMatch::Any)),
            "deleteifmatchetag" => Ok(Self::Delete(id, if_etag()?)),
            _ => Err(invalid(&format!(
                "importMode {mode} is unknown, or this emulator does not serve it yet"
            ))),
        }
    }

    fn device_id(&self) -> &DeviceId {
        match self {
            Self::Create(spec, _) | Self::Update(spec, ..) | Self::CreateOrUpdate(spec, _) => {
                &spec.id
            }
            Self::Delete(id, _) => id,
        }
    }

    fn run(self, registry: &mut Registry, now_unix_ms: u64) -> Result<Change, RegistryError> {
        let entry = match self {
            Self::Create(spec, fresh) => registry.create(spec, fresh, now_unix_ms)?,
            Self::Update(spec, if_match, fresh) => {
                registry.update(spec, &if_match, fresh, now_unix_ms)?
            }
            Self::CreateOrUpdate(spec, fresh) if registry.get(&spec.id).is_some() => {
                registry.update(spec, &IfMatch::Any, fresh, now_unix_ms)?
            }
            Self::CreateOrUpdate(spec, fresh) => registry.create(spec, fresh, now_unix_ms)?,
            Self::Delete(id, if_match) => {
                registry.delete(&id, &if_match)?;
                return Ok(Change::Delete(id));
            }
        };
        Ok(Change::Put(entry.device))
    }
}

impl ItemError {
    fn new(device_id: String, error: &RegistryError) -> Self {
        let error_code = error.code().name().unwrap_or_default();
        Self {
            device_id,
            error_code,
            error_status: error.to_string(),
        }
    }
}
