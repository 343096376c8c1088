//! Many devices and modules in one call: each succeeds or fails by itself.

use std::collections::HashSet;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use drawspan_emulator_hub::random;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::bulk::{BulkOperation, IdentityOperation, Spec};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::registry::IfMatch;
use drawspan_hub_model::twins::TwinFailure;
use serde::Serialize;

use super::body;
use super::caller::Caller;
use super::module_wire::module_id;
use super::refusal::{ERROR_CODE_HEADER, Refusal};
use super::throttling::registry_turn;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    module_id: Option<String>,
    error_code: &'static str,
    error_status: String,
}

/// `POST /devices`
pub(super) async fn apply(caller: Caller, body: Body) -> Result<Response, Refusal> {
    let hub = caller.hub(&[Right::RegistryWrite], "/devices")?;
    let items: Vec<DeviceBody> = body::read(body).await?;
    let most = hub.limits().bulk_devices;
    let operations = operations(items, most, hub.now_unix_ms())?;
    registry_turn(hub, operations.len()).await?;
    let now = hub.now_unix_ms();
    let errors = hub
        .change(|registry| {
            let (mut changes, mut errors) = (Vec::new(), Vec::new());
            for operation in operations {
                let client = operation.identity.client();
                match operation.run(registry, now) {
                    Ok(done) => changes.extend(done),
                    Err(error) => errors.push(ItemError::new(&client, &error)),
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
            let client = ClientId {
                device: device_id(item.device_id.as_deref().unwrap_or_default())?,
                module: item.module_id.as_deref().map(module_id).transpose()?,
            };
            if !seen.insert(client.clone()) {
                let message = format!("Device {client} is in the list more than once");
                return Err(Refusal::new(
                    ErrorCode::DEVICE_DEFINED_MULTIPLE_TIMES,
                    message,
                ));
            }
            operation(item, client, now_unix_ms)
        })
        .collect()
}

fn operation(
    item: DeviceBody,
    client: ClientId,
    now_unix_ms: u64,
) -> Result<BulkOperation, Refusal> {
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
        "create" => with_twin(Identity::Create(spec(item, client)?, fresh)),
        "createorupdate" => with_twin(Identity::CreateOrUpdate(
            spec(item, client)?,
            IfMatch::Any,
            fresh,
        )),
        "createorupdateifmatchetag" => {
            let etag = device_etag.unwrap_or(IfMatch::Any);
            with_twin(Identity::CreateOrUpdate(spec(item, client)?, etag, fresh))
        }
        "update" => with_twin(Identity::Update(spec(item, client)?, IfMatch::Any, fresh)),
        "updateifmatchetag" => {
            let etag = needed(device_etag, "an eTag")?;
            with_twin(Identity::Update(spec(item, client)?, etag, fresh))
        }
        "delete" => without_twin(Identity::Delete(client, IfMatch::Any)),
        "deleteifmatchetag" => {
            without_twin(Identity::Delete(client, needed(device_etag, "an eTag")?))
        }
        "updatetwin" => BulkOperation {
            identity: Identity::Keep(client),
            twin: Some((twin.unwrap_or_default(), IfMatch::Any)),
        },
        "updatetwinifmatchetag" => BulkOperation {
            identity: Identity::Keep(client),
            twin: Some((twin.unwrap_or_default(), needed(twin_etag, "a twinETag")?)),
        },
        _ => return Err(invalid(&format!("importMode {mode} is unknown"))),
    })
}

fn spec(item: DeviceBody, client: ClientId) -> Result<Spec, Refusal> {
    let ClientId { device, module } = client;
    Ok(match module {
        None => item.into_spec(device)?.into(),
        Some(module) => item.into_module(device, module)?.into(),
    })
}

impl ItemError {
    fn new(client: &ClientId, error: &TwinFailure) -> Self {
        Self {
            device_id: client.device.to_string(),
            module_id: client.module.as_ref().map(ToString::to_string),
            error_code: error.code().name().unwrap_or_default(),
            error_status: error.to_string(),
        }
    }
}
