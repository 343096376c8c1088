//! The twins of a hub's devices.

use std::sync::Arc;

use bytes::Bytes;
use drawspan_hub::{DeviceId, ErrorCode};
use serde_json::Value;

use super::event::HubEvent;
use super::registry::{Change, Entry, IfMatch, Registry, RegistryError};
use super::twin::{Object, Twin, TwinError, TwinUpdate};

/// Why a twin is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TwinFailure {
    /// It is not there, or not the version that the caller means.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The change is not allowed.
    #[error(transparent)]
    Twin(#[from] TwinError),
}

impl TwinFailure {
    /// The hub's code for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Registry(error) => error.code(),
            Self::Twin(error) => error.code(),
        }
    }
}

impl Registry {
    /// Merges what a device reports into its twin. With `version`, only if the reported properties have that one.
    ///
    /// # Errors
    /// When there is no such device, not that version, or the patch is against the rules.
    pub fn report(
        &mut self,
        id: &DeviceId,
        patch: &Object,
        version: Option<u64>,
        now_unix_ms: u64,
    ) -> Result<Arc<Twin>, TwinFailure> {
        let entry = self.entry_mut(id)?;
        let mut twin = entry.twin();
        Arc::make_mut(&mut twin).report(patch, version, now_unix_ms)?;
        entry.twin = Some(Arc::clone(&twin));
        self.events.push(HubEvent::TwinReported {
            device: id.clone(),
            version: twin.version,
        });
        Ok(twin)
    }

    /// Whether [`Self::update_twin`] would be refused. The twin of a device that there is not yet is an unused one.
    pub(super) fn try_twin(
        &self,
        id: &DeviceId,
        update: &TwinUpdate,
        if_match: &IfMatch,
        now_unix_ms: u64,
    ) -> Result<(), TwinFailure> {
        let mut twin = match self.get(id) {
            Some(entry) => {
                let twin = entry.twin();
                if_match.check(&twin.etag())?;
                twin
            }
            None => Arc::default(),
        };
        Arc::make_mut(&mut twin).update(update, now_unix_ms)?;
        Ok(())
    }

    /// Does to a twin what a service wants.
    ///
    /// # Errors
    /// When there is no such device, not that version of its twin, or the update is against the rules.
    pub fn update_twin(
        &mut self,
        id: &DeviceId,
        update: &TwinUpdate,
        if_match: &IfMatch,
        now_unix_ms: u64,
    ) -> Result<(Entry, Change), TwinFailure> {
        let entry = self.entry_mut(id)?;
        let mut twin = entry.twin();
        if_match.check(&twin.etag())?;
        let news = Arc::make_mut(&mut twin).update(update, now_unix_ms)?;
        entry.twin = Some(Arc::clone(&twin));
        let entry = entry.clone();
        self.events.push(HubEvent::TwinUpdated {
            device: id.clone(),
            version: twin.version,
            tags: update.replace || update.tags.is_some(),
            desired: news.is_some(),
        });
        let change = Change::Twin {
            device: id.clone(),
            twin,
            desired: news.as_ref().map(body),
        };
        Ok((entry, change))
    }
}

fn body(news: &Value) -> Bytes {
    news.to_string().into()
}
