//! The files of snapshots, in the state directory: `snapshots/NAME/` with `registry.db`, `hubs/HOST/` and `uploads/HOST/`.
//!
//! A snapshot is made under another name and renamed when it is whole.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use drawspan_hub::HostName;
use drawspan_state::private;

use super::SnapshotError;
use crate::limits::{SNAPSHOT_NAME_CHARS, SNAPSHOTS_MAX};
use crate::state::{HUBS_FOLDER, SNAPSHOTS_FOLDER, UPLOADS_FOLDER};

const REGISTRY: &str = "registry.db";
/// What a snapshot has that is whole: when it was taken, Unix milliseconds.
const TAKEN: &str = "taken";
/// A name that no snapshot has.
const NEW: &str = ".new";
const OLD: &str = ".old";

/// The name of a snapshot: letters, digits, `-`, `_` and `.`, not first of all a `.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name of a snapshot: 1 to {SNAPSHOT_NAME_CHARS} letters, digits, `-`, `_` and `.`, not first of all a `.`"
)]
pub(crate) struct InvalidName(String);

/// A snapshot that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) name: String,
    /// When it was taken, Unix milliseconds.
    pub(crate) unix_ms: u64,
    /// Its size.
    pub(crate) bytes: u64,
}

/// The folder of all snapshots.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// The folder of one snapshot.
#[derive(Clone, Debug)]
pub(super) struct Copy(PathBuf);

/// A snapshot that is being made.
#[derive(Debug)]
pub(super) struct NewCopy {
    copy: Copy,
    name: Name,
    folder: Folder,
}

/// The uploaded files of a hub.
#[derive(Debug)]
pub(super) struct Uploads(PathBuf);

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_name = (1..=SNAPSHOT_NAME_CHARS).contains(&text.len())
            && text.bytes().all(plain)
            && !text.starts_with('.');
        match is_name {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidName(
                text.chars().take(SNAPSHOT_NAME_CHARS).collect(),
            )),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Folder {
    pub(super) fn of(state: &Path) -> Self {
        Self(state.join(SNAPSHOTS_FOLDER))
    }

    /// Begins a snapshot.
    pub(super) fn begin(&self, name: &Name) -> Result<NewCopy, SnapshotError> {
        let is_new = self.find(name).is_err();
        if is_new && self.list()?.len() >= SNAPSHOTS_MAX {
            return Err(SnapshotError::TooMany);
        }
        let new = self.0.join(NEW);
        absent(fs::remove_dir_all(&new)).map_err(failed("delete", &new))?;
        private::folder(&new).map_err(failed("create", &new))?;
        Ok(NewCopy {
            copy: Copy(new),
            name: name.clone(),
            folder: self.clone(),
        })
    }

    pub(super) fn find(&self, name: &Name) -> Result<Copy, SnapshotError> {
        let path = self.0.join(&name.0);
        match path.join(TAKEN).exists() {
            true => Ok(Copy(path)),
            false => Err(SnapshotError::NotFound(name.clone())),
        }
    }

    pub(super) fn list(&self) -> Result<Vec<Taken>, SnapshotError> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("list", &self.0)(error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed("list", &self.0))?.file_name();
            // Others are not ours, or not whole.
            let name = name.to_str().and_then(|name| name.parse::<Name>().ok());
            let Some(copy) = name.and_then(|name| self.find(&name).ok()) else {
                continue;
            };
            all.push(copy.taken()?);
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    pub(super) fn remove(&self, name: &Name) -> Result<(), SnapshotError> {
        let Copy(path) = self.find(name)?;
        let old = self.0.join(OLD);
        absent(fs::remove_dir_all(&old)).map_err(failed("delete", &old))?;
        fs::rename(&path, &old).map_err(failed("move", &path))?;
        fs::remove_dir_all(&old).map_err(failed("delete", &old))
    }
}

impl Copy {
    pub(super) fn registry(&self) -> PathBuf {
        self.0.join(REGISTRY)
    }

    pub(super) fn telemetry(&self, host: &HostName) -> PathBuf {
        self.0.join(HUBS_FOLDER).join(host.as_str())
    }

    pub(super) fn uploads(&self, host: &HostName) -> PathBuf {
        uploads_folder(&self.0, host)
    }

    fn taken(&self) -> Result<Taken, SnapshotError> {
        let path = self.0.join(TAKEN);
        let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
        let name = self.0.file_name().and_then(|name| name.to_str());
        Ok(Taken {
            name: name.unwrap_or_default().to_owned(),
            unix_ms: text.trim().parse().unwrap_or(0),
            bytes: size(&self.0).map_err(failed("list", &self.0))?,
        })
    }
}

impl NewCopy {
    pub(super) fn registry(&self) -> PathBuf {
        self.copy.registry()
    }

    pub(super) fn telemetry(&self, host: &HostName) -> PathBuf {
        self.copy.telemetry(host)
    }

    pub(super) fn uploads(&self, host: &HostName) -> PathBuf {
        self.copy.uploads(host)
    }

    /// It is whole: it takes its name, and the place of an earlier one.
    pub(super) fn finish(self, now_unix_ms: u64) -> Result<Taken, SnapshotError> {
        let Self { copy, name, folder } = self;
        let mark = copy.0.join(TAKEN);
        fs::write(&mark, format!("{now_unix_ms}\n")).map_err(failed("write", &mark))?;
        private::close_file(&mark);
        if folder.find(&name).is_ok() {
            folder.remove(&name)?;
        }
        let path = folder.0.join(&name.0);
        fs::rename(&copy.0, &path).map_err(failed("move", &copy.0))?;
        Copy(path).taken()
    }
}

impl Uploads {
    pub(super) fn of(state: &Path, host: &HostName) -> Self {
        Self(uploads_folder(state, host))
    }

    /// Copies the files, which do not change once they are written.
    pub(super) fn copy_to(&self, to: &Path) -> Result<(), SnapshotError> {
        for name in names(&self.0)? {
            private::folder(to).map_err(failed("create", to))?;
            let path = self.0.join(&name);
            let linked = fs::hard_link(&path, to.join(&name));
            let copied = linked.or_else(|_| fs::copy(&path, to.join(&name)).map(drop));
            // A file that was being written may be gone.
            absent(copied).map_err(failed("copy", &path))?;
        }
        Ok(())
    }

    /// Replaces the files by copies of those in a folder.
    pub(super) fn replace(&self, from: &Path) -> Result<(), SnapshotError> {
        absent(fs::remove_dir_all(&self.0)).map_err(failed("delete", &self.0))?;
        for name in names(from)? {
            private::folder(&self.0).map_err(failed("create", &self.0))?;
            let path = from.join(&name);
            fs::copy(&path, self.0.join(&name)).map_err(failed("copy", &path))?;
        }
        Ok(())
    }
}

/// The folder of a hub's uploaded files, in the state directory or in a snapshot.
pub(super) fn uploads_folder(state: &Path, host: &HostName) -> PathBuf {
    state.join(UPLOADS_FOLDER).join(host.as_str())
}

/// The names in a folder; none if it is not there.
fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>, SnapshotError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", folder)(error)),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    names
        .collect::<Result<_, _>>()
        .map_err(failed("list", folder))
}

fn size(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => size(&entry.path())?,
            false => metadata.len(),
        };
    }
    Ok(bytes)
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> SnapshotError {
    let path = path.display().to_string();
    move |cause| SnapshotError::Files(format!("cannot {doing} {path}: {cause}"))
}

/// A missing one is fine.
fn absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files_and_never_of_others() {
        for name in ["a", "before-upgrade", "2026-11-30_1.2", &"x".repeat(64)] {
            assert!(name.parse::<Name>().is_ok(), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".new",
            "a/b",
            "a\\b",
            "ä",
            "a b",
            &"x".repeat(65),
        ] {
            assert!(name.parse::<Name>().is_err(), "{name}");
        }
    }
}
