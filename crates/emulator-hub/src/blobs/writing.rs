//! Contents that are being written: into a file, piece by piece, never more than announced.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use drawspan_hub_model::blobs::{Contents, Room};
use md5::{Digest as _, Md5};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use super::{BlobError, BlobStore};

/// A file that is being written. Dropping it removes the file, and gives its room back.
#[derive(Debug)]
pub struct Writing {
    file: File,
    left: u64,
    md5: Md5,
    place: Place,
}

/// A file that is written. Dropping it removes the file, and gives its room back.
#[derive(Debug)]
pub struct Written {
    /// MD5 of the contents, unless they were put together of blocks.
    pub md5: Option<[u8; 16]>,
    place: Place,
}

/// The file's place, until the index has it.
#[derive(Debug)]
struct Place {
    store: Arc<BlobStore>,
    bytes: u64,
    contents: Contents,
    is_kept: bool,
}

impl Writing {
    pub(super) async fn begin(
        store: Arc<BlobStore>,
        room: Room,
        blob: Option<Arc<str>>,
    ) -> Result<Self, BlobError> {
        let Room { file, bytes } = room;
        let place = Place {
            contents: Contents { file, blob },
            bytes,
            is_kept: false,
            store,
        };
        let file = place.store.folder.create(&place.contents).await?;
        Ok(Self {
            file,
            left: bytes,
            md5: Md5::new(),
            place,
        })
    }

    /// Writes the next piece.
    ///
    /// # Errors
    /// When there is more than was announced, or the file cannot be written.
    pub async fn piece(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or(BlobError::Length)?;
        self.md5.update(bytes);
        self.file.write_all(bytes).await?;
        Ok(())
    }

    /// There is no more.
    ///
    /// # Errors
    /// When there was less than announced, another MD5 than `expected`, or the file cannot be written.
    pub async fn end(mut self, expected: Option<[u8; 16]>) -> Result<Written, BlobError> {
        if self.left > 0 {
            return Err(BlobError::Length);
        }
        let md5: [u8; 16] = self.md5.finalize().into();
        if expected.is_some_and(|expected| expected != md5) {
            return Err(BlobError::Md5);
        }
        self.file.flush().await?;
        Ok(Written {
            md5: Some(md5),
            place: self.place,
        })
    }

    /// Writes the contents of other files, one after the other.
    pub(super) async fn join(self, parts: Vec<PathBuf>) -> Result<Written, BlobError> {
        let Self {
            file, left, place, ..
        } = self;
        let mut file = file.into_std().await;
        let joined = tokio::task::spawn_blocking(move || {
            let mut bytes = 0;
            for part in parts {
                bytes += io::copy(&mut fs::File::open(part)?, &mut file)?;
            }
            Ok::<u64, io::Error>(bytes)
        });
        match joined.await.map_err(io::Error::other)?? {
            bytes if bytes == left => Ok(Written { md5: None, place }),
            _ => Err(BlobError::Length),
        }
    }
}

impl Written {
    pub(super) fn room(&self) -> Room {
        Room {
            file: self.place.contents.file,
            bytes: self.place.bytes,
        }
    }

    /// The index has it now.
    pub(super) fn keep(&mut self) {
        self.place.is_kept = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let room = Room {
            file: self.contents.file,
            bytes: self.bytes,
        };
        self.store.held().give_back(&room);
        // It may not have come about.
        let _ = fs::remove_file(self.store.folder.path(&self.contents));
    }
}
