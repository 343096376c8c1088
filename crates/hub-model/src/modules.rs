//! The modules of a hub's devices, in its registry.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use drawspan_hub::{DeviceId, ModuleId};

use super::client_id::ClientId;
use super::device::Fresh;
use super::event::HubEvent;
use super::module::{Module, ModuleSpec, is_of_edge};
use super::registry::{Connection, IfMatch, Registry, RegistryError};
use super::twin::Twin;

/// A module and what is known of its connection.
#[derive(Clone, Debug)]
pub struct ModuleEntry {
    /// The identity.
    pub module: Arc<Module>,
    /// Whether and since when it is connected. Forgotten when the emulator stops.
    pub connection: Connection,
    /// The model that it said it follows when it last connected with one. Forgotten when the emulator stops.
    pub model_id: Option<Arc<str>>,
    pub(super) twin: Option<Arc<Twin>>,
}

/// Modules by device. A device without modules takes no place here.
pub(super) type Modules = BTreeMap<DeviceId, BTreeMap<ModuleId, ModuleEntry>>;

/// What the registry knows of a client beside its identity.
pub(super) struct Live<'r> {
    pub(super) connection: &'r mut Connection,
    pub(super) model_id: &'r mut Option<Arc<str>>,
    pub(super) twin: &'r mut Option<Arc<Twin>>,
}

impl ModuleEntry {
    fn new(module: Arc<Module>) -> Self {
        Self {
            module,
            connection: Connection::default(),
            model_id: None,
            twin: None,
        }
    }

    /// The module's twin.
    pub fn twin(&self) -> Arc<Twin> {
        self.twin.clone().unwrap_or_default()
    }
}

impl Registry {
    /// The registry with modules and their twins as they were stored. What belongs to no device, or to no module, is left out.
    #[must_use]
    pub fn with_modules(mut self, modules: Vec<Module>, twins: Vec<(ClientId, Twin)>) -> Self {
        for module in modules {
            if self.get(&module.device).is_some() {
                let of_device = self.modules.entry(module.device.clone()).or_default();
                of_device.insert(module.id.clone(), ModuleEntry::new(Arc::new(module)));
                self.module_count += 1;
            }
        }
        for (client, twin) in twins {
            if let Ok(live) = self.live_mut(&client) {
                *live.twin = Some(Arc::new(twin));
            }
        }
        self
    }

    /// A module, if there is one.
    pub fn module(&self, device: &DeviceId, id: &ModuleId) -> Option<&ModuleEntry> {
        self.modules.get(device)?.get(id)
    }

    /// The modules of a device, by name.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn modules_of(
        &self,
        device: &DeviceId,
    ) -> Result<impl Iterator<Item = &ModuleEntry>, RegistryError> {
        match self.get(device) {
            Some(_) => Ok(self
                .modules
                .get(device)
                .into_iter()
                .flat_map(BTreeMap::values)),
            None => Err(RegistryError::NotFound(device.clone())),
        }
    }

    /// All modules behind `after`, by device and name.
    pub fn modules_after<'r>(
        &'r self,
        after: Option<&'r ClientId>,
    ) -> impl Iterator<Item = &'r ModuleEntry> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Included(&after.device));
        let of_devices = self.modules.range::<DeviceId, _>((from, Bound::Unbounded));
        of_devices
            .flat_map(|(_, modules)| modules.values())
            .skip_while(move |entry| after.is_some_and(|after| entry.module.client() <= *after))
    }

    /// The generation of a client that there is.
    pub fn generation_id(&self, client: &ClientId) -> Option<&Arc<str>> {
        let device = self.get(&client.device)?;
        Some(match &client.module {
            None => &device.device.generation_id,
            Some(module) => &self.module(&client.device, module)?.module.generation_id,
        })
    }

    /// The twin of a client, if it is registered.
    pub fn twin(&self, client: &ClientId) -> Option<Arc<Twin>> {
        Some(match &client.module {
            None => self.get(&client.device)?.twin(),
            Some(module) => self.module(&client.device, module)?.twin(),
        })
    }

    /// Registers a module that there is not yet.
    ///
    /// # Errors
    /// When there is no such device, the name is taken or not for callers to give, or there are too many.
    pub fn create_module(
        &mut self,
        spec: ModuleSpec,
        fresh: Fresh,
    ) -> Result<ModuleEntry, RegistryError> {
        if self.get(&spec.device).is_none() {
            return Err(RegistryError::NotFound(spec.device));
        }
        if is_of_edge(&spec.id) {
            return Err(RegistryError::OfEdge(spec.id));
        }
        if self.module(&spec.device, &spec.id).is_some() {
            return Err(RegistryError::ModuleAlreadyExists(spec.device, spec.id));
        }
        let of_device = self.modules.get(&spec.device).map_or(0, BTreeMap::len);
        if of_device >= self.modules_max {
            let most = self.modules_max;
            return Err(RegistryError::TooManyModules { most });
        }
        self.check_room()?;
        let entry = ModuleEntry::new(Arc::new(spec.into_module(None, fresh)));
        let client = entry.module.client();
        let of_device = self.modules.entry(client.device.clone()).or_default();
        of_device.insert(entry.module.id.clone(), entry.clone());
        self.module_count += 1;
        self.events.push(HubEvent::ModuleCreated { client });
        Ok(entry)
    }

    /// Replaces an existing module; its generation and its connection stay. Without keys in `spec` it gets new ones.
    ///
    /// # Errors
    /// When there is no such module, or not that version of it.
    pub fn update_module(
        &mut self,
        spec: ModuleSpec,
        if_match: &IfMatch,
        fresh: Fresh,
    ) -> Result<ModuleEntry, RegistryError> {
        let entry = self.module_mut(&spec.device, &spec.id)?;
        if_match.check(&entry.module.etag)?;
        entry.module = Arc::new(spec.into_module(Some(&entry.module), fresh));
        let entry = entry.clone();
        let client = entry.module.client();
        self.events.push(HubEvent::ModuleUpdated { client });
        Ok(entry)
    }

    /// Forgets a module.
    ///
    /// # Errors
    /// When there is no such module, or not that version of it.
    pub fn delete_module(
        &mut self,
        device: &DeviceId,
        id: &ModuleId,
        if_match: &IfMatch,
    ) -> Result<(), RegistryError> {
        if_match.check(&self.module_mut(device, id)?.module.etag)?;
        if let Some(of_device) = self.modules.get_mut(device) {
            of_device.remove(id);
            self.module_count -= 1;
            if of_device.is_empty() {
                self.modules.remove(device);
            }
        }
        let client = ClientId::of_module(device, id);
        self.events.push(HubEvent::ModuleDeleted { client });
        Ok(())
    }

    /// Forgets the modules of a device that is deleted.
    pub(super) fn delete_modules_of(&mut self, device: &DeviceId) {
        let gone = self.modules.remove(device).unwrap_or_default();
        self.module_count -= gone.len();
        let deleted = gone.into_values().map(|entry| HubEvent::ModuleDeleted {
            client: entry.module.client(),
        });
        self.events.extend(deleted);
    }

    /// What is known of a client.
    pub(super) fn live_mut(&mut self, client: &ClientId) -> Result<Live<'_>, RegistryError> {
        match &client.module {
            None => {
                let entry = self.entry_mut(&client.device)?;
                Ok(Live {
                    connection: &mut entry.connection,
                    model_id: &mut entry.model_id,
                    twin: &mut entry.twin,
                })
            }
            Some(module) => {
                let entry = self.module_mut(&client.device, module)?;
                Ok(Live {
                    connection: &mut entry.connection,
                    model_id: &mut entry.model_id,
                    twin: &mut entry.twin,
                })
            }
        }
    }

    fn module_mut(
        &mut self,
        device: &DeviceId,
        id: &ModuleId,
    ) -> Result<&mut ModuleEntry, RegistryError> {
        if self.get(device).is_none() {
            return Err(RegistryError::NotFound(device.clone()));
        }
        let found = self.modules.get_mut(device).and_then(|of| of.get_mut(id));
        found.ok_or_else(|| RegistryError::ModuleNotFound(device.clone(), id.clone()))
    }
}
