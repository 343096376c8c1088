//! Modules of devices, one by one and as a list.

use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::random;
use drawspan_hub::{DeviceId, ErrorCode, ModuleId};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::registry::{Change, IfMatch, RegistryError};
use serde::Deserialize;

use super::body;
use super::caller::Caller;
use super::devices::{IdPath, id_of, if_match, path_of};
use super::module_wire::{ModuleAnswer, ModuleBody, module_id};
use super::refusal::Refusal;
use super::throttling::registry_turn;
use super::wire::{device_id, invalid};

/// The ids in an address.
#[derive(Deserialize)]
pub(super) struct Ids {
    id: String,
    /// Absent where a device is meant.
    module: Option<String>,
}

pub(super) type ClientPath = Result<Path<Ids>, PathRejection>;

/// `GET /devices/{id}/modules`
pub(super) async fn list(caller: Caller, path: IdPath) -> Result<Response, Refusal> {
    let id = id_of(path)?;
    let path = format!("{}/modules", path_of(&id));
    let hub = caller.hub(&[Right::RegistryRead], &path)?;
    registry_turn(hub, 1).await?;
    let modules: Vec<ModuleAnswer> = {
        let registry = hub.registry();
        registry.modules_of(&id)?.map(ModuleAnswer::of).collect()
    };
    Ok(body::write(StatusCode::OK, &modules))
}

/// `GET /devices/{id}/modules/{module}`
pub(super) async fn read(caller: Caller, path: ClientPath) -> Result<Response, Refusal> {
    let (device, id) = ids(path)?;
    let hub = caller.hub(&[Right::RegistryRead], &path_of_module(&device, &id))?;
    registry_turn(hub, 1).await?;
    let found = {
        let registry = hub.registry();
        let client = ClientId::of_module(&device, &id);
        let found = registry.module(&device, &id).map(ModuleAnswer::of);
        found.ok_or_else(|| not_found(registry.get(&device).is_some(), &client))?
    };
    Ok(answer(&found))
}

/// `PUT /devices/{id}/modules/{module}`: creates; with `If-Match`, updates.
pub(super) async fn write(
    caller: Caller,
    path: ClientPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (device, id) = ids(path)?;
    let hub = caller.hub(&[Right::RegistryWrite], &path_of_module(&device, &id))?;
    let description: ModuleBody = body::read(body).await?;
    if !description.is_of(&device, &id) {
        return Err(invalid(
            "deviceId or moduleId in the body is not the one in the address",
        ));
    }
    let if_match = if_match(&headers);
    let spec = description.into_spec(device, id)?;
    registry_turn(hub, 1).await?;
    let now = hub.now_unix_ms();
    let fresh = random::fresh(now)?;
    let result = hub
        .change(|registry| {
            let result = match &if_match {
                Some(if_match) => registry.update_module(spec, if_match, fresh),
                None => registry.create_module(spec, fresh),
            };
            let change = result
                .iter()
                .map(|entry| Change::PutModule(entry.module.clone()));
            let change = change.collect();
            (result, change)
        })
        .await?;
    let entry = result.map_err(|error| refused(hub, error))?;
    Ok(answer(&ModuleAnswer::of(&entry)))
}

/// `DELETE /devices/{id}/modules/{module}`
pub(super) async fn delete(
    caller: Caller,
    path: ClientPath,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (device, id) = ids(path)?;
    let hub = caller.hub(&[Right::RegistryWrite], &path_of_module(&device, &id))?;
    // The REST reference does not require the header; without it nothing is compared.
    let if_match = if_match(&headers).unwrap_or(IfMatch::Any);
    registry_turn(hub, 1).await?;
    let result = hub
        .change(|registry| {
            let result = registry.delete_module(&device, &id, &if_match);
            let change = Change::DeleteModule(device.clone(), id.clone());
            let change = result.iter().map(|()| change.clone()).collect();
            (result, change)
        })
        .await?;
    result?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The client that an address names.
pub(super) fn client_of(path: ClientPath) -> Result<ClientId, Refusal> {
    let Path(Ids { id, module }) =
        path.map_err(|error| Refusal::new(ErrorCode::ARGUMENT_INVALID, error.to_string()))?;
    Ok(ClientId {
        device: device_id(&id)?,
        module: module.as_deref().map(module_id).transpose()?,
    })
}

fn ids(path: ClientPath) -> Result<(DeviceId, ModuleId), Refusal> {
    let client = client_of(path)?;
    let module = client
        .module
        .ok_or_else(|| invalid("there is no module in the address"))?;
    Ok((client.device, module))
}

fn path_of_module(device: &DeviceId, id: &ModuleId) -> String {
    ClientId::of_module(device, id).path()
}

fn not_found(has_device: bool, client: &ClientId) -> RegistryError {
    match has_device {
        true => RegistryError::not_found(client),
        false => RegistryError::NotFound(client.device.clone()),
    }
}

/// The registry does not know the hub's name, which is in the text that real hubs have.
fn refused(hub: &Hub, error: RegistryError) -> Refusal {
    match &error {
        RegistryError::ModuleAlreadyExists(device, id) => {
            let hub = hub.host().hub_name();
            let text = format!("Device {device} in IotHub {hub} already contains Module {id}.");
            Refusal::new(error.code(), text)
        }
        RegistryError::OfEdge(_) => Refusal::not_yet(&error.to_string()),
        _ => error.into(),
    }
}

fn answer(module: &ModuleAnswer) -> Response {
    let mut response = body::write(StatusCode::OK, module);
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", module.etag())) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}
