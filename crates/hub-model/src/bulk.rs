//! One device's part of a bulk call: its identity, its twin, or both. It is carried out whole or not at all.

use drawspan_hub::DeviceId;

use super::device::{DeviceSpec, Fresh};
use super::registry::{Change, IfMatch, Registry};
use super::twin::TwinUpdate;
use super::twins::TwinFailure;

/// An operation for one device.
#[derive(Debug)]
pub struct BulkOperation {
    /// What becomes of its identity.
    pub identity: IdentityOperation,
    /// A change of its twin, and the version of the twin that is meant, which is independent of the identity's.
    pub twin: Option<(TwinUpdate, IfMatch)>,
}

/// An operation for an identity.
#[derive(Debug)]
pub enum IdentityOperation {
    /// Registers a device that there is not yet.
    Create(DeviceSpec, Fresh),
    /// Replaces a device that there is, if it is of that version.
    Update(DeviceSpec, IfMatch, Fresh),
    /// Registers a device, or replaces it if it is of that version.
    CreateOrUpdate(DeviceSpec, IfMatch, Fresh),
    /// Deletes a device of that version.
    Delete(DeviceId, IfMatch),
    /// Leaves the identity as it is.
    Keep(DeviceId),
}

impl IdentityOperation {
    /// The device.
    pub fn device_id(&self) -> &DeviceId {
        match self {
            Self::Create(spec, _) | Self::Update(spec, ..) | Self::CreateOrUpdate(spec, ..) => {
                &spec.id
            }
            Self::Delete(id, _) | Self::Keep(id) => id,
        }
    }
}

impl BulkOperation {
    /// Carries it out. Returns the changes that are to be stored.
    ///
    /// # Errors
    /// When the identity or the twin is refused; then nothing is changed.
    pub fn run(
        self,
        registry: &mut Registry,
        now_unix_ms: u64,
    ) -> Result<Vec<Change>, TwinFailure> {
        let id = self.identity.device_id().clone();
        if let Some((update, if_match)) = &self.twin {
            registry.try_twin(&id, update, if_match, now_unix_ms)?;
        }
        let mut changes = Vec::new();
        match self.identity {
            IdentityOperation::Create(spec, fresh) => {
                changes.push(Change::Put(
                    registry.create(spec, fresh, now_unix_ms)?.device,
                ));
            }
            IdentityOperation::CreateOrUpdate(spec, _, fresh) if registry.get(&id).is_none() => {
                changes.push(Change::Put(
                    registry.create(spec, fresh, now_unix_ms)?.device,
                ));
            }
            IdentityOperation::Update(spec, if_match, fresh)
            | IdentityOperation::CreateOrUpdate(spec, if_match, fresh) => {
                let entry = registry.update(spec, &if_match, fresh, now_unix_ms)?;
                changes.push(Change::Put(entry.device));
            }
            IdentityOperation::Delete(id, if_match) => {
                registry.delete(&id, &if_match)?;
                return Ok(vec![Change::Delete(id)]);
            }
            IdentityOperation::Keep(_) => {}
        }
        if let Some((update, _)) = &self.twin {
            // It was tried above.
            let (_, change) = registry.update_twin(&id, update, &IfMatch::Any, now_unix_ms)?;
            changes.push(change);
        }
        Ok(changes)
    }
}
