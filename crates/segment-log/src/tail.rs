//! The newest records of a partition, in memory and encoded.

use std::collections::VecDeque;

use bytes::Bytes;

use super::position::{Keys, Target};
use super::record::{self, Damage, StoredRecord};

/// The cost of a queue entry in addition to its bytes.
const CHUNK_COST_BYTES: usize = 96;

/// The newest records; the oldest leave when the bound is reached.
#[derive(Debug)]
pub(super) struct Tail {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    max_bytes: usize,
}

/// The records of one append.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Keys of the first record.
    pub(super) first: Keys,
    /// The encoded records.
    pub(super) bytes: Bytes,
}

impl Tail {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            bytes: 0,
            max_bytes,
        }
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.cost();
        self.chunks.push_back(chunk);
        while self.bytes > self.max_bytes {
            self.drop_oldest();
        }
    }

    /// Drops what was stored before `unix_ms`.
    pub(super) fn drop_before(&mut self, unix_ms: u64) {
        while self
            .chunks
            .front()
            .is_some_and(|oldest| oldest.first.unix_ms < unix_ms)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(chunk) = self.chunks.pop_front() {
            self.bytes -= chunk.cost();
        }
    }

    /// Keys of the oldest record that is still here.
    pub(super) fn first(&self) -> Option<Keys> {
        self.chunks.front().map(|chunk| chunk.first)
    }

    /// The chunk that contains `target`, or that it follows; `None` if that may be before the first chunk.
    pub(super) fn chunk_before(&self, target: Target) -> Option<&Chunk> {
        let after = self
            .chunks
            .partition_point(|chunk| target.is_after(chunk.first));
        self.chunks.get(after.checked_sub(1)?)
    }

    /// Chunks from the one that holds record `sequence` on, up to about `max_bytes`; `None` if that one is gone.
    pub(super) fn from(&self, sequence: u64, max_bytes: usize) -> Option<Vec<Chunk>> {
        let after = self
            .chunks
            .partition_point(|chunk| chunk.first.sequence <= sequence);
        let start = after.checked_sub(1)?;
        let mut budget = max_bytes;
        let mut taken = Vec::new();
        for chunk in self.chunks.iter().skip(start) {
            taken.push(chunk.clone());
            budget = budget.saturating_sub(chunk.bytes.len());
            if budget == 0 {
                break;
            }
        }
        Some(taken)
    }
}

impl Chunk {
    fn cost(&self) -> usize {
        self.bytes.len() + CHUNK_COST_BYTES
    }

    /// The records, oldest first.
    pub(super) fn records(&self) -> impl Iterator<Item = Result<StoredRecord, Damage>> {
        let mut rest = self.bytes.clone();
        let mut offset = self.first.offset;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            match record::decode(&rest, offset) {
                Ok((record, len)) => {
                    rest = rest.slice(len..);
                    offset += len as u64;
                    Some(Ok(record))
                }
                Err(damage) => {
                    rest = Bytes::new();
                    Some(Err(damage))
                }
            }
        })
    }
}
