//! Devices that are moved to another hub on request.
//!
//! The device hears of it as it does of a move by the real service: its connection ends, its identity is gone at the old hub, and when it
//! registers again it is assigned to the new one.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use drawspan_hub::{DeviceId, HostName};
use drawspan_hub_model::dps::{Registration, Substatus};
use drawspan_hub_store::{StoreError, Write};

use super::transfer::{ensure, leave};
use super::{Dps, RegisterError, operation_id};
use crate::hub::{ChangeError, Hub};
use crate::limits::MOVES_MAX;
use crate::random;

/// Names under which moves are kept begin so; the registration follows, in lower case.
pub const MOVES: &str = "dps-moved/";

/// Hubs to which devices were moved. They count instead of what the allocation and the enrollment say.
#[derive(Debug, Default)]
pub struct Moves(RwLock<HashMap<String, HostName>>);

/// A device that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The hub that it left.
    pub from: HostName,
    /// The hub that has it now.
    pub to: HostName,
    /// Whether it had registered at the provisioning service.
    pub is_registered: bool,
}

/// Why a device is not moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// There is no such hub.
    #[error("there is no hub {0}")]
    UnknownHub(HostName),
    /// No hub has the device.
    #[error("no hub has the device {0}")]
    UnknownDevice(DeviceId),
    /// It is there already.
    #[error("the device {device} is at {hub} already")]
    There {
        /// The device.
        device: DeviceId,
        /// The hub.
        hub: HostName,
    },
    /// So many were moved that no more are kept.
    #[error("{MOVES_MAX} devices were moved, no more are kept")]
    TooMany,
    /// The new hub does not take it.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

impl Moves {
    /// Moves that were stored: registrations and hubs. What is no name of a hub is left out.
    pub fn from_stored(stored: Vec<(String, String)>) -> Self {
        let parsed = stored
            .into_iter()
            .filter_map(|(id, hub)| Some((id, HostName::parse(&hub).ok()?)));
        Self(RwLock::new(parsed.collect()))
    }

    /// Puts others in their place.
    pub(super) fn replace(&self, other: Self) {
        let other = other.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = other;
    }

    pub(super) fn get(&self, registration: &str) -> Option<HostName> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&registration.to_ascii_lowercase()).cloned()
    }

    /// Says whether there is room.
    fn put(&self, registration: &str, hub: &HostName) -> bool {
        let name = registration.to_ascii_lowercase();
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOVES_MAX && !all.contains_key(&name) {
            return false;
        }
        all.insert(name, hub.clone());
        true
    }
}

impl Dps {
    /// Moves a device to another hub, with its twin. From now on it is assigned there.
    ///
    /// # Errors
    /// When that is not possible, or cannot be stored.
    pub async fn move_device(&self, device: &DeviceId, to: &HostName) -> Result<Moved, MoveError> {
        let new = self.hub(to).cloned();
        let new = new.ok_or_else(|| MoveError::UnknownHub(to.clone()))?;
        let registration = self.registration_of(device);
        let old = self.hub_of(device, registration.as_deref(), &new)?;
        let id = registration
            .as_ref()
            .map_or(device.as_str(), |it| it.id.as_str());
        if !self.parts.moves.put(id, to) {
            return Err(MoveError::TooMany);
        }
        self.keep_move(id, to).await?;
        if let Some(entry) = old.entry(device) {
            let authentication = entry.device.authentication.clone();
            ensure(&new, device, authentication, entry.device.iot_edge).await?;
        }
        if let Some(registration) = &registration {
            self.reassign(registration, &new).await?;
        }
        let left = leave(&old, &new, device).await;
        left.map_err(RegisterError::from)?;
        Ok(Moved {
            from: old.host().clone(),
            to: to.clone(),
            is_registered: registration.is_some(),
        })
    }

    fn registration_of(&self, device: &DeviceId) -> Option<Arc<Registration>> {
        let registrations = self.registrations.read();
        let registrations = registrations.unwrap_or_else(PoisonError::into_inner);
        registrations.of_device(device).cloned()
    }

    /// The hub that has a device.
    fn hub_of(
        &self,
        device: &DeviceId,
        registration: Option<&Registration>,
        new: &Hub,
    ) -> Result<Arc<Hub>, MoveError> {
        let registered = registration.and_then(|registration| self.hub(&registration.hub));
        let mut all = registered.into_iter().chain(&self.parts.hubs);
        let elsewhere = |hub: &&Arc<Hub>| hub.host() != new.host() && hub.device(device).is_some();
        match all.find(elsewhere) {
            Some(hub) => Ok(Arc::clone(hub)),
            None if new.device(device).is_some() => Err(MoveError::There {
                device: device.clone(),
                hub: new.host().clone(),
            }),
            None => Err(MoveError::UnknownDevice(device.clone())),
        }
    }

    async fn keep_move(&self, id: &str, to: &HostName) -> Result<(), RegisterError> {
        let Some(store) = &self.parts.store else {
            return Ok(());
        };
        let stored = async {
            let write = Write::Setting {
                name: format!("{MOVES}{}", id.to_ascii_lowercase()),
                value: to.to_string(),
            };
            let slot = store.slot().await?;
            slot.send(to.clone(), vec![write]).wait().await
        };
        stored
            .await
            .map_err(|error: StoreError| ChangeError::from(error).into())
    }

    async fn reassign(&self, before: &Registration, to: &Hub) -> Result<(), RegisterError> {
        let registration = Arc::new(Registration {
            hub: to.host().clone(),
            substatus: Substatus::DeviceDataMigrated,
            updated_unix_ms: self.parts.clock.unix_ms(),
            etag: random::hex().map_err(ChangeError::from)?,
            operation: operation_id(&before.id).map_err(ChangeError::from)?,
            ..before.clone()
        });
        let kept = self.keep(&registration).await;
        kept.map_err(|error| ChangeError::from(error).into())
    }
}
