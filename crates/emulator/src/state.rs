//! The state directory: its lock, its contents, and a temporary one for emulators without.

mod temporary;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use drawspan_emulator_hub::random::NoRandomness;
use drawspan_hub::HostName;
use drawspan_state::{Lock, LockError, private};

use temporary::TemporaryFolder;

const LOCK_FILE: &str = "lock";
const REGISTRY_FILE: &str = "registry.db";
pub(crate) const HUBS_FOLDER: &str = "hubs";
pub(crate) const UPLOADS_FOLDER: &str = "uploads";
pub(crate) const SNAPSHOTS_FOLDER: &str = "snapshots";
/// The registry last: until it is gone, the rest is missed.
const REGISTRY_FILES: [&str; 5] = [
    "registry.db-wal",
    "registry.db-shm",
    "registry.db-journal",
    "registry.db",
    "registry.mark",
];

/// The folder of an emulator's files.
#[derive(Debug)]
pub(crate) enum StateFolder {
    /// Kept, and locked against other processes.
    Kept { path: PathBuf, _lock: Lock },
    /// For the authority's certificate and uploaded files; deleted at the end.
    Temporary(TemporaryFolder),
}

/// Why there is no state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error("cannot use the state directory {}: {cause}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// Another emulator has it.
    #[error(
        "the state directory {} is in use by another emulator{}; give each its own, or stop that one",
        path.display(), holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other process, if it left its number.
        holder: Option<u32>,
    },
    /// No name for a temporary directory.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

impl StateFolder {
    /// Takes the directory `kept`, creating it, or a temporary one.
    pub(crate) fn open(kept: Option<&Path>) -> Result<Self, StateError> {
        let Some(path) = kept else {
            let folder = TemporaryFolder::create(&std::env::temp_dir());
            return folder.map(Self::Temporary);
        };
        let failed = |cause| StateError::Io {
            path: path.to_path_buf(),
            cause,
        };
        private::directory(path, is_ours).map_err(failed)?;
        // Absolute, so that what is printed can be pasted anywhere.
        let path = path.canonicalize().map_err(failed)?;
        match Lock::take(&path, LOCK_FILE) {
            Ok(lock) => Ok(Self::Kept { path, _lock: lock }),
            Err(LockError::InUse(holder)) => Err(StateError::InUse { path, holder }),
            Err(LockError::Io(cause)) => Err(StateError::Io { path, cause }),
        }
    }

    /// Removes devices, messages, telemetry and uploaded files. The certificate authority stays, so that clients trust it still.
    pub(crate) fn reset(&self) -> Result<(), StateError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |cause| StateError::Io { path, cause }
        };
        for folder in [HUBS_FOLDER, UPLOADS_FOLDER] {
            let path = self.path().join(folder);
            absent(fs::remove_dir_all(&path)).map_err(failed(&path))?;
        }
        for file in REGISTRY_FILES {
            let path = self.path().join(file);
            absent(fs::remove_file(&path)).map_err(failed(&path))?;
        }
        Ok(())
    }

    /// Whether there is telemetry.
    pub(crate) fn has_telemetry(&self) -> bool {
        self.path().join(HUBS_FOLDER).exists()
    }

    /// The folder of the files that a hub's devices upload. Without a state directory it goes at the end.
    pub(crate) fn uploads(&self, hub: &HostName) -> PathBuf {
        self.path().join(UPLOADS_FOLDER).join(hub.as_str())
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept { path, .. } => path,
            Self::Temporary(folder) => folder.path(),
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

/// Whether a name is that of an entry of a state directory.
fn is_ours(name: &str) -> bool {
    name == LOCK_FILE
        || name == HUBS_FOLDER
        || name == UPLOADS_FOLDER
        || name == SNAPSHOTS_FOLDER
        || name.starts_with("control.")
        || name.starts_with("registry.")
        || name.starts_with("ca.")
        || name.starts_with("ca-key.")
}

/// A missing one is fine.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
