//! A sparse index of one segment: one entry per few kilobytes of the file.

use super::position::{Keys, Target};

/// The positions of some records of a segment.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
}

/// One record's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The record's keys.
    pub(super) keys: Keys,
    /// Its byte position within the file.
    pub(super) position: u64,
}

impl Index {
    /// Takes note of a record, if it lies far enough behind the last one noted.
    pub(super) fn note(&mut self, entry: Entry, stride_bytes: u64) {
        let far_enough = self
            .entries
            .last()
            .is_none_or(|last| entry.position - last.position >= stride_bytes);
        if far_enough {
            self.entries.push(entry);
        }
    }

    /// The last noted record before `target`; the first one if there is none.
    ///
    /// Reading on from there finds the target: entries noted later are not before it.
    pub(super) fn before(&self, target: Target) -> Option<Entry> {
        let after = self
            .entries
            .partition_point(|entry| target.is_after(entry.keys));
        self.entries.get(after.saturating_sub(1)).copied()
    }

    /// The first record.
    pub(super) fn first(&self) -> Option<Entry> {
        self.entries.first().copied()
    }
}
