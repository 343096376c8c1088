//! File uploads of the hubs, and the storage of the files.

use std::path::PathBuf;
use std::sync::Arc;

use drawspan_emulator_hub::blobs::{self, BlobStore};
use drawspan_emulator_hub::clock::Clock;
use drawspan_emulator_hub::random;
use drawspan_emulator_hub::storage::{AccountStorage, Storage};
use drawspan_hub::{HostName, SymmetricKey};
use drawspan_hub_model::blobs::Blobs;
use drawspan_hub_model::uploads::Uploads;
use drawspan_hub_store::{Database, Store};
use drawspan_net::{Connector, client_config};

use crate::config::Config;
use crate::start_error::StartError;
use crate::state::StateFolder;

const KEY: &str = "storage-key";

/// What the storages of all hubs share.
pub(super) enum Storages {
    /// The emulator's own: the key that signs.
    BuiltIn(SymmetricKey, Clock),
    /// An account.
    Account(Arc<AccountStorage>),
}

/// Uploads and blobs of a hub, as they were kept. A blob whose file somebody has removed meanwhile is gone.
pub(super) fn kept(
    config: &Config,
    state: &StateFolder,
    host: &HostName,
    database: Option<&Database>,
) -> Result<(Uploads, Blobs), StartError> {
    let (uploads, mut blobs) = match database {
        Some(database) => (database.uploads(host)?, database.blobs(host)?),
        None => Default::default(),
    };
    for name in blobs::forget_missing(&state.uploads(host), &mut blobs) {
        tracing::warn!(hub = %host, blob = ?name, "the file of an uploaded blob is not there any more");
    }
    Ok((
        Uploads::restore(config.uploads, &config.limits, uploads),
        Blobs::restore(config.limits.blob_bytes, blobs),
    ))
}

impl Storages {
    pub(super) fn open(
        config: &Config,
        database: Option<&mut Database>,
    ) -> Result<Self, StartError> {
        let Some(to) = &config.upload_account else {
            return Ok(Self::BuiltIn(key(database)?, config.clock.clone()));
        };
        let connector = match to.account.is_secure {
            true => Some(Connector::new(client_config(Vec::new())?, Vec::new())),
            false => None,
        };
        let storage = AccountStorage::new(to.account.clone(), to.container.clone(), connector);
        Ok(Self::Account(Arc::new(storage)))
    }

    pub(super) fn of_hub(
        &self,
        host: &HostName,
        folder: PathBuf,
        blobs: Blobs,
        store: Option<Arc<Store>>,
    ) -> Storage {
        match self {
            Self::Account(storage) => Storage::Account(Arc::clone(storage)),
            Self::BuiltIn(key, clock) => Storage::BuiltIn(BlobStore::new(blobs::Parts {
                host: host.clone(),
                clock: clock.clone(),
                key: key.clone(),
                folder,
                blobs,
                store,
            })),
        }
    }
}

/// The key used before, else a new one.
fn key(database: Option<&mut Database>) -> Result<SymmetricKey, StartError> {
    let Some(database) = database else {
        return Ok(random::key()?);
    };
    if let Some(text) = database.setting(KEY)? {
        return Ok(SymmetricKey::from_base64(&text)?);
    }
    let key = random::key()?;
    database.set_setting(KEY, &key.to_base64())?;
    Ok(key)
}
