//! The built-in storage of uploaded files: an index, and a folder with a file for each blob and each block.
//!
//! A file is written before the index knows it, and removed after the index has forgotten it; what the end of the process leaves in
//! between is removed at the next start. The names of files begin with their numbers and end with what can be read of the blob's
//! name.

mod folder;
#[cfg(test)]
mod tests;
mod writing;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drawspan_hub::storage::{self, Permission, Scope};
use drawspan_hub::{HostName, SymmetricKey};
use drawspan_hub_model::blobs::{Blob, Blobs, Condition, Contents, Effects, Kept, Refused};
use drawspan_hub_store::{Store, StoreError, Write};
use tokio::fs::File;

use crate::clock::Clock;
use folder::Folder;
pub use writing::{Writing, Written};

/// The name of the account, which is a part of every signature.
const ACCOUNT: &str = "drawspan";
/// The one container of a hub; the first segment of the path of each blob.
pub const CONTAINER: &str = "uploads";

/// The uploaded files of a hub.
#[derive(Debug)]
pub struct BlobStore {
    host: HostName,
    clock: Clock,
    key: SymmetricKey,
    folder: Folder,
    held: Mutex<Blobs>,
    store: Option<Arc<Store>>,
}

/// The parts of a storage.
#[derive(Debug)]
pub struct Parts {
    /// The hub.
    pub host: HostName,
    /// The time by which it lives.
    pub clock: Clock,
    /// Signs what devices and users may do.
    pub key: SymmetricKey,
    /// Where the files are. It is made when the first one comes.
    pub folder: PathBuf,
    /// The index.
    pub blobs: Blobs,
    /// `None` keeps the index in memory only.
    pub store: Option<Arc<Store>>,
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It is not allowed, or there is no room.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// More or fewer bytes came than were announced.
    #[error("The body has not as many bytes as Content-Length says")]
    Length,
    /// The bytes are not those that were sent.
    #[error(
        "The MD5 value specified in the request did not match with the MD5 value calculated by the server."
    )]
    Md5,
    /// The file system refused.
    #[error("the emulator cannot write or read the file: {0}")]
    Io(#[from] io::Error),
    /// The index cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BlobStore {
    /// Removes files that the index does not know.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            host,
            clock,
            key,
            folder,
            blobs,
            store,
        } = parts;
        let folder = Folder::new(folder);
        let known: HashSet<u64> = blobs.files().collect();
        folder.remove_others(&known);
        Arc::new(Self {
            host,
            clock,
            key,
            folder,
            held: Mutex::new(blobs),
            store,
        })
    }

    /// Replaces the index, and removes the files that it does not know. Nothing must be under way.
    pub fn replace(&self, blobs: Blobs) {
        let known: HashSet<u64> = blobs.files().collect();
        *self.held() = blobs;
        self.folder.remove_others(&known);
    }

    /// A signature for one blob, or for all, as the query of a URL. A secret until it expires.
    pub fn sign(
        &self,
        blob: Option<&str>,
        permissions: &[Permission],
        expires_unix_s: u64,
    ) -> String {
        storage::sign(scope(blob), &self.key, permissions, expires_unix_s)
    }

    /// Whether a request's query allows one of `wanted` on a blob, or on the container.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(
        &self,
        query: &str,
        blob: Option<&str>,
        wanted: &[Permission],
    ) -> Result<(), storage::Refused> {
        let now = self.clock.unix_ms();
        storage::check(query, scope(blob), &self.key, wanted, now)
    }

    /// A blob, if there is one of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Blob>> {
        self.held().get(name).ok().cloned()
    }

    /// At most `max` blobs whose names begin with `prefix` and come after `after`.
    pub fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Vec<Arc<Blob>> {
        let held = self.held();
        held.list(prefix, after).take(max).cloned().collect()
    }

    /// A blob with its contents.
    ///
    /// # Errors
    /// When no blob has this name, or its file cannot be read.
    pub async fn open(&self, name: &str) -> Result<(Arc<Blob>, File), BlobError> {
        let blob = Arc::clone(self.held().get(name)?);
        let file = File::open(self.folder.path(&blob.contents())).await?;
        let found = file.metadata().await?.len();
        if found != blob.bytes {
            let text = format!("it has {found} bytes instead of {}", blob.bytes);
            return Err(BlobError::Io(io::Error::other(text)));
        }
        Ok((blob, file))
    }

    /// Begins to write the contents of a blob, of so many bytes.
    ///
    /// # Errors
    /// When there is no room, or no file.
    pub async fn write_blob(
        self: &Arc<Self>,
        name: &Arc<str>,
        bytes: u64,
        condition: &Condition,
    ) -> Result<Writing, BlobError> {
        let room = {
            let mut held = self.held();
            held.check(name, condition)?;
            held.reserve(bytes)?
        };
        Writing::begin(Arc::clone(self), room, Some(Arc::clone(name))).await
    }

    /// Begins to write the contents of a block, of so many bytes.
    ///
    /// # Errors
    /// When the quota is used up, the block id is not valid, or its file cannot be created.
    pub async fn write_block(
        self: &Arc<Self>,
        name: &str,
        id: &str,
        bytes: u64,
    ) -> Result<Writing, BlobError> {
        let room = {
            let mut held = self.held();
            held.check_block(name, id)?;
            held.reserve(bytes)?
        };
        Writing::begin(Arc::clone(self), room, None).await
    }

    /// Makes a blob of what was written. It survives the end of the process once this returns.
    ///
    /// # Errors
    /// When the condition does not hold any more, or the index cannot be stored.
    pub async fn put(
        self: &Arc<Self>,
        mut written: Written,
        name: &Arc<str>,
        headers: Vec<(String, String)>,
        condition: &Condition,
    ) -> Result<Arc<Blob>, BlobError> {
        self.change(|blobs, now, effects| {
            let room = written.room();
            let blob = blobs.put(&room, name, headers, condition, now, effects)?;
            written.keep();
            Ok(blob)
        })
        .await
    }

    /// Makes a block of what was written. It survives the end of the process once this returns.
    ///
    /// # Errors
    /// When it is unlike the other blocks, or the index cannot be stored.
    pub async fn put_block(
        self: &Arc<Self>,
        mut written: Written,
        name: &Arc<str>,
        id: &str,
    ) -> Result<(), BlobError> {
        self.change(|blobs, now, effects| {
            blobs.put_block(&written.room(), name, id, now, effects)?;
            written.keep();
            Ok(())
        })
        .await
    }

    /// Makes a blob of blocks, in this order.
    ///
    /// # Errors
    /// When one of them is not there, the condition does not hold, or the file or the index cannot be written.
    pub async fn commit(
        self: &Arc<Self>,
        name: &Arc<str>,
        ids: &[String],
        headers: Vec<(String, String)>,
        condition: &Condition,
    ) -> Result<Arc<Blob>, BlobError> {
        let (room, blocks) = {
            let mut held = self.held();
            held.check(name, condition)?;
            let blocks = held.blocks(name, ids)?;
            let bytes = blocks.iter().map(|block| block.bytes).sum();
            (held.reserve_for_blocks(name, bytes)?, blocks)
        };
        let parts: Vec<PathBuf> = blocks
            .iter()
            .map(|block| self.folder.path(&block.contents()))
            .collect();
        let writing = Writing::begin(Arc::clone(self), room, Some(Arc::clone(name))).await?;
        let written = writing.join(parts).await.map_err(|error| match error {
            // Another writer was faster.
            BlobError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                BlobError::Refused(Refused::BlockList)
            }
            error => error,
        })?;
        self.put(written, name, headers, condition).await
    }

    /// Deletes a blob.
    ///
    /// # Errors
    /// When no blob has this name, or the index cannot be stored.
    pub async fn delete(self: &Arc<Self>, name: &str) -> Result<(), BlobError> {
        self.change(|blobs, _, effects| blobs.delete(name, effects))
            .await
    }

    /// When [`tick`](Self::tick) has something to do, Unix milliseconds.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.held().deadline()
    }

    /// Deletes blocks that were not committed in time.
    pub(crate) async fn tick(self: &Arc<Self>) -> Result<(), BlobError> {
        self.change(|blobs, now, effects| {
            blobs.tick(now, effects);
            Ok(())
        })
        .await
    }

    /// Changes the index, waits until that is stored, and removes files that are of no use any more.
    async fn change<T>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Blobs, u64, &mut Effects) -> Result<T, Refused>,
    ) -> Result<T, BlobError> {
        let slot = match &self.store {
            Some(store) => Some(store.slot().await?),
            None => None,
        };
        let (result, unused, written) = {
            let (now, mut effects) = (self.clock.unix_ms(), Effects::default());
            // Handed over under the lock, so that changes are stored in their order.
            let mut held = self.held();
            let result = change(&mut held, now, &mut effects)?;
            let writes: Vec<Write> = effects.changes.into_iter().map(Write::from).collect();
            let slot = slot.filter(|_| !writes.is_empty());
            let written = slot.map(|slot| slot.send(self.host.clone(), writes));
            (result, effects.unused, written)
        };
        let all = Arc::clone(self);
        // The caller may give up at any moment; the files go all the same.
        let stored = tokio::spawn(async move {
            if let Some(written) = written {
                written.wait().await?;
            }
            all.folder.remove(unused).await;
            Ok::<(), StoreError>(())
        });
        stored.await.map_err(io::Error::other)??;
        Ok(result)
    }

    fn held(&self) -> MutexGuard<'_, Blobs> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes blobs and blocks from a kept index whose files are not in `folder`, and returns the names of their blobs.
pub fn forget_missing(folder: &Path, kept: &mut Kept) -> Vec<Arc<str>> {
    let folder = Folder::new(folder.to_path_buf());
    let is_missing = |contents: &Contents| {
        let found = folder.path(contents).metadata();
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let mut missing = Vec::new();
    kept.blobs.retain(|blob| {
        let gone = is_missing(&blob.contents());
        missing.extend(gone.then(|| Arc::clone(&blob.name)));
        !gone
    });
    kept.blocks.retain(|block| {
        let gone = is_missing(&block.contents());
        missing.extend(gone.then(|| Arc::clone(&block.blob)));
        !gone
    });
    missing
}

fn scope(blob: Option<&str>) -> Scope<'_> {
    Scope {
        account: ACCOUNT,
        container: CONTAINER,
        blob,
    }
}
