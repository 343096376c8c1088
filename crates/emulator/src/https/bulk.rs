//! Many devices in one call: each succeeds or fails by itself.

use std::collections::HashSet;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use drawspan_emulator_hub::random;
use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_hub_model::bulk::{BulkOperation, IdentityOperation};
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::registry::IfMatch;
use drawspan_hub_model::twins::TwinFailure;
use serde::Serialize;

use super::body;
use super::caller::Caller;
use super::refusal::{ERROR_CODE_HEADER, Refusal};
use super::wire::{DeviceBody, device_id, invalid};

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
                let id = operation.identity.device_id().to_string();
                match operation.run(registry, now) {
                    Ok(done) => changes.extend(done),
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
) -> Result<Vec<BulkOperation>, Refusal> {
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
            operation(item, id, now_unix_ms)
        })
        .collect()
}

fn operation(item: DeviceBody, id: DeviceId, now_unix_ms: u64) -> Result<BulkOperation, Refusal> {
    let mode = item.import_mode.clone();
    let mode = mode.as_deref().unwrap_or("createOrUpdate");
    let etag = |etag: &Option<String>| {
        let etag = etag.as_deref().filter(|etag| !etag.is_empty());
        etag.map(IfMatch::parse_member)
    };
    let needed = |found: Option<IfMatch>, name: &str| {
        found.ok_or_else(|| invalid(&format!("{mode} needs {name}")))
    };
    let (device_etag, twin_etag) = (etag(&item.etag), etag(&item.twin_etag));
    let twin = item.twin()?;
    let any_twin = twin_etag.clone().unwrap_or(IfMatch::Any);
    let with_twin = |identity| BulkOperation {
        identity,
        twin: twin.clone().map(|update| (update, any_twin.clone())),
    };
    let without_twin = |identity| BulkOperation {
        identity,
        twin: None,
    };
    let fresh = random::fresh(now_unix_ms)?;
    use IdentityOperation as Identity;
    Ok(match mode.to_ascii_lowercase().as_str() {
        "create" => with_twin(Identity::Create(item.into_spec(id)?, fresh)),
        "createorupdate" => with_twin(Identity::CreateOrUpdate(
            item.into_spec(id)?,
            IfMatch::Any,
            fresh,
        )),
        "createorupdateifmatchetag" => {
            let etag = device_etag.unwrap_or(IfMatch::Any);
            with_twin(Identity::CreateOrUpdate(item.into_spec(id)?, etag, fresh))
        }
        "update" => with_twin(Identity::Update(item.into_spec(id)?, IfMatch::Any, fresh)),
        "updateifmatchetag" => {
            let etag = needed(device_etag, "an eTag")?;
            with_twin(Identity::Update(item.into_spec(id)?, etag, fresh))
        }
        "delete" => without_twin(Identity::Delete(id, IfMatch::Any)),
        "deleteifmatchetag" => without_twin(Identity::Delete(id, needed(device_etag, "an eTag")?)),
        "updatetwin" => BulkOperation {
            identity: Identity::Keep(id),
            twin: Some((twin.unwrap_or_default(), IfMatch::Any)),
        },
        "updatetwinifmatchetag" => BulkOperation {
            identity: Identity::Keep(id),
            twin: Some((twin.unwrap_or_default(), needed(twin_etag, "a twinETag")?)),
        },
        _ => return Err(invalid(&format!("importMode {mode} is unknown"))),
    })
}

impl ItemError {
    fn new(device_id: String, error: &TwinFailure) -> Self {
        let error_code = error.code().name().unwrap_or_default();
        Self {
            device_id,
            error_code,
            error_status: error.to_string(),
        }
    }
}
