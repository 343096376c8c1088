//! The whole state of a running emulator: emptied, copied under a name, and replaced by such a copy.
//!
//! State is devices, modules, twins, queues, uploads, registrations at DPS and telemetry. Keys, certificates and settings are none of
//! it. While state is replaced nobody is connected, and requests wait.

mod contents;
mod files;

use std::path::PathBuf;
use std::sync::Arc;

use drawspan_emulator_hub::connections::{Alone, Connections};
use drawspan_emulator_hub::dps::{Dps, MOVES, Moves};
use drawspan_emulator_hub::hub::{ChangeError, Hub};
use drawspan_emulator_hub::hub_set::HubSet;
use drawspan_hub_model::device::{AuthenticationSpec, DeviceSpec};
use drawspan_hub_model::dps::Registrations;
use drawspan_hub_store::{Database, Store, StoreError};
use drawspan_segment_log::LogError;

use crate::config::Config;
use crate::limits::SNAPSHOTS_MAX;
use files::{Folder, Uploads};
pub(crate) use files::{Name, Taken};

/// Empties, copies and replaces the state. One of these at a time.
#[derive(Debug)]
pub(crate) struct Snapshots {
    parts: Parts,
    folder: Folder,
    busy: tokio::sync::Mutex<()>,
}

/// What has state.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) config: Config,
    /// The state directory, or the temporary one.
    pub(crate) folder: PathBuf,
    pub(crate) hubs: HubSet,
    pub(crate) dps: Arc<Dps>,
    pub(crate) connections: Arc<Connections>,
    /// `None` if the state is in memory.
    pub(crate) store: Option<Arc<Store>>,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// Without a state directory there is nothing to copy.
    #[error("snapshots need a state directory: start the emulator with --state DIR")]
    InMemory,
    /// A request does not end.
    #[error("requests are still under way, so nothing was changed: try again")]
    Busy,
    /// There is none of that name.
    #[error("there is no snapshot `{0}`")]
    NotFound(Name),
    /// There are as many as there may be.
    #[error("there are {SNAPSHOTS_MAX} snapshots, which is as many as there may be: remove one")]
    TooMany,
    /// The registry refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The telemetry refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file system refuses.
    #[error("{0}")]
    Files(String),
    /// Devices of the command line cannot be made again.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Snapshots {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            folder: Folder::of(&parts.folder),
            parts,
            busy: tokio::sync::Mutex::default(),
        }
    }

    /// Removes everything, and makes the devices of the command line again. Returns how many that are, at all hubs.
    pub(crate) async fn reset(&self) -> Result<usize, SnapshotError> {
        let _busy = self.busy.lock().await;
        let _alone = self.alone().await?;
        if let Some(store) = &self.parts.store {
            store.run(|database| database.replace(None, MOVES)).await?;
        }
        let parts = self.parts.clone();
        in_background(move || {
            for hub in parts.hubs.hubs() {
                hub.replace_telemetry(None)?;
                hub.replace(contents::of(
                    &parts.config,
                    None,
                    hub.host(),
                    &parts.folder,
                )?);
            }
            Ok(())
        })
        .await?;
        let none = (Registrations::default(), Moves::default());
        self.parts.dps.replace(none.0, none.1);
        let (config, hubs) = (&self.parts.config, self.parts.hubs.hubs());
        ensure(config, hubs, &self.parts.dps).await?;
        tracing::warn!("everything was removed on request, keys and certificates excepted");
        Ok(hubs
            .iter()
            .map(|hub| hub.registry().list(usize::MAX).count())
            .sum())
    }

    /// Copies everything under `name`; a copy of that name is replaced.
    pub(crate) async fn take(&self, name: Name) -> Result<Taken, SnapshotError> {
        let store = self.store()?;
        let _busy = self.busy.lock().await;
        let (folder, of) = (self.folder.clone(), name.clone());
        let new = in_background(move || folder.begin(&of)).await?;
        let to = new.registry();
        store.run(move |database| database.copy(&to)).await?;
        let (parts, now) = (self.parts.clone(), self.parts.config.clock.unix_ms());
        let taken = in_background(move || {
            for hub in parts.hubs.hubs() {
                hub.copy_telemetry(&new.telemetry(hub.host()))?;
                let uploads = Uploads::of(&parts.folder, hub.host());
                uploads.copy_to(&new.uploads(hub.host()))?;
            }
            new.finish(now)
        });
        let taken = taken.await?;
        tracing::info!(%name, bytes = taken.bytes, "a snapshot was taken");
        Ok(taken)
    }

    /// Replaces everything by the copy of that name.
    pub(crate) async fn restore(&self, name: &Name) -> Result<(), SnapshotError> {
        let store = self.store()?;
        let _busy = self.busy.lock().await;
        let copy = self.folder.find(name)?;
        let _alone = self.alone().await?;
        let (parts, from) = (self.parts.clone(), copy.registry());
        let loaded = store.run(move |database| {
            database.replace(Some(&from), MOVES)?;
            let hubs = parts.hubs.hubs().iter();
            let all = hubs.map(|hub| {
                let loaded = contents::Loaded::of(database, hub.host())?;
                Ok((Arc::clone(hub), loaded))
            });
            let all: Result<Vec<_>, StoreError> = all.collect();
            let moves = Moves::from_stored(database.settings(MOVES)?);
            Ok((all?, Database::registrations(database)?, moves))
        });
        let (hubs, registrations, moves) = loaded.await?;
        let parts = self.parts.clone();
        in_background(move || {
            for (hub, loaded) in hubs {
                let host = hub.host();
                let telemetry = copy.telemetry(host);
                // A hub that there was not is empty.
                let telemetry = telemetry.exists().then_some(telemetry);
                hub.replace_telemetry(telemetry.as_deref())?;
                Uploads::of(&parts.folder, host).replace(&copy.uploads(host))?;
                hub.replace(contents::of(
                    &parts.config,
                    Some(loaded),
                    host,
                    &parts.folder,
                )?);
            }
            Ok(())
        })
        .await?;
        self.parts
            .dps
            .replace(Registrations::from_stored(registrations), moves);
        tracing::warn!(%name, "everything was replaced by a snapshot on request");
        Ok(())
    }

    /// The copies, by name.
    pub(crate) fn list(&self) -> Result<Vec<Taken>, SnapshotError> {
        self.folder.list()
    }

    /// Deletes a copy.
    pub(crate) async fn remove(&self, name: &Name) -> Result<(), SnapshotError> {
        let _busy = self.busy.lock().await;
        self.folder.remove(name)
    }

    fn store(&self) -> Result<&Arc<Store>, SnapshotError> {
        self.parts.store.as_ref().ok_or(SnapshotError::InMemory)
    }

    async fn alone(&self) -> Result<Alone, SnapshotError> {
        let alone = self.parts.connections.alone().await;
        alone.ok_or(SnapshotError::Busy)
    }
}

/// Creates the devices of the command line that there are not yet.
pub(crate) async fn ensure(
    config: &Config,
    hubs: &[Arc<Hub>],
    dps: &Dps,
) -> Result<(), ChangeError> {
    for hub in hubs {
        // Registering would give them these keys anyway, and end the ones that are announced.
        hub.ensure_devices(&config.devices, dps.groups().first())
            .await?;
        let certified = config.certificate_devices.iter();
        let certified = certified.map(|(id, authentication)| DeviceSpec {
            authentication: AuthenticationSpec::Other(authentication.clone()),
            ..DeviceSpec::new(id.clone())
        });
        let certified: Vec<_> = certified.collect();
        hub.ensure(certified.into_iter()).await?;
    }
    Ok(())
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SnapshotError> + Send + 'static,
) -> Result<T, SnapshotError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(SnapshotError::Files(error.to_string())))
}
