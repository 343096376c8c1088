//! The key ring of an open store, and the keys that it must contain.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use drawspan_hub::UtcTime;

use super::{KeyRing, KeyRingError};
use crate::clock;
use crate::database::keys::KeyUse;
use crate::error::OpenError;

/// The key ring in use, exchanged when its file changes.
#[derive(Debug)]
pub(crate) struct Keys {
    path: PathBuf,
    ring: RwLock<Arc<KeyRing>>,
}

/// The version of a file, to detect changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(SystemTime, u64, u64)>);

impl Keys {
    /// Reads the file; makes it when neither it nor anything encrypted is there. Fails without changing anything when a key is
    /// missing that rows need.
    pub(crate) fn open(path: &Path, used: &[KeyUse]) -> Result<Self, OpenError> {
        let failed = |cause| OpenError::KeyRing {
            path: path.to_path_buf(),
            cause,
        };
        let ring = match KeyRing::read(path).map_err(failed)? {
            Some(ring) => ring,
            None => make(path, used)?,
        };
        if let Some(error) = unusable(&ring, path, used) {
            return Err(error);
        }
        warn_when_others_read(path);
        Ok(Self {
            path: path.to_path_buf(),
            ring: RwLock::new(Arc::new(ring)),
        })
    }

    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again. What cannot be used changes nothing.
    pub(crate) fn reload(&self, used: &[KeyUse]) -> Result<(), OpenError> {
        let failed = |cause| OpenError::KeyRing {
            path: self.path.clone(),
            cause,
        };
        let found = KeyRing::read(&self.path).map_err(failed)?;
        let gone = || failed(KeyRingError::Io(std::io::ErrorKind::NotFound.into()));
        let ring = found.ok_or_else(gone)?;
        if let Some(error) = unusable(&ring, &self.path, used) {
            return Err(error);
        }
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(())
    }

    /// Changes when the file does.
    pub(crate) fn stamp(&self) -> Stamp {
        let metadata = fs::metadata(&self.path).ok();
        Stamp(metadata.and_then(|metadata| {
            #[cfg(unix)]
            let file = std::os::unix::fs::MetadataExt::ino(&metadata);
            #[cfg(not(unix))]
            let file = 0;
            Some((metadata.modified().ok()?, metadata.len(), file))
        }))
    }
}

/// The first key that rows need and the ring does not have.
pub(crate) fn unusable(ring: &KeyRing, path: &Path, used: &[KeyUse]) -> Option<OpenError> {
    used.iter().filter(|used| used.rows > 0).find_map(|used| {
        let path = path.to_path_buf();
        let KeyUse { version, rows, .. } = *used;
        let Some(key) = ring.get(version) else {
            return Some(OpenError::KeyMissing {
                version,
                path,
                rows,
            });
        };
        let other = used.fingerprint.is_some_and(|it| it != key.fingerprint);
        other.then_some(OpenError::OtherKey {
            version,
            path,
            rows,
        })
    })
}

/// Numbers are never used twice, so that a key that was lost is not taken for a new one.
fn make(path: &Path, used: &[KeyUse]) -> Result<KeyRing, OpenError> {
    if let Some(used) = used.iter().find(|used| used.rows > 0) {
        return Err(OpenError::NoKeyRing {
            path: path.to_path_buf(),
            version: used.version,
            rows: used.rows,
        });
    }
    let newest = used.iter().map(|used| used.version).max();
    let version = newest.unwrap_or_default().saturating_add(1);
    let now = UtcTime::from_unix_ms(clock::now_unix_ms());
    let ring = KeyRing::new(version, now).map_err(OpenError::NoNewKey)?;
    ring.write(path).map_err(|cause| OpenError::Create {
        path: path.to_path_buf(),
        cause,
    })?;
    tracing::info!(keyring = %path.display(), "a key ring was created; keep a copy of it, separate from backups of the state directory");
    Ok(ring)
}

#[cfg(unix)]
fn warn_when_others_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(mode) = others_read(path) {
        tracing::warn!(
            keyring = %path.display(),
            mode = %format_args!("{mode:03o}"),
            "others than its owner can read the key ring; `chmod 600` it"
        );
    }
    fn others_read(path: &Path) -> Option<u32> {
        let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then_some(mode)
    }
}

#[cfg(not(unix))]
fn warn_when_others_read(_: &Path) {}
