//! Twins, as services see them.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::modules::ModuleEntry;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::registry::{Entry, IfMatch, Registry, RegistryError};
use drawspan_hub_model::throttle::OperationClass;
use drawspan_hub_model::twin::{Twin, TwinError, TwinUpdate, parse_patch};
use drawspan_hub_model::twins::TwinFailure;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body;
use super::caller::Caller;
use super::devices::if_match;
use super::module_wire::ModuleAnswer;
use super::modules::{ClientPath, client_of};
use super::refusal::Refusal;
use super::throttling::{charge_answer, turn};
use super::wire::DeviceAnswer;

/// Who has a twin.
enum Owner {
    Device(Entry),
    Module(ModuleEntry),
}

/// `GET /twins/{id}[/modules/{module}]`
pub(super) async fn read(caller: Caller, path: ClientPath) -> Result<Response, Refusal> {
    let client = client_of(path)?;
    let hub = caller.hub(&[Right::ServiceConnect], &path_of(&client))?;
    // What is read is counted when its size is known.
    turn(hub, Some(&client), OperationClass::TwinReads, 1, []).await?;
    let owner = Owner::of(&hub.registry(), &client)?;
    let answer = owner.answer(hub);
    charge_answer(hub, &answer);
    Ok(answer)
}

/// `PATCH` merges; `PUT` replaces tags and desired properties.
pub(super) async fn write(
    caller: Caller,
    method: Method,
    path: ClientPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let client = client_of(path)?;
    let hub = caller.hub(&[Right::ServiceConnect], &path_of(&client))?;
    let body: Box<RawValue> = body::read(body).await?;
    let object = parse_patch(body.get().as_bytes())?;
    let update = TwinUpdate::from_json(object, method == Method::PUT)?;
    // The REST reference does not require the header; without it nothing is compared.
    let if_match = if_match(&headers).unwrap_or(IfMatch::Any);
    let size = body.get().len();
    turn(hub, Some(&client), OperationClass::TwinUpdates, 1, [size]).await?;
    let now = hub.now_unix_ms();
    let result = hub
        .change(
            |registry| match registry.update_twin(&client, &update, &if_match, now) {
                Ok(change) => (Ok(Owner::of(registry, &client)), vec![change]),
                Err(error) => (Err(error), Vec::new()),
            },
        )
        .await?;
    Ok(result??.answer(hub))
}

/// The path that a token must cover for a client's twin.
pub(super) fn path_of(client: &ClientId) -> String {
    let ClientId { device, module } = client;
    match module {
        None => format!("/twins/{device}"),
        Some(module) => format!("/twins/{device}/modules/{module}"),
    }
}

impl Owner {
    fn of(registry: &Registry, client: &ClientId) -> Result<Self, RegistryError> {
        let device = registry.get(&client.device);
        let device = device.ok_or_else(|| RegistryError::NotFound(client.device.clone()))?;
        let Some(module) = &client.module else {
            return Ok(Self::Device(device.clone()));
        };
        let module = registry.module(&client.device, module).cloned();
        let module = module.ok_or_else(|| RegistryError::not_found(client));
        module.map(Self::Module)
    }

    fn answer(&self, hub: &Hub) -> Response {
        let (description, twin) = match self {
            Self::Device(entry) => (describe(hub, entry), entry.twin()),
            Self::Module(entry) => (describe_module(entry), entry.twin()),
        };
        let mut response = body::write(StatusCode::OK, &description);
        if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", twin.etag())) {
            response.headers_mut().insert(header::ETAG, etag);
        }
        response
    }
}

/// A device's twin, with what the registry says of the device.
pub(super) fn describe(hub: &Hub, entry: &Entry) -> Value {
    let device = DeviceAnswer::of(entry, hub.message_count(&entry.device.id));
    let model = entry.model_id.as_deref();
    with_own(device.in_twin(), &entry.twin(), model)
}

/// A module's twin, with what the registry says of the module.
pub(super) fn describe_module(entry: &ModuleEntry) -> Value {
    let model = entry.model_id.as_deref();
    with_own(ModuleAnswer::of(entry).in_twin(), &entry.twin(), model)
}

/// A twin's own members, added to those of its owner.
fn with_own(mut description: Value, twin: &Twin, model: Option<&str>) -> Value {
    let own = json!({
        "etag": twin.etag(),
        "version": twin.version,
        "modelId": model.unwrap_or_default(),
        "tags": twin.tags,
        "properties": {
            "desired": twin.desired.for_service(true),
            "reported": twin.reported.for_service(false),
        },
    });
    if let (Value::Object(description), Value::Object(own)) = (&mut description, own) {
        description.extend(own);
    }
    description
}

impl From<TwinError> for Refusal {
    fn from(error: TwinError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<TwinFailure> for Refusal {
    fn from(error: TwinFailure) -> Self {
        let message = match &error {
            TwinFailure::Registry(RegistryError::PreconditionFailed { existing }) => {
                format!("Twin version did not match, existing ETag is {existing}")
            }
            error => error.to_string(),
        };
        Self::new(error.code(), message)
    }
}
