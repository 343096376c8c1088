//! The state directory: who has it, what is in it, and a stand-in for none.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use drawspan_hub::HostName;

use crate::random::{self, NoRandomness};

const LOCK_FILE: &str = "lock";
const REGISTRY_FILE: &str = "registry.db";
const HUBS_FOLDER: &str = "hubs";

/// Where an emulator keeps its files.
#[derive(Debug)]
pub(crate) enum StateFolder {
    /// Kept, and nobody else's for as long as the lock is held.
    Kept { path: PathBuf, _lock: File },
    /// For the authority's certificate only; deleted at the end.
    Temporary { path: PathBuf },
}

/// Why there is no state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error("cannot use the state directory {}: {cause}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Another emulator has it.
    #[error("the state directory {} is in use by another emulator", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// No name for a temporary directory.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

impl StateFolder {
    /// Takes the directory `kept`, creating it, or a temporary one.
    pub(crate) fn open(kept: Option<&Path>) -> Result<Self, StateError> {
        let Some(path) = kept else {
            let path = std::env::temp_dir().join(format!("drawspan-emulator-{}", random::hex()?));
            fs::create_dir(&path).map_err(|cause| StateError::Io {
                path: path.clone(),
                cause,
            })?;
            return Ok(Self::Temporary { path });
        };
        let failed = |cause| StateError::Io {
            path: path.to_path_buf(),
            cause,
        };
        fs::create_dir_all(path).map_err(failed)?;
        // Absolute, so that what is printed can be pasted anywhere.
        let path = path.canonicalize().map_err(failed)?;
        let lock = File::create(path.join(LOCK_FILE)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self::Kept { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { path }),
            Err(TryLockError::Error(cause)) => Err(StateError::Io { path, cause }),
        }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept { path, .. } | Self::Temporary { path } => path,
        }
    }

    /// Whether what is written here will be found at the next start.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept { .. })
    }

    /// The registry's file, if there is to be one.
    pub(crate) fn registry(&self) -> Option<PathBuf> {
        self.is_kept().then(|| self.path().join(REGISTRY_FILE))
    }

    /// The folder of a hub's telemetry, if there is to be one.
    pub(crate) fn telemetry(&self, hub: &HostName) -> Option<PathBuf> {
        self.is_kept()
            .then(|| self.path().join(HUBS_FOLDER).join(hub.as_str()))
    }
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        if let Self::Temporary { path } = self
            && let Err(error) = fs::remove_dir_all(&*path)
        {
            tracing::debug!(%error, path = %path.display(), "a temporary directory stays behind");
        }
    }
}
