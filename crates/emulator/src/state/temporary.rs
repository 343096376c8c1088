//! Temporary directories of emulators without a state directory. An emulator that was killed cannot remove its own, so the next one
//! does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use drawspan_emulator_hub::random;
use drawspan_state::{Lock, LockError};

use super::StateError;
use crate::limits::TEMPORARY_FOLDER_ATTEMPTS;

const PREFIX: &str = "drawspan-emulator-";
/// Hexadecimal digits after that.
const DIGITS: usize = 32;
const LOCK_FILE: &str = "lock";

/// A directory that is removed at the end, and locked against other processes until then.
#[derive(Debug)]
pub(crate) struct TemporaryFolder {
    path: PathBuf,
    _lock: Lock,
}

impl TemporaryFolder {
    /// Creates one within `parent`, and removes those whose emulators were killed.
    pub(crate) fn create(parent: &Path) -> Result<Self, StateError> {
        let mut created = Self::create_once(parent)?;
        for _ in 1..TEMPORARY_FOLDER_ATTEMPTS {
            if created.is_some() {
                break;
            }
            created = Self::create_once(parent)?;
        }
        let Some(created) = created else {
            let taken = io::Error::other("another process locks every new directory in it");
            return Err(failed(parent.to_path_buf())(taken));
        };
        created.remove_abandoned(parent);
        Ok(created)
    }

    /// `None` if another emulator has found it unlocked and removes it.
    fn create_once(parent: &Path) -> Result<Option<Self>, StateError> {
        let name = random::hex()?;
        let path = parent.join(format!("{PREFIX}{name}"));
        fs::create_dir(&path).map_err(failed(path.clone()))?;
        match Lock::take(&path, LOCK_FILE) {
            Ok(lock) => Ok(Some(Self { path, _lock: lock })),
            Err(LockError::InUse(_)) => Ok(None),
            Err(LockError::Io(cause)) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(LockError::Io(cause)) => Err(failed(path)(cause)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn remove_abandoned(&self, parent: &Path) {
        let Ok(entries) = fs::read_dir(parent) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if self.is_like(&path) && remove(&path) {
                tracing::debug!(path = %path.display(), "the directory of an emulator that was killed is removed");
            }
        }
    }

    /// Whether it is a directory of an emulator that was started by the same user: by its name, its owner, and the lock in it. A
    /// symbolic link does not count.
    fn is_like(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        let digits = name.and_then(|name| name.strip_prefix(PREFIX));
        let is_named = digits.is_some_and(|digits| {
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            digits.len() == DIGITS && digits.bytes().all(is_digit)
        });
        is_named && path != self.path && self.is_alike(path).unwrap_or(false)
    }

    #[cfg(unix)]
    fn is_alike(&self, path: &Path) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt as _;
        let (ours, found) = (fs::metadata(&self.path)?, fs::symlink_metadata(path)?);
        let has_lock = fs::symlink_metadata(path.join(LOCK_FILE))?.is_file();
        let written_by_owner = found.mode() & 0o022 == 0;
        Ok(found.is_dir() && found.uid() == ours.uid() && written_by_owner && has_lock)
    }

    /// Owners are not known here.
    #[cfg(not(unix))]
    fn is_alike(&self, _: &Path) -> io::Result<bool> {
        Ok(false)
    }
}

fn failed(path: PathBuf) -> impl FnOnce(io::Error) -> StateError {
    move |cause| StateError::Io { path, cause }
}

/// Unless its emulator still runs.
fn remove(path: &Path) -> bool {
    let Ok(_lock) = Lock::take(path, LOCK_FILE) else {
        return false;
    };
    fs::remove_dir_all(path).is_ok()
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "a temporary directory stays behind");
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn what_a_killed_emulator_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path();
        let folder = |name: &str, has_lock: bool| {
            let path = parent.join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("ca.pem"), "").unwrap();
            if has_lock {
                fs::write(path.join(LOCK_FILE), "").unwrap();
            }
            path
        };
        let digits = |digit: &str| format!("{PREFIX}{}", digit.repeat(DIGITS));
        let killed = folder(&digits("a"), true);
        let kept = [
            folder(&digits("b"), false),
            folder(&format!("{}0", digits("c")), true),
            folder(&digits("x"), true),
            folder("another", true),
            folder(&digits("d"), true),
        ];
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(&kept[4], open).unwrap();
        let link = parent.join(digits("e"));
        symlink(&kept[3], &link).unwrap();
        let lives = TemporaryFolder::create(parent).unwrap();
        assert!(!killed.exists());

        let next = TemporaryFolder::create(parent).unwrap();
        assert!(lives.path().exists() && next.path().exists());
        assert!(next.is_like(lives.path()));
        assert!(kept.iter().all(|path| path.join("ca.pem").exists()));
        assert!(link.is_symlink());
        let path = lives.path().to_path_buf();
        drop(lives);
        assert!(!path.exists());
    }
}
