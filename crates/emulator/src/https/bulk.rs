//! Many devices and modules in one call: each succeeds or fails by itself.

use std::collections::HashSet;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use drawspan_emulator_hub::random;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::device::{DeviceSpec, Fresh};
use drawspan_hub_model::module::ModuleSpec;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::registry::{Change, IfMatch, Registry, RegistryError};
use serde::Serialize;

use super::body;
use super::caller::Caller;
use super::module_wire::module_id;
use super::refusal::{ERROR_CODE_HEADER, Refusal};
use super::wire::{DeviceBody, device_id, invalid};

/// The operation for one device or module.
enum Operation {
    Create(Spec, Fresh),
    Update(Spec, IfMatch, Fresh),
    CreateOrUpdate(Spec, Fresh),
    Delete(ClientId, IfMatch),
}

enum Spec {
    Device(DeviceSpec),
    Module(ModuleSpec),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    module_id: Option<String>,
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
                let client = operation.client();
                match operation.run(registry, now) {
                    Ok(change) => changes.push(change),
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
            Operation::new(item, client, now_unix_ms)
        })
        .collect()
}

impl Operation {
    fn new(item: DeviceBody, client: ClientId, now_unix_ms: u64) -> Result<Self, Refusal> {
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
        let spec = |item: DeviceBody| Spec::new(item, client.clone());
        match mode.to_ascii_lowercase().as_str() {
            "create" => Ok(Self::Create(spec(item)?, fresh)),
            "createorupdate" => Ok(Self::CreateOrUpdate(spec(item)?, fresh)),
            "update" => Ok(Self::Update(spec(item)?, IfMatch::Any, fresh)),
            "updateifmatchetag" => Ok(Self::Update(spec(item)?, if_etag()?, fresh)),
            "delete" => Ok(Self::Delete(client, IfMatch::Any)),
            "deleteifmatchetag" => Ok(Self::Delete(client, if_etag()?)),
            _ => Err(invalid(&format!(
                "importMode {mode} is unknown, or this emulator does not serve it yet"
            ))),
        }
    }

    fn client(&self) -> ClientId {
        match self {
            Self::Create(spec, _) | Self::Update(spec, ..) | Self::CreateOrUpdate(spec, _) => {
                spec.client()
            }
            Self::Delete(client, _) => client.clone(),
        }
    }

    fn run(self, registry: &mut Registry, now_unix_ms: u64) -> Result<Change, RegistryError> {
        match self {
            Self::Create(spec, fresh) => spec.create(registry, fresh, now_unix_ms),
            Self::Update(spec, if_match, fresh) => {
                spec.update(registry, &if_match, fresh, now_unix_ms)
            }
            Self::CreateOrUpdate(spec, fresh)
                if registry.generation_id(&spec.client()).is_some() =>
            {
                spec.update(registry, &IfMatch::Any, fresh, now_unix_ms)
            }
            Self::CreateOrUpdate(spec, fresh) => spec.create(registry, fresh, now_unix_ms),
            Self::Delete(client, if_match) => {
                let ClientId { device, module } = client;
                Ok(match module {
                    None => {
                        registry.delete(&device, &if_match)?;
                        Change::Delete(device)
                    }
                    Some(module) => {
                        registry.delete_module(&device, &module, &if_match)?;
                        Change::DeleteModule(device, module)
                    }
                })
            }
        }
    }
}

impl Spec {
    fn new(item: DeviceBody, client: ClientId) -> Result<Self, Refusal> {
        match client.module {
            None => item.into_spec(client.device).map(Self::Device),
            Some(module) => item.into_module(client.device, module).map(Self::Module),
        }
    }

    fn client(&self) -> ClientId {
        match self {
            Self::Device(spec) => ClientId::from(&spec.id),
            Self::Module(spec) => ClientId::of_module(&spec.device, &spec.id),
        }
    }

    fn create(
        self,
        registry: &mut Registry,
        fresh: Fresh,
        now_unix_ms: u64,
    ) -> Result<Change, RegistryError> {
        Ok(match self {
            Self::Device(spec) => Change::Put(registry.create(spec, fresh, now_unix_ms)?.device),
            Self::Module(spec) => Change::PutModule(registry.create_module(spec, fresh)?.module),
        })
    }

    fn update(
        self,
        registry: &mut Registry,
        if_match: &IfMatch,
        fresh: Fresh,
        now_unix_ms: u64,
    ) -> Result<Change, RegistryError> {
        Ok(match self {
            Self::Device(spec) => {
                let entry = registry.update(spec, if_match, fresh, now_unix_ms)?;
                Change::Put(entry.device)
            }
            Self::Module(spec) => {
                let entry = registry.update_module(spec, if_match, fresh)?;
                Change::PutModule(entry.module)
            }
        })
    }
}

impl ItemError {
    fn new(client: &ClientId, error: &RegistryError) -> Self {
        Self {
            device_id: client.device.to_string(),
            module_id: client.module.as_ref().map(ToString::to_string),
            error_code: error.code().name().unwrap_or_default(),
            error_status: error.to_string(),
        }
    }
}
