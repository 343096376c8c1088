//! `disable` and `enable`: whether a device may connect, as the registry has it.

use axum::extract::State;
use axum::routing::on;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::random;
use drawspan_hub::DeviceId;
use drawspan_hub_model::device::{AuthenticationSpec, DeviceSpec, DeviceStatus};
use drawspan_hub_model::registry::{Change, IfMatch, RegistryError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::body::Json;
use crate::control::operation::{Method, Operation, Parameter, Shape};
use crate::control::path::{Device, Hubs, encoded};
use crate::control::problem::Problem;
use crate::control::verb::{Call, InvalidWords, Verb};
use crate::control::words;
use crate::https::Shared;

pub(super) const DISABLE: Verb = Verb {
    name: "disable",
    usages: &[(
        "disable ID [hub NAME]",
        "refuse a device, and end its connection",
    )],
    operations: &[Operation {
        method: Method::Post,
        path: "/emulator/devices/{id}/disable",
        about: "Disables a device in the registry, of every hub that has it.",
        query: HUB,
        body: None,
        answer: Shape::of::<DeviceStates>(),
        handler: |method| on(method, disable),
    }],
    parse: |words| parse("disable", words),
};

pub(super) const ENABLE: Verb = Verb {
    name: "enable",
    usages: &[("enable ID [hub NAME]", "let a disabled device connect")],
    operations: &[Operation {
        method: Method::Post,
        path: "/emulator/devices/{id}/enable",
        about: "Enables a device in the registry, of every hub that has it.",
        query: HUB,
        body: None,
        answer: Shape::of::<DeviceStates>(),
        handler: |method| on(method, enable),
    }],
    parse: |words| parse("enable", words),
};

const HUB: &[Parameter] = &[Parameter {
    name: "hub",
    about: "Name of the hub; without it, every hub that has the device.",
}];

/// A device's state at each hub that has it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeviceStates {
    device_id: String,
    hubs: Vec<DeviceState>,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct DeviceState {
    hub: String,
    /// `enabled` or `disabled`.
    status: String,
}

fn parse(name: &'static str, words: &[&str]) -> Result<Call, InvalidWords> {
    let (words, hub) = words::with_hub(words)?;
    let [id] = words else {
        return Err(InvalidWords::unknown(words));
    };
    let id = words::device(id)?;
    let target = format!("/emulator/devices/{}/{name}", encoded(id.as_str()));
    let target = words::at_hub(target, hub);
    Ok(Call::new(Method::Post, target, text))
}

fn text(states: &DeviceStates) -> String {
    let id = &states.device_id;
    let line = |it: &DeviceState| format!("{id} at {}: {}", it.hub, it.status);
    let lines: Vec<String> = states.hubs.iter().map(line).collect();
    lines.join("\n")
}

/// `POST /emulator/devices/{id}/disable`
async fn disable(
    State(_): State<Shared>,
    Device(id): Device,
    Hubs(hubs): Hubs,
) -> Result<Json<DeviceStates>, Problem> {
    set(&hubs, &id, DeviceStatus::Disabled).await.map(Json)
}

/// `POST /emulator/devices/{id}/enable`
async fn enable(
    State(_): State<Shared>,
    Device(id): Device,
    Hubs(hubs): Hubs,
) -> Result<Json<DeviceStates>, Problem> {
    set(&hubs, &id, DeviceStatus::Enabled).await.map(Json)
}

async fn set(
    hubs: &[std::sync::Arc<Hub>],
    id: &DeviceId,
    status: DeviceStatus,
) -> Result<DeviceStates, Problem> {
    let mut states = Vec::new();
    for hub in hubs {
        if set_at(hub, id, status).await? {
            states.push(DeviceState {
                hub: hub.host().to_string(),
                status: word(status).to_owned(),
            });
        }
    }
    if states.is_empty() {
        return Err(Problem::not_found(format!("there is no device `{id}`")));
    }
    Ok(DeviceStates {
        device_id: id.to_string(),
        hubs: states,
    })
}

/// Sets the status, all else stays. Says whether the hub has the device.
async fn set_at(hub: &Hub, id: &DeviceId, status: DeviceStatus) -> Result<bool, Problem> {
    let now = hub.now_unix_ms();
    let fresh = random::fresh(now)?;
    let set = hub.change(|registry| {
        let Some(device) = registry.get(id).map(|entry| entry.device.clone()) else {
            return (Ok(false), Vec::new());
        };
        let spec = DeviceSpec {
            id: id.clone(),
            status,
            status_reason: device.status_reason.clone(),
            authentication: AuthenticationSpec::Other(device.authentication.clone()),
            iot_edge: device.iot_edge,
        };
        match registry.update(spec, &IfMatch::Any, fresh, now) {
            Ok(entry) => (Ok(true), vec![Change::Put(entry.device)]),
            Err(error) => (Err(error), Vec::new()),
        }
    });
    let set: Result<bool, RegistryError> = set.await?;
    set.map_err(|error| Problem::conflict(error.to_string()))
}

const fn word(status: DeviceStatus) -> &'static str {
    match status {
        DeviceStatus::Enabled => "enabled",
        DeviceStatus::Disabled => "disabled",
    }
}
