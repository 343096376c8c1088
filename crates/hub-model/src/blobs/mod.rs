//! Blobs of uploaded files, as an index: which there are, which blocks wait to be put together, and how much room is left. The
//! contents are files, which the index knows by numbers.
//!
//! Rules: Azure's REST reference "Blob service", as far as uploads by a signature need them. Only block blobs; blocks that are
//! committed are not kept apart, so a list names uncommitted ones only.

mod blob;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use blob::{Blob, Block, Change, Condition, Contents, Effects, Kept, Refused, Room};

use crate::limits::{BLOB_BLOCKS_MAX, BLOBS_MAX, BLOCK_ID_BYTES, BLOCKS_MAX, BLOCKS_TTL_MS};

#[derive(Debug, Default)]
struct Staged {
    blocks: BTreeMap<Arc<str>, Arc<Block>>,
    last_unix_ms: u64,
}

/// The blobs of a hub.
#[derive(Debug)]
pub struct Blobs {
    quota: u64,
    blobs: BTreeMap<Arc<str>, Arc<Blob>>,
    staged: BTreeMap<Arc<str>, Staged>,
    /// When the blocks of which blob are dropped.
    deadlines: BTreeSet<(u64, Arc<str>)>,
    block_count: usize,
    /// Bytes of blobs, blocks and what is being written.
    bytes: u64,
    /// What is being written.
    writing: usize,
    next_file: u64,
}

impl Blobs {
    /// Continues where the hub stopped.
    pub fn restore(quota: u64, kept: Kept) -> Self {
        let mut all = Self {
            quota,
            blobs: BTreeMap::new(),
            staged: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            block_count: 0,
            bytes: 0,
            writing: 0,
            next_file: 1,
        };
        for blob in kept.blobs {
            all.next_file = all.next_file.max(blob.file + 1);
            all.bytes += blob.bytes;
            all.blobs.insert(Arc::clone(&blob.name), blob);
        }
        for block in kept.blocks {
            all.next_file = all.next_file.max(block.file + 1);
            all.bytes += block.bytes;
            all.stage(block);
        }
        all
    }

    /// Every file that there should be.
    pub fn files(&self) -> impl Iterator<Item = u64> {
        let blocks = self
            .staged
            .values()
            .flat_map(|staged| staged.blocks.values());
        let blobs = self.blobs.values().map(|blob| blob.file);
        blobs.chain(blocks.map(|block| block.file))
    }

    /// Makes room for contents. Every room goes to one of the writers, or to [`give_back`](Self::give_back).
    ///
    /// # Errors
    /// When there is none.
    pub fn reserve(&mut self, wanted: u64) -> Result<Room, Refused> {
        self.reserve_beyond(wanted, 0)
    }

    /// Makes room for contents that are put together of a blob's blocks. Those give up their own room at the end, so it counts
    /// once.
    ///
    /// # Errors
    /// When there is none.
    pub fn reserve_for_blocks(&mut self, name: &str, wanted: u64) -> Result<Room, Refused> {
        let staged = self.staged.get(name).into_iter();
        let blocks = staged.flat_map(|staged| staged.blocks.values());
        let given_up = blocks.map(|block| block.bytes).sum();
        self.reserve_beyond(wanted, given_up)
    }

    fn reserve_beyond(&mut self, wanted: u64, given_up: u64) -> Result<Room, Refused> {
        let (kept, quota) = (self.bytes.saturating_sub(given_up), self.quota);
        if kept.checked_add(wanted).is_none_or(|all| all > quota) {
            return Err(Refused::NoRoom {
                kept,
                wanted,
                quota,
            });
        }
        if self.blobs.len() + self.writing >= BLOBS_MAX
            || self.block_count + self.writing >= BLOCKS_MAX
        {
            return Err(Refused::TooMany);
        }
        self.bytes = self.bytes.saturating_add(wanted);
        self.writing += 1;
        let file = self.next_file;
        self.next_file += 1;
        Ok(Room {
            file,
            bytes: wanted,
        })
    }

    /// Contents were not written.
    pub fn give_back(&mut self, room: &Room) {
        self.bytes = self.bytes.saturating_sub(room.bytes);
        self.writing = self.writing.saturating_sub(1);
    }

    /// A blob of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&Arc<Blob>, Refused> {
        self.blobs.get(name).ok_or(Refused::NotFound)
    }

    /// Blobs whose names begin with `prefix` and come after `after`, in the order of their names.
    pub fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<Blob>> {
        let from = match after {
            Some(after) if after >= prefix => std::ops::Bound::Excluded(after),
            _ => std::ops::Bound::Included(prefix),
        };
        self.blobs
            .range::<str, _>((from, std::ops::Bound::Unbounded))
            .map(|(_, blob)| blob)
            .take_while(move |blob| blob.name.starts_with(prefix))
    }

    /// Whether a writer's condition holds.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self, name: &str, condition: &Condition) -> Result<(), Refused> {
        match (condition, self.blobs.get(name)) {
            (Condition::None, _) | (Condition::Absent, None) => Ok(()),
            (Condition::Absent, Some(_)) => Err(Refused::AlreadyExists),
            (Condition::Etag(etag), Some(blob)) if etag == "*" || *etag == blob.etag() => Ok(()),
            (Condition::Etag(_), _) => Err(Refused::ConditionNotMet),
        }
    }

    /// Takes written contents as a whole blob. Blocks that wait for it are dropped, as Azure Storage does.
    ///
    /// # Errors
    /// When the condition does not hold; then the room is not given back.
    pub fn put(
        &mut self,
        room: &Room,
        name: &Arc<str>,
        headers: Vec<(String, String)>,
        condition: &Condition,
        now: u64,
        effects: &mut Effects,
    ) -> Result<Arc<Blob>, Refused> {
        self.check(name, condition)?;
        self.writing = self.writing.saturating_sub(1);
        let before = self.blobs.get(name);
        let blob = Arc::new(Blob {
            name: Arc::clone(name),
            file: room.file,
            bytes: room.bytes,
            created_unix_ms: before.map_or(now, |before| before.created_unix_ms),
            modified_unix_ms: now,
            headers,
        });
        if let Some(before) = self.blobs.insert(Arc::clone(name), Arc::clone(&blob)) {
            self.bytes = self.bytes.saturating_sub(before.bytes);
            effects.unused.push(before.contents());
        }
        effects.changes.push(Change::Put(Arc::clone(&blob)));
        self.drop_blocks(name, effects);
        Ok(blob)
    }

    /// Whether a block of that id may be put.
    ///
    /// # Errors
    /// When the id is none, or unlike those of the other blocks.
    pub fn check_block(&self, name: &str, id: &str) -> Result<(), Refused> {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let bytes = match id.len() <= BLOCK_ID_BYTES * 2 {
            true => STANDARD.decode(id).map_err(|_| Refused::BlockId)?,
            false => return Err(Refused::BlockId),
        };
        if bytes.is_empty() || bytes.len() > BLOCK_ID_BYTES {
            return Err(Refused::BlockId);
        }
        let Some(staged) = self.staged.get(name) else {
            return Ok(());
        };
        if staged
            .blocks
            .keys()
            .next()
            .is_some_and(|it| it.len() != id.len())
        {
            return Err(Refused::BlockIdLength);
        }
        match staged.blocks.len() >= BLOB_BLOCKS_MAX && !staged.blocks.contains_key(id) {
            true => Err(Refused::TooMany),
            false => Ok(()),
        }
    }

    /// Takes written contents as a block.
    ///
    /// # Errors
    /// As [`check_block`](Self::check_block); then the room is not given back.
    pub fn put_block(
        &mut self,
        room: &Room,
        name: &Arc<str>,
        id: &str,
        now: u64,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        self.check_block(name, id)?;
        self.writing = self.writing.saturating_sub(1);
        let block = Arc::new(Block {
            blob: Arc::clone(name),
            id: id.into(),
            file: room.file,
            bytes: room.bytes,
            at_unix_ms: now,
        });
        effects.changes.push(Change::Block(Arc::clone(&block)));
        if let Some(before) = self.stage(block) {
            self.bytes = self.bytes.saturating_sub(before.bytes);
            effects.unused.push(before.contents());
        }
        Ok(())
    }

    /// The blocks that are to become a blob.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn blocks(&self, name: &str, ids: &[String]) -> Result<Vec<Arc<Block>>, Refused> {
        if ids.len() > BLOB_BLOCKS_MAX {
            return Err(Refused::BlockList);
        }
        let staged = self.staged.get(name);
        let find = |id: &String| staged?.blocks.get(id.as_str()).cloned();
        let found: Option<Vec<_>> = ids.iter().map(find).collect();
        found.ok_or(Refused::BlockList)
    }

    /// Deletes a blob, and the blocks that wait for it.
    ///
    /// # Errors
    /// When there is none.
    pub fn delete(&mut self, name: &str, effects: &mut Effects) -> Result<(), Refused> {
        let blob = self.blobs.remove(name).ok_or(Refused::NotFound)?;
        self.bytes = self.bytes.saturating_sub(blob.bytes);
        effects.unused.push(blob.contents());
        effects.changes.push(Change::Gone(Arc::clone(&blob.name)));
        self.drop_blocks(name, effects);
        Ok(())
    }

    /// When [`tick`](Self::tick) has something to do, Unix milliseconds.
    pub fn deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Deletes blocks that were not committed in time.
    pub fn tick(&mut self, now: u64, effects: &mut Effects) {
        while let Some((at, name)) = self.deadlines.first().cloned() {
            if at > now {
                break;
            }
            self.drop_blocks(&name, effects);
        }
    }

    /// Returns the block that was there under this id.
    fn stage(&mut self, block: Arc<Block>) -> Option<Arc<Block>> {
        let name = Arc::clone(&block.blob);
        let staged = self.staged.entry(Arc::clone(&name)).or_default();
        self.deadlines.remove(&(due(staged), Arc::clone(&name)));
        staged.last_unix_ms = staged.last_unix_ms.max(block.at_unix_ms);
        self.deadlines.insert((due(staged), name));
        let before = staged.blocks.insert(Arc::clone(&block.id), block);
        self.block_count += usize::from(before.is_none());
        before
    }

    fn drop_blocks(&mut self, name: &str, effects: &mut Effects) {
        let Some((name, staged)) = self.staged.remove_entry(name) else {
            return;
        };
        self.deadlines.remove(&(due(&staged), Arc::clone(&name)));
        self.block_count = self.block_count.saturating_sub(staged.blocks.len());
        for block in staged.blocks.values() {
            self.bytes = self.bytes.saturating_sub(block.bytes);
            effects.unused.push(block.contents());
        }
        effects.changes.push(Change::BlocksGone(name));
    }
}

fn due(staged: &Staged) -> u64 {
    staged.last_unix_ms.saturating_add(BLOCKS_TTL_MS)
}
