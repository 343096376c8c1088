//! A client of a hub: a device, or a module of one.

use std::fmt;

use drawspan_hub::{DeviceId, ModuleId};

/// The name by which a client connects. Cheap to clone. In order, a device comes before its modules, and these before the next device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    /// The device.
    pub device: DeviceId,
    /// Its module; `None` for the device itself.
    pub module: Option<ModuleId>,
}

impl ClientId {
    /// A module of a device.
    pub fn of_module(device: &DeviceId, module: &ModuleId) -> Self {
        Self {
            device: device.clone(),
            module: Some(module.clone()),
        }
    }

    /// Whether what becomes of this client becomes of `other` as well: it is the same one, or a module of this device.
    pub fn covers(&self, other: &Self) -> bool {
        self.device == other.device && (self.module.is_none() || self.module == other.module)
    }

    /// Its path at the hub, as tokens name it, with ids as they are: `/devices/{id}` or `/devices/{id}/modules/{id}`.
    pub fn path(&self) -> String {
        let Self { device, module } = self;
        match module {
            None => format!("/devices/{device}"),
            Some(module) => format!("/devices/{device}/modules/{module}"),
        }
    }

    /// What kind of client it is and its name, for logs: `device d`, or `module m of device d`.
    pub fn described(&self) -> String {
        let Self { device, module } = self;
        match module {
            None => format!("device {device}"),
            Some(module) => format!("module {module} of device {device}"),
        }
    }
}

impl From<DeviceId> for ClientId {
    fn from(device: DeviceId) -> Self {
        Self {
            device,
            module: None,
        }
    }
}

impl From<&DeviceId> for ClientId {
    fn from(device: &DeviceId) -> Self {
        device.clone().into()
    }
}

/// As MQTT clients name themselves: `device`, or `device/module`. No id contains a slash.
impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.module {
            None => self.device.fmt(f),
            Some(module) => write!(f, "{}/{module}", self.device),
        }
    }
}
