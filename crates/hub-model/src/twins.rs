//! The twins of a hub's devices and modules.

use std::sync::Arc;

use bytes::Bytes;
use drawspan_hub::ErrorCode;
use serde_json::Value;

use super::client_id::ClientId;
use super::event::HubEvent;
use super::registry::{Change, IfMatch, Registry, RegistryError};
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
    /// Merges what a client reports into its twin. With `version`, only if the reported properties have that one.
    ///
    /// # Errors
    /// When there is no such client, not that version, or the patch is against the rules.
    pub fn report(
        &mut self,
        id: &ClientId,
        patch: &Object,
        version: Option<u64>,
        now_unix_ms: u64,
    ) -> Result<Arc<Twin>, TwinFailure> {
        let live = self.live_mut(id)?;
        let mut twin = live.twin.clone().unwrap_or_default();
        Arc::make_mut(&mut twin).report(patch, version, now_unix_ms)?;
        *live.twin = Some(Arc::clone(&twin));
        self.events.push(HubEvent::TwinReported {
            client: id.clone(),
            version: twin.version,
        });
        Ok(twin)
    }

    /// Gives a client a twin that it had at another hub.
    ///
    /// # Errors
    /// When there is no such client.
    pub fn put_twin(&mut self, id: &ClientId, twin: Arc<Twin>) -> Result<Change, RegistryError> {
        let live = self.live_mut(id)?;
        *live.twin = Some(Arc::clone(&twin));
        self.events.push(HubEvent::TwinUpdated {
            client: id.clone(),
            version: twin.version,
            tags: true,
            desired: true,
        });
        Ok(Change::Twin {
            client: id.clone(),
            twin,
            desired: None,
        })
    }

    /// Whether [`Self::update_twin`] would be refused. The twin of a client that there is not yet is an unused one.
    pub(super) fn try_twin(
        &self,
        id: &ClientId,
        update: &TwinUpdate,
        if_match: &IfMatch,
        now_unix_ms: u64,
    ) -> Result<(), TwinFailure> {
        let mut twin = match self.twin(id) {
            Some(twin) => {
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
    /// When there is no such client, not that version of its twin, or the update is against the rules.
    pub fn update_twin(
        &mut self,
        id: &ClientId,
        update: &TwinUpdate,
        if_match: &IfMatch,
        now_unix_ms: u64,
    ) -> Result<Change, TwinFailure> {
        let live = self.live_mut(id)?;
        let mut twin = live.twin.clone().unwrap_or_default();
        if_match.check(&twin.etag())?;
        let news = Arc::make_mut(&mut twin).update(update, now_unix_ms)?;
        *live.twin = Some(Arc::clone(&twin));
        self.events.push(HubEvent::TwinUpdated {
            client: id.clone(),
            version: twin.version,
            tags: update.replace || update.tags.is_some(),
            desired: news.is_some(),
        });
        Ok(Change::Twin {
            client: id.clone(),
            twin,
            desired: news.as_ref().map(body),
        })
    }
}

fn body(news: &Value) -> Bytes {
    news.to_string().into()
}
