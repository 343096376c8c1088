//! One partition: its end, its newest records in memory, and its files if there is a state directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use drawspan_state::{Mark, Recorded, private};

use super::disk::{self, Disk, Opened};
use super::error::LogError;
use super::index::Entry;
use super::notify::{Subscription, Waiters};
use super::position::{Keys, Position, Target};
use super::record::{self, NewRecord, StoredRecord};
use super::replace;
use super::sealed::ReadPlace;
use super::segment::{Base, keys};
use super::tail::{Chunk, Tail};
use super::{LogLimits, PartitionInfo};

/// A reader whose file was deleted by retention looks again this often.
const ATTEMPTS: usize = 3;

#[derive(Debug)]
pub(super) struct Partition {
    state: Mutex<State>,
    waiters: Waiters,
    limits: LogLimits,
}

#[derive(Debug)]
struct State {
    /// The numbers of the next record.
    next: Base,
    /// The newest record, if it is known and kept.
    last: Option<Keys>,
    /// Time of the newest record ever stored: time never falls within a partition.
    last_unix_ms: u64,
    tail: Tail,
    disk: Option<Disk>,
    /// The mark of the kept records.
    mark: Option<Mark>,
    /// It could not be replaced: what is stored now would be lost.
    broken: bool,
}

/// Outside the folder, so that it stays when the folder is deleted.
pub(super) fn mark_path(folder: &Path) -> PathBuf {
    folder.with_extension("mark")
}

impl Partition {
    pub(super) fn open(folder: Option<&Path>, limits: LogLimits) -> Result<Self, LogError> {
        let partition = Self {
            state: Mutex::new(State::open(folder, limits)?),
            waiters: Waiters::default(),
            limits,
        };
        partition.find_last()?;
        Ok(partition)
    }

    /// Copies all segments into a new folder.
    pub(super) fn snapshot(&self, to: &Path) -> Result<(), LogError> {
        // Held meanwhile, so that nothing grows and nothing expires.
        let state = self.lock();
        let disk = state.disk.as_ref().ok_or(LogError::InMemory)?;
        private::folder(to).map_err(|cause| LogError::io("create", to, cause))?;
        disk.copy(to)
    }

    /// Replaces everything by the segments in a folder, or by nothing.
    pub(super) fn replace(&self, from: Option<&Path>) -> Result<(), LogError> {
        let mut state = self.lock();
        let folder = state.disk.as_ref().map(|disk| disk.folder().to_path_buf());
        state.broken = true;
        if let Some(folder) = &folder {
            replace::folder(folder, from)?;
        }
        *state = State::open(folder.as_deref(), self.limits)?;
        drop(state);
        self.find_last()
    }
}

impl State {
    fn open(folder: Option<&Path>, limits: LogLimits) -> Result<Self, LogError> {
        Ok(match folder {
            Some(folder) => {
                let Opened {
                    disk,
                    next,
                    last_unix_ms,
                } = open_complete(folder, limits)?;
                let tail = Tail::new(limits.tail_bytes);
                let mark = mark_path(folder);
                let kept = [disk.begin().sequence, next.sequence];
                let mark = Mark::begin(&mark, 0, kept);
                let mark = mark.map_err(|cause| LogError::io("mark", folder, cause))?;
                Self {
                    next,
                    last: None,
                    last_unix_ms,
                    tail,
                    disk: Some(disk),
                    mark: Some(mark),
                    broken: false,
                }
            }
            None => {
                let tail = Tail::new(limits.memory_bytes);
                Self {
                    next: Base::default(),
                    last: None,
                    last_unix_ms: 0,
                    tail,
                    disk: None,
                    mark: None,
                    broken: false,
                }
            }
        })
    }
}

impl Partition {
    /// Stores `records` with one write. Nothing is stored when this fails.
    pub(super) fn append<'a>(
        &self,
        records: impl Iterator<Item = &'a NewRecord> + Clone,
        now_unix_ms: u64,
    ) -> Result<(), LogError> {
        let mut state = self.lock();
        if state.broken {
            return Err(LogError::Broken);
        }
        let unix_ms = now_unix_ms.max(state.last_unix_ms);
        state.roll_if_due(now_unix_ms)?;
        let mut position = state.disk.as_ref().map_or(0, Disk::end_position);
        let first = Keys {
            sequence: state.next.sequence,
            offset: state.next.offset,
            unix_ms,
        };
        let mut next = first;
        let mut last = None;
        let mut bytes = BytesMut::with_capacity(records.clone().map(record::encoded_len).sum());
        let mut entries = Vec::new();
        for record in records {
            record::encode(&mut bytes, next.sequence, unix_ms, record);
            entries.push(Entry {
                keys: next,
                position,
            });
            last = Some(next);
            let len = record::encoded_len(record) as u64;
            position += len;
            next.sequence += 1;
            next.offset += len;
        }
        if last.is_none() {
            return Ok(());
        }
        if let Some(disk) = &mut state.disk {
            disk.append(&bytes, &entries)?;
        }
        state.next = Base {
            sequence: next.sequence,
            offset: next.offset,
        };
        state.mark();
        state.last_unix_ms = unix_ms;
        state.last = last;
        state.tail.push(Chunk {
            first,
            bytes: bytes.freeze(),
        });
        drop(state);
        self.waiters.notify();
        Ok(())
    }

    /// Sequence number of the first record at or behind `position`, or of the next record if there is none yet.
    pub(super) fn seek(&self, position: Position) -> Result<u64, LogError> {
        let target = Target::from(position);
        self.retrying(|| {
            let state = self.lock();
            let (begin, next) = (state.begin(), state.next);
            match target {
                Target::Start => return Ok(begin.sequence),
                Target::End => return Ok(next.sequence),
                Target::Sequence(sequence) => {
                    return Ok(sequence.clamp(begin.sequence, next.sequence));
                }
                Target::Offset(_) | Target::Time(_) => {}
            }
            if let Some(chunk) = state.tail.chunk_before(target).cloned() {
                drop(state);
                return Ok(seek_in(&chunk, target).max(begin.sequence));
            }
            let Some(place) = state.disk.as_ref().and_then(|disk| disk.place(target)) else {
                return Ok(begin.sequence);
            };
            drop(state);
            Ok(seek_on_disk(&place, target)?.max(begin.sequence))
        })
    }

    /// Records from `sequence` on: at most `max_records`, and about `max_bytes` of them.
    ///
    /// Deleted records are skipped; the result is empty at the end. Fewer than requested does not mean the end.
    pub(super) fn read(
        &self,
        sequence: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredRecord>, LogError> {
        self.retrying(|| {
            let state = self.lock();
            let sequence = sequence.max(state.begin().sequence);
            if sequence >= state.next.sequence {
                return Ok(Vec::new());
            }
            if let Some(chunks) = state.tail.from(sequence, max_bytes) {
                drop(state);
                let records = chunks.iter().flat_map(Chunk::records).map_while(Result::ok);
                return Ok(take(
                    records.skip_while(|record| record.sequence < sequence),
                    max_records,
                    max_bytes,
                ));
            }
            // The last record at or before `sequence`: the one before its successor.
            let target = Target::Sequence(sequence.saturating_add(1));
            let Some(place) = state.disk.as_ref().and_then(|disk| disk.place(target)) else {
                return Ok(Vec::new());
            };
            drop(state);
            read_on_disk(&place, target, sequence, max_records, max_bytes)
        })
    }

    pub(super) fn info(&self) -> PartitionInfo {
        let state = self.lock();
        PartitionInfo {
            begin_sequence: state.begin().sequence,
            next_sequence: state.next.sequence,
            last_offset: state.last.map(|last| last.offset),
            last_enqueued_unix_ms: state.last.map(|last| last.unix_ms),
        }
    }

    pub(super) fn subscribe(
        &self,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Subscription, LogError> {
        self.waiters.subscribe(wake)
    }

    /// Closes an old segment, deletes what retention does not keep, brings the rest to the disk.
    pub(super) fn keep(&self, now_unix_ms: u64) -> Result<(), LogError> {
        let mut state = self.lock();
        let rolled = state.roll_if_due(now_unix_ms);
        let (expired, files) = match &mut state.disk {
            Some(disk) => (disk.expire(now_unix_ms), disk.take_unsynchronised()),
            None => (Vec::new(), Vec::new()),
        };
        if !expired.is_empty() {
            // Before they are gone.
            state.mark();
        }
        if state.disk.is_none() {
            state
                .tail
                .drop_before(now_unix_ms.saturating_sub(self.limits.retention_ms));
        }
        drop(state);
        for path in expired {
            std::fs::remove_file(&path).map_err(|cause| LogError::io("delete", &path, cause))?;
        }
        for (file, path) in files {
            file.sync_data()
                .map_err(|cause| LogError::io("synchronise", &path, cause))?;
        }
        rolled
    }

    /// Reads the newest record after a restart, for those who ask where the partition ends.
    fn find_last(&self) -> Result<(), LogError> {
        let next = self.lock().next.sequence;
        let Some(last) = next.checked_sub(1) else {
            return Ok(());
        };
        let record = self.read(last, 1, 1)?;
        self.lock().last = record.first().map(keys);
        Ok(())
    }

    fn retrying<T>(&self, look: impl Fn() -> Result<T, LogError>) -> Result<T, LogError> {
        let mut attempt = 1;
        loop {
            match look() {
                Err(LogError::Io { cause, .. })
                    if cause.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a folder that must hold the records that its mark says are kept, unless the machine failed since.
fn open_complete(folder: &Path, limits: LogLimits) -> Result<Opened, LogError> {
    if let Some(parent) = folder.parent() {
        private::folder(parent).map_err(|cause| LogError::io("create", parent, cause))?;
    }
    replace::finish(folder)?;
    let path = mark_path(folder);
    let recorded = Recorded::read(&path).map_err(|cause| LogError::io("read", &path, cause))?;
    if recorded == Recorded::Damaged && !disk::has_segments(folder) {
        return Err(LogError::Lost {
            path: folder.to_path_buf(),
            what: "its mark is damaged, and there is no segment".into(),
        });
    }
    let (begin, least) = match recorded {
        Recorded::Said(said) if said.boot.is_current() => (said.counts[0], said.counts[1]),
        _ => (u64::MAX, 0),
    };
    let opened = Disk::open(folder, limits, least)?;
    let (first, next) = (opened.disk.begin().sequence, opened.next.sequence);
    if first > begin {
        return Err(LogError::Lost {
            path: folder.to_path_buf(),
            what: format!(
                "messages {begin} to {} were kept and are not there",
                first - 1
            ),
        });
    }
    match recorded {
        Recorded::Said(said) if next < said.counts[1] => tracing::warn!(
            partition = %folder.display(), missing = said.counts[1] - next,
            "the machine ended before everything was on the disk: the newest messages are missing"
        ),
        Recorded::Damaged => tracing::warn!(
            partition = %folder.display(),
            "the mark of the partition is damaged: it cannot be determined whether messages are missing; a new mark is written"
        ),
        _ => {}
    }
    Ok(opened)
}

impl State {
    /// Updates the mark with the range of kept records.
    fn mark(&mut self) {
        let kept = [self.begin().sequence, self.next.sequence];
        if let Some(mark) = &mut self.mark {
            mark.say(kept);
        }
    }

    fn begin(&self) -> Base {
        match &self.disk {
            Some(disk) => disk.begin(),
            None => self.tail.first().map_or(self.next, |first| Base {
                sequence: first.sequence,
                offset: first.offset,
            }),
        }
    }

    fn roll_if_due(&mut self, now_unix_ms: u64) -> Result<(), LogError> {
        match &mut self.disk {
            Some(disk) => disk.roll_if_due(self.next, self.last_unix_ms, now_unix_ms),
            None => Ok(()),
        }
    }
}

fn seek_in(chunk: &Chunk, target: Target) -> u64 {
    let before = chunk
        .records()
        .map_while(Result::ok)
        .take_while(|record| target.is_after(keys(record)));
    chunk.first.sequence + before.count() as u64
}

fn seek_on_disk(place: &ReadPlace, target: Target) -> Result<u64, LogError> {
    let mut cursor = place.cursor(target)?;
    loop {
        match cursor.next_record() {
            Ok(Some(record)) if target.is_after(keys(&record)) => {}
            Ok(Some(record)) => return Ok(record.sequence),
            Ok(None) => return Ok(cursor.sequence),
            Err(stop) => return Err(cursor.error(stop)),
        }
    }
}

fn read_on_disk(
    place: &ReadPlace,
    target: Target,
    sequence: u64,
    max_records: usize,
    max_bytes: usize,
) -> Result<Vec<StoredRecord>, LogError> {
    let mut cursor = place.cursor(target)?;
    let mut failure = None;
    let records = std::iter::from_fn(|| match cursor.next_record() {
        Ok(record) => record,
        Err(stop) => {
            failure = Some(cursor.error(stop));
            None
        }
    });
    let taken = take(
        records.skip_while(|record| record.sequence < sequence),
        max_records,
        max_bytes,
    );
    match failure {
        // Readable records are returned; the damage is found again at the next call.
        Some(error) if taken.is_empty() => Err(error),
        _ => Ok(taken),
    }
}

fn take(
    records: impl Iterator<Item = StoredRecord>,
    max_records: usize,
    max_bytes: usize,
) -> Vec<StoredRecord> {
    let mut bytes = 0;
    let mut taken = Vec::new();
    for record in records.take(max_records) {
        bytes += record.message.len();
        taken.push(record);
        if bytes >= max_bytes {
            break;
        }
    }
    taken
}
