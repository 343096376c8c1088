//! A partition's folder: sealed segments, and the active one.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use drawspan_state::private;

use super::LogLimits;
use super::error::LogError;
use super::index::{Entry, Index};
use super::position::Target;
use super::replace;
use super::scan;
use super::sealed::{ReadPlace, Sealed};
use super::segment::{Base, PREAMBLE, PREAMBLE_BYTES};

/// The files of one partition.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    sealed: VecDeque<Arc<Sealed>>,
    active: Active,
    /// Sealed segments whose last bytes may not be on the disk yet.
    unsynchronised: Vec<(Arc<File>, PathBuf)>,
    limits: LogLimits,
}

#[derive(Debug)]
struct Active {
    path: PathBuf,
    base: Base,
    file: Arc<File>,
    index: Index,
    end_position: u64,
    synchronised: bool,
    /// A write failed and could not be undone: nothing may be appended behind the rubbish.
    broken: bool,
}

/// A partition's folder as it was found.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) disk: Disk,
    /// The position of the next record.
    pub(super) next: Base,
    /// When the last record was stored; 0 if unknown.
    pub(super) last_unix_ms: u64,
}

impl Disk {
    /// Opens or creates a partition's folder; cuts off what a crash left at the end.
    /// `least` is the sequence number behind the last record that must be there.
    pub(super) fn open(folder: &Path, limits: LogLimits, least: u64) -> Result<Opened, LogError> {
        let mut bases = match folder.exists() {
            true => segment_bases(folder)?,
            false => Vec::new(),
        };
        for base in &bases {
            private::close_file(&folder.join(base.file_name()));
        }
        if bases.is_empty() && least > 0 {
            return Err(scan::lost(folder, 0, least));
        }
        private::folder(folder).map_err(|cause| LogError::io("create", folder, cause))?;
        let last = bases.pop().unwrap_or_default();
        let path = folder.join(last.file_name());
        if !path.exists() {
            create(&path)?;
        }
        let contents = scan::recover(&path, last, limits.index_stride_bytes, least)?;
        let mut sealed = VecDeque::new();
        let mut following = (last, contents.index.first().map(|first| first.keys.unix_ms));
        for base in bases.into_iter().rev() {
            let segment = Sealed::open(folder, base, following, limits.index_stride_bytes)?;
            following = (base, Some(segment.first.unix_ms));
            sealed.push_front(Arc::new(segment));
        }
        let last_sealed_ms = sealed.back().map(|segment| segment.last_unix_ms);
        let last_unix_ms = contents.last_unix_ms.or(last_sealed_ms).unwrap_or(0);
        let next = contents.end;
        let active = Active::open(path, last, contents.index, contents.end_position)?;
        let folder = folder.to_path_buf();
        let disk = Self {
            folder,
            sealed,
            active,
            unsynchronised: Vec::new(),
            limits,
        };
        Ok(Opened {
            disk,
            next,
            last_unix_ms,
        })
    }

    /// Its folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Copies all segments into a folder.
    pub(super) fn copy(&self, to: &Path) -> Result<(), LogError> {
        for sealed in &self.sealed {
            let path = &sealed.path;
            replace::link(path, &to.join(sealed.base.file_name()))
                .map_err(|cause| LogError::io("copy", path, cause))?;
        }
        let Active {
            path,
            base,
            end_position,
            ..
        } = &self.active;
        replace::copy(path, &to.join(base.file_name()), *end_position)
            .map_err(|cause| LogError::io("copy", path, cause))
    }

    /// The oldest place that is kept.
    pub(super) fn begin(&self) -> Base {
        self.sealed
            .front()
            .map_or(self.active.base, |sealed| sealed.base)
    }

    /// Appends encoded records with one write; after an error nothing of them is there.
    pub(super) fn append(&mut self, bytes: &[u8], entries: &[Entry]) -> Result<(), LogError> {
        if self.active.broken {
            self.active.undo();
        }
        if self.active.broken {
            return Err(LogError::Broken);
        }
        if let Err(cause) = (&*self.active.file).write_all(bytes) {
            self.active.undo();
            return Err(LogError::io("write to", &self.active.path, cause));
        }
        for entry in entries {
            self.active
                .index
                .note(*entry, self.limits.index_stride_bytes);
        }
        self.active.end_position += bytes.len() as u64;
        self.active.synchronised = false;
        Ok(())
    }

    /// Byte position of the next record within its file.
    pub(super) fn end_position(&self) -> u64 {
        self.active.end_position
    }

    /// Closes the growing segment when it is large or old enough, and begins the next one.
    pub(super) fn roll_if_due(
        &mut self,
        next: Base,
        last_unix_ms: u64,
        now_unix_ms: u64,
    ) -> Result<(), LogError> {
        let Some(first) = self.active.index.first() else {
            return Ok(());
        };
        let old = now_unix_ms.saturating_sub(first.keys.unix_ms) >= self.limits.segment_age_ms;
        if !old && self.active.end_position < self.limits.segment_bytes {
            return Ok(());
        }
        let path = self.folder.join(next.file_name());
        create(&path)?;
        let active = Active::open(path, next, Index::default(), PREAMBLE_BYTES)?;
        let before = std::mem::replace(&mut self.active, active);
        if !before.synchronised {
            self.unsynchronised.push((before.file, before.path.clone()));
        }
        self.sealed.push_back(Arc::new(Sealed {
            path: before.path,
            base: before.base,
            end_position: before.end_position,
            stride_bytes: self.limits.index_stride_bytes,
            last_unix_ms,
            first: first.keys,
            index: OnceLock::from(before.index),
        }));
        Ok(())
    }

    /// Takes the oldest sealed segments out that retention does not keep; the caller deletes the files.
    pub(super) fn expire(&mut self, now_unix_ms: u64) -> Vec<PathBuf> {
        let mut total = self.active.end_position;
        total += self
            .sealed
            .iter()
            .map(|sealed| sealed.end_position)
            .sum::<u64>();
        let keep_from = now_unix_ms.saturating_sub(self.limits.retention_ms);
        let mut expired = Vec::new();
        while let Some(oldest) = self.sealed.front() {
            if total <= self.limits.disk_bytes && oldest.last_unix_ms >= keep_from {
                break;
            }
            total -= oldest.end_position;
            expired.push(oldest.path.clone());
            self.sealed.pop_front();
        }
        expired
    }

    /// The files that have bytes that may not be on the disk yet; they count as synchronised from now on.
    pub(super) fn take_unsynchronised(&mut self) -> Vec<(Arc<File>, PathBuf)> {
        let mut files = std::mem::take(&mut self.unsynchronised);
        if !std::mem::replace(&mut self.active.synchronised, true) {
            files.push((Arc::clone(&self.active.file), self.active.path.clone()));
        }
        files
    }

    /// Where to search for `target`; `None` if it is behind everything.
    pub(super) fn place(&self, target: Target) -> Option<ReadPlace> {
        if let Some(from) = self.active.index.before(target)
            && (target.is_after(from.keys) || self.sealed.is_empty())
        {
            let Active {
                path,
                base,
                end_position,
                ..
            } = &self.active;
            return Some(ReadPlace::Active {
                path: path.clone(),
                base: *base,
                from,
                end_position: *end_position,
            });
        }
        let after = self
            .sealed
            .partition_point(|sealed| target.is_after(sealed.first));
        self.sealed
            .get(after.saturating_sub(1))
            .cloned()
            .map(ReadPlace::Sealed)
    }
}

impl Active {
    fn open(path: PathBuf, base: Base, index: Index, end_position: u64) -> Result<Self, LogError> {
        let failed = |cause| LogError::io("open", &path, cause);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        let mut end_position = end_position;
        if end_position < PREAMBLE_BYTES {
            // The crash came between creating the file and its first bytes.
            file.set_len(0)
                .and_then(|()| file.write_all(&PREAMBLE))
                .map_err(failed)?;
            end_position = PREAMBLE_BYTES;
        }
        file.seek(SeekFrom::Start(end_position)).map_err(failed)?;
        Ok(Self {
            path,
            base,
            file: Arc::new(file),
            index,
            end_position,
            synchronised: true,
            broken: false,
        })
    }

    /// Removes the beginning of a record whose write failed.
    fn undo(&mut self) {
        let undone = self
            .file
            .set_len(self.end_position)
            .and_then(|()| (&*self.file).seek(SeekFrom::Start(self.end_position)));
        self.broken = undone.is_err();
    }
}

fn create(path: &Path) -> Result<(), LogError> {
    let mut options = private::options();
    options.write(true).create(true).truncate(true);
    options
        .open(path)
        .and_then(|mut file| file.write_all(&PREAMBLE))
        .map_err(|cause| LogError::io("create", path, cause))
}

/// Whether a folder has any segment.
pub(super) fn has_segments(folder: &Path) -> bool {
    segment_bases(folder).is_ok_and(|bases| !bases.is_empty())
}

fn segment_bases(folder: &Path) -> Result<Vec<Base>, LogError> {
    let failed = |cause| LogError::io("list", folder, cause);
    let mut bases = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        bases.extend(name.to_str().and_then(Base::from_file_name));
    }
    bases.sort_unstable();
    Ok(bases)
}
