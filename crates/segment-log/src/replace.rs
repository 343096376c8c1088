//! A copy of a log's files, and the log replaced by such a copy or by nothing.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use drawspan_state::{Mark, private};

use super::error::LogError;
use super::partition::{Partition, mark_path};
use super::{TelemetryLog, partition_name};

/// Where the new files of a partition are until they take the place of the old ones.
const NEW: &str = "new";
/// Where the old files are until they are deleted.
const OLD: &str = "old";

impl TelemetryLog {
    /// Copies everything that is stored into `to`, which is created: a folder for each partition. Each partition is copied at one
    /// moment. Blocks.
    ///
    /// # Errors
    /// When the log is in memory, or the file system refuses.
    pub fn snapshot(&self, to: &Path) -> Result<(), LogError> {
        private::folder(to).map_err(|cause| LogError::io("create", to, cause))?;
        for (number, partition) in self.numbered() {
            partition.snapshot(&to.join(partition_name(number)))?;
        }
        Ok(())
    }

    /// Replaces everything that is stored by what [`Self::snapshot`] copied, positions included; without `from`, by nothing, and
    /// positions begin anew. Readers that were at a position that is not there any more must seek. Blocks.
    ///
    /// # Errors
    /// When the file system refuses. A partition that could not be replaced takes no more messages.
    pub fn replace(&self, from: Option<&Path>) -> Result<(), LogError> {
        for (number, partition) in self.numbered() {
            let from = from.map(|from| from.join(partition_name(number)));
            partition.replace(from.as_deref())?;
        }
        Ok(())
    }

    fn numbered(&self) -> impl Iterator<Item = (u16, &Partition)> {
        (0..).zip(&self.partitions)
    }
}

/// Copies a file that does not change any more: another name for it where the file system has such.
pub(super) fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(_) => fs::copy(from, to).map(drop),
    }
}

/// Copies the first `bytes` of a file.
pub(super) fn copy(from: &Path, to: &Path, bytes: u64) -> io::Result<()> {
    let mut target = private::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(to)?;
    let copied = io::copy(&mut File::open(from)?.take(bytes), &mut target)?;
    match copied == bytes {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Replaces a partition's folder by a copy of `from`, or by an empty one. The mark promises nothing from then on until the partition is
/// opened: if the process ends meanwhile, either folder is as good.
pub(super) fn folder(folder: &Path, from: Option<&Path>) -> Result<(), LogError> {
    let [new, old] = [NEW, OLD].map(|ending| with_ending(folder, ending));
    let failed = |doing, path: &Path| {
        let path = path.to_path_buf();
        move |cause| LogError::Io { doing, path, cause }
    };
    for left in [&new, &old] {
        absent(fs::remove_dir_all(left)).map_err(failed("delete", left))?;
    }
    private::folder(&new).map_err(failed("create", &new))?;
    if let Some(from) = from {
        for entry in fs::read_dir(from).map_err(failed("list", from))? {
            let entry = entry.map_err(failed("list", from))?;
            let (path, to) = (entry.path(), new.join(entry.file_name()));
            // The last segment grows: it must be the partition's own.
            fs::copy(&path, &to).map_err(failed("copy", &path))?;
            private::close_file(&to);
        }
    }
    let mark = mark_path(folder);
    Mark::begin(&mark, 0, [u64::MAX, 0]).map_err(failed("mark", folder))?;
    fs::rename(folder, &old).map_err(failed("move", folder))?;
    fs::rename(&new, folder).map_err(failed("move", &new))?;
    absent(fs::remove_dir_all(&old)).map_err(failed("delete", &old))
}

/// Finishes what the end of the process interrupted: the new files take their place.
pub(super) fn finish(folder: &Path) -> Result<(), LogError> {
    let new = with_ending(folder, NEW);
    if folder.exists() || !with_ending(folder, OLD).exists() || !new.exists() {
        return Ok(());
    }
    fs::rename(&new, folder).map_err(|cause| LogError::io("move", &new, cause))
}

fn with_ending(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
