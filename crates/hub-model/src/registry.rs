//! The identity registry of one hub.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use drawspan_hub::{DeviceId, ErrorCode, ModuleId};

use super::client_id::ClientId;
use super::device::{Device, DeviceSpec, DeviceStatus, Fresh};
use super::module::Module;
use super::modules::Modules;
use super::twin::Twin;
use crate::event::HubEvent;
use crate::limits::Limits;

/// All devices of a hub, by name, and their modules.
#[derive(Debug)]
pub struct Registry {
    /// Devices and modules together.
    devices_max: usize,
    /// Modules of one device.
    pub(super) modules_max: usize,
    pub(super) modules: Modules,
    pub(super) module_count: usize,
    /// Events since they were last taken.
    pub(super) events: Vec<HubEvent>,
    entries: BTreeMap<DeviceId, Entry>,
}

/// A device and what is known of its connection.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The identity.
    pub device: Arc<Device>,
    /// Whether and since when it is connected. Forgotten when the emulator stops.
    pub connection: Connection,
    /// The model that it said it follows when it last connected with one. Forgotten when the emulator stops.
    pub model_id: Option<Arc<str>>,
    pub(super) twin: Option<Arc<Twin>>,
}

/// The registry's view of a device's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Whether it is connected.
    pub connected: bool,
    /// When that last changed, Unix milliseconds; `None` if it never did.
    pub updated_unix_ms: Option<u64>,
    /// When the device last sent something, Unix milliseconds.
    pub last_activity_unix_ms: Option<u64>,
}

/// The version of a device that a caller requires (RFC 9110, If-Match).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Whichever there is.
    Any,
    /// The one with this ETag.
    Etag(String),
}

/// Changes for the store.
#[derive(Clone, Debug)]
pub enum Change {
    /// A device is new or different.
    Put(Arc<Device>),
    /// A device is gone, and its modules and all twins with it.
    Delete(DeviceId),
    /// A module is new or different.
    PutModule(Arc<Module>),
    /// A module is gone, and its twin with it.
    DeleteModule(DeviceId, ModuleId),
    /// A twin is different.
    Twin {
        /// Whose.
        client: ClientId,
        /// The twin after the change.
        twin: Arc<Twin>,
        /// The notification for the device if its desired properties changed: a JSON patch with `$version`.
        desired: Option<Bytes>,
    },
}

/// How many devices there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Devices that may connect.
    pub enabled: usize,
    /// Devices that may not.
    pub disabled: usize,
    /// Devices that are connected.
    pub connected: usize,
}

/// Why the registry refuses a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The name is taken.
    #[error("A device with ID '{0}' is already registered.")]
    AlreadyExists(DeviceId),
    /// The device does not exist.
    #[error("Device {0} not registered")]
    NotFound(DeviceId),
    /// The device is not the version that the caller means.
    #[error("Device version did not match, existing ETag is {existing}")]
    PreconditionFailed {
        /// The ETag that the device has.
        existing: String,
    },
    /// The hub is full.
    #[error("The hub has {most} devices and modules, and takes no more")]
    TooManyDevices {
        /// As many as it may have.
        most: usize,
    },
    /// The device has a module of that name already (the hub's text: Azure/iot-identity-service #663, where it names the hub, too).
    #[error("Device {0} already contains Module {1}.")]
    ModuleAlreadyExists(DeviceId, ModuleId),
    /// The module does not exist.
    #[error("Module {1} on Device {0} not registered")]
    ModuleNotFound(DeviceId, ModuleId),
    /// The device is full.
    #[error("The device has {most} modules, and takes no more")]
    TooManyModules {
        /// As many as it may have.
        most: usize,
    },
    /// The module would be one of IoT Edge.
    #[error("{0} is a module of IoT Edge, which this emulator does not serve")]
    OfEdge(ModuleId),
}

impl RegistryError {
    /// There is no such client.
    pub fn not_found(client: &ClientId) -> Self {
        let device = client.device.clone();
        match &client.module {
            None => Self::NotFound(device),
            Some(module) => Self::ModuleNotFound(device, module.clone()),
        }
    }

    /// The hub's code for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::AlreadyExists(_) => ErrorCode::DEVICE_ALREADY_EXISTS,
            Self::NotFound(_) => ErrorCode::DEVICE_NOT_FOUND,
            Self::PreconditionFailed { .. } => ErrorCode::PRECONDITION_FAILED,
            Self::TooManyDevices { .. } => ErrorCode::TOO_MANY_DEVICES,
            Self::ModuleAlreadyExists(..) => ErrorCode::MODULE_ALREADY_EXISTS_ON_DEVICE,
            Self::ModuleNotFound(..) => ErrorCode::MODULE_NOT_FOUND,
            Self::TooManyModules { .. } => ErrorCode::TOO_MANY_MODULES_ON_DEVICE,
            Self::OfEdge(_) => ErrorCode::INVALID_OPERATION,
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::from_stored(&Limits::default(), Vec::new(), Vec::new())
    }
}

impl Registry {
    /// A registry as it was stored, without modules. Twins of devices that there are not are left out.
    pub fn from_stored(
        limits: &Limits,
        devices: Vec<Device>,
        twins: Vec<(DeviceId, Twin)>,
    ) -> Self {
        let entry = |device: Device| (device.id.clone(), Entry::new(Arc::new(device)));
        let mut entries: BTreeMap<_, _> = devices.into_iter().map(entry).collect();
        for (id, twin) in twins {
            if let Some(entry) = entries.get_mut(&id) {
                entry.twin = Some(Arc::new(twin));
            }
        }
        Self {
            devices_max: limits.devices,
            modules_max: limits.modules,
            modules: Modules::new(),
            module_count: 0,
            events: Vec::new(),
            entries,
        }
    }

    /// A device, if there is one.
    pub fn get(&self, id: &DeviceId) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// The first `top` devices, by name.
    pub fn list(&self, top: usize) -> impl Iterator<Item = &Entry> {
        self.entries.values().take(top)
    }

    /// The first `top` devices behind `after`, by name.
    pub fn list_after(&self, after: &DeviceId, top: usize) -> impl Iterator<Item = &Entry> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        self.entries
            .range::<DeviceId, _>(behind)
            .map(|(_, entry)| entry)
            .take(top)
    }

    /// How many devices there are.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in self.entries.values() {
            match entry.device.status {
                DeviceStatus::Enabled => counts.enabled += 1,
                DeviceStatus::Disabled => counts.disabled += 1,
            }
            counts.connected += usize::from(entry.connection.connected);
        }
        counts
    }

    /// Registers a device that there is not yet.
    ///
    /// # Errors
    /// When the name is taken, or the hub is full.
    pub fn create(
        &mut self,
        spec: DeviceSpec,
        fresh: Fresh,
        now_unix_ms: u64,
    ) -> Result<Entry, RegistryError> {
        if self.entries.contains_key(&spec.id) {
            return Err(RegistryError::AlreadyExists(spec.id));
        }
        self.check_room()?;
        let entry = Entry::new(Arc::new(spec.into_device(None, fresh, now_unix_ms)));
        let device = entry.device.id.clone();
        self.entries.insert(device.clone(), entry.clone());
        if entry.device.status == DeviceStatus::Disabled {
            self.events.push(HubEvent::DeviceCreated {
                device: device.clone(),
            });
            self.events.push(HubEvent::DeviceDisabled { device });
        } else {
            self.events.push(HubEvent::DeviceCreated { device });
        }
        Ok(entry)
    }

    /// Replaces an existing device; its generation and its connection stay. Without keys in `spec` it gets new ones.
    ///
    /// # Errors
    /// When there is no such device, or not that version of it.
    pub fn update(
        &mut self,
        spec: DeviceSpec,
        if_match: &IfMatch,
        fresh: Fresh,
        now_unix_ms: u64,
    ) -> Result<Entry, RegistryError> {
        let entry = self.entry_mut(&spec.id)?;
        if_match.check(&entry.device.etag)?;
        let before = entry.device.status;
        entry.device = Arc::new(spec.into_device(Some(&entry.device), fresh, now_unix_ms));
        let entry = entry.clone();
        let device = entry.device.id.clone();
        self.events.push(HubEvent::DeviceUpdated {
            device: device.clone(),
        });
        match (before, entry.device.status) {
            (DeviceStatus::Disabled, DeviceStatus::Enabled) => {
                self.events.push(HubEvent::DeviceEnabled { device });
            }
            (DeviceStatus::Enabled, DeviceStatus::Disabled) => {
                self.events.push(HubEvent::DeviceDisabled { device });
            }
            _ => {}
        }
        Ok(entry)
    }

    /// Forgets a device and its modules.
    ///
    /// # Errors
    /// When there is no such device, or not that version of it.
    pub fn delete(&mut self, id: &DeviceId, if_match: &IfMatch) -> Result<(), RegistryError> {
        let Some(entry) = self.entries.get(id) else {
            return Err(RegistryError::NotFound(id.clone()));
        };
        if_match.check(&entry.device.etag)?;
        self.delete_modules_of(id);
        self.entries.remove(id);
        self.events
            .push(HubEvent::DeviceDeleted { device: id.clone() });
        Ok(())
    }

    /// Events since the last call, in order.
    pub fn take_events(&mut self) -> Vec<HubEvent> {
        std::mem::take(&mut self.events)
    }

    pub(super) fn entry_mut(&mut self, id: &DeviceId) -> Result<&mut Entry, RegistryError> {
        let found = self.entries.get_mut(id);
        found.ok_or_else(|| RegistryError::NotFound(id.clone()))
    }

    /// Whether one more device or module has room.
    pub(super) fn check_room(&self) -> Result<(), RegistryError> {
        let most = self.devices_max;
        match self.entries.len() + self.module_count < most {
            true => Ok(()),
            false => Err(RegistryError::TooManyDevices { most }),
        }
    }

    /// Takes note of a connection or its end. Says whether there is such a client.
    pub fn set_connected(&mut self, id: &ClientId, connected: bool, now_unix_ms: u64) -> bool {
        let Ok(live) = self.live_mut(id) else {
            return false;
        };
        if live.connection.connected != connected {
            live.connection.connected = connected;
            live.connection.updated_unix_ms = Some(now_unix_ms);
        }
        live.connection.last_activity_unix_ms = Some(now_unix_ms);
        true
    }

    /// Takes note of the model that a client follows. Nothing if there is no such client.
    pub fn set_model(&mut self, id: &ClientId, model: &str) {
        if let Ok(live) = self.live_mut(id) {
            *live.model_id = Some(model.into());
        }
    }

    /// Takes note that a client sent something.
    pub fn set_active(&mut self, id: &ClientId, now_unix_ms: u64) {
        if let Ok(live) = self.live_mut(id) {
            live.connection.last_activity_unix_ms = Some(now_unix_ms);
        }
    }
}

impl Entry {
    fn new(device: Arc<Device>) -> Self {
        Self {
            device,
            connection: Connection::default(),
            model_id: None,
            twin: None,
        }
    }

    /// The device's twin.
    pub fn twin(&self) -> Arc<Twin> {
        self.twin.clone().unwrap_or_default()
    }
}

impl IfMatch {
    /// Reads a header. An ETag without quotes is no condition, as at a hub (Azure/azure-iot-sdk-node #606, azure-iot-sdk-java
    /// #574).
    pub fn parse_header(header: &str) -> Self {
        let tag = header.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        let quoted = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        quoted.map_or(Self::Any, Self::parse_member)
    }

    /// Reads an ETag in a body, where it has no quotes.
    pub fn parse_member(tag: &str) -> Self {
        match tag.trim_matches('"') {
            "*" => Self::Any,
            tag => Self::Etag(tag.to_owned()),
        }
    }

    pub(super) fn check(&self, existing: &str) -> Result<(), RegistryError> {
        match self {
            Self::Etag(etag) if etag != existing => Err(RegistryError::PreconditionFailed {
                existing: existing.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}
