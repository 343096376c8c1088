//! One process per directory.
//!
//! Both the directory itself and a file in it are locked. The file names the process that has the directory, and a process of an
//! earlier version locks only the file; but the file can be removed, after which another process would lock a new one.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::limits::LOCK_ATTEMPTS;
use crate::private;

/// The lock of a directory in use. The system releases it when the process ends, in any way.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
    _directory: Option<File>,
}

/// Why a directory cannot be had.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it; its number, if it left that.
    InUse(Option<u32>),
    /// The file cannot be created or locked.
    Io(io::Error),
}

impl Lock {
    /// Locks `directory` by the file `name` in it, which is created.
    ///
    /// # Errors
    /// When another process has the directory, or the file cannot be created or locked.
    pub fn take(directory: &Path, name: &str) -> Result<Self, LockError> {
        let path = directory.join(name);
        for _ in 0..LOCK_ATTEMPTS {
            let mut file = open(&path).map_err(LockError::Io)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::InUse(holder(&mut file))),
                Err(TryLockError::Error(cause)) => return Err(LockError::Io(cause)),
            }
            let of_directory = match lock_directory(directory) {
                Ok(lock) => lock,
                Err(()) => return Err(LockError::InUse(holder(&mut file))),
            };
            // Exchanged after it was opened: what is locked is not what the next one will open.
            if !is_at(&file, &path) {
                continue;
            }
            private::close_file(&path);
            // For readers that find it locked; a failure to write it is harmless.
            let _ = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| write!(file, "{}", std::process::id()));
            return Ok(Self {
                path,
                file,
                _directory: of_directory,
            });
        }
        Err(LockError::Io(io::Error::other(
            "the lock file is exchanged all the time",
        )))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file that is locked is still the one in the directory.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        is_at(&self.file, &self.path)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = private::options();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path)
}

/// `None` if the system cannot lock directories.
fn lock_directory(directory: &Path) -> Result<Option<File>, ()> {
    let Ok(opened) = File::open(directory) else {
        return Ok(None);
    };
    match opened.try_lock() {
        Ok(()) => Ok(Some(opened)),
        Err(TryLockError::WouldBlock) => Err(()),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(held), Ok(found)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (held.dev(), held.ino()) == (found.dev(), found.ino())
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_the_file_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path(), "lock").unwrap();
        let refused = Lock::take(folder.path(), "lock");
        assert!(
            matches!(refused, Err(LockError::InUse(Some(_)))),
            "{refused:?}"
        );
        assert!(lock.is_in_place());
        fs::remove_file(lock.path()).unwrap();
        assert!(!lock.is_in_place());
        let refused = Lock::take(folder.path(), "lock");
        assert!(matches!(refused, Err(LockError::InUse(_))), "{refused:?}");
        // The refused one made a file again: it is not the one that is locked.
        assert!(!lock.is_in_place());
        drop(lock);
        assert!(Lock::take(folder.path(), "lock").unwrap().is_in_place());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_opens_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let _lock = Lock::take(folder.path(), "lock").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
