//! Blobs, blocks, and what is asked of them.

use std::sync::Arc;

/// A blob that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its name.
    pub name: Arc<str>,
    /// The file with its contents.
    pub file: u64,
    /// Its size.
    pub bytes: u64,
    /// When its name was first written, Unix milliseconds.
    pub created_unix_ms: u64,
    /// When its contents were written, Unix milliseconds.
    pub modified_unix_ms: u64,
    /// Headers that its writer gave, and gets back: names in lower case, with their values.
    pub headers: Vec<(String, String)>,
}

/// A block that waits to be put together with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The blob's name.
    pub blob: Arc<str>,
    /// Its id, as its writer writes it: base64.
    pub id: Arc<str>,
    /// The file with its contents.
    pub file: u64,
    /// Its size.
    pub bytes: u64,
    /// When it came, Unix milliseconds.
    pub at_unix_ms: u64,
}

/// The index as it is stored.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Blobs.
    pub blobs: Vec<Arc<Blob>>,
    /// Blocks.
    pub blocks: Vec<Arc<Block>>,
}

/// Changes for the store.
#[derive(Clone, Debug)]
pub enum Change {
    /// A blob is new, or has new contents.
    Put(Arc<Blob>),
    /// A blob was deleted.
    Gone(Arc<str>),
    /// A block came.
    Block(Arc<Block>),
    /// No block of this blob waits any more.
    BlocksGone(Arc<str>),
}

/// The effects of an operation.
#[derive(Debug, Default)]
pub struct Effects {
    /// Changes to store, in this order.
    pub changes: Vec<Change>,
    /// Files that are of no use once the changes are stored.
    pub unused: Vec<Contents>,
}

/// A file with contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The file's number.
    pub file: u64,
    /// The blob whose contents they are; `None` means a block.
    pub blob: Option<Arc<str>>,
}

/// What a writer asks of the blob that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    None,
    /// There must be none (`If-None-Match: *`).
    Absent,
    /// There must be one, of this etag unless it is `*` (`If-Match`).
    Etag(String),
}

/// Room for contents that are being written.
#[derive(Debug, PartialEq, Eq)]
pub struct Room {
    /// The file to write.
    pub file: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The emulator keeps as many bytes as it may.
    #[error(
        "The emulator keeps {kept} bytes of uploaded files, at most {quota}, so there is no room for {wanted} more; delete some, or give it more room by --upload-size"
    )]
    NoRoom {
        /// Bytes that there are, those under way included.
        kept: u64,
        /// Bytes asked for.
        wanted: u64,
        /// Most bytes.
        quota: u64,
    },
    /// The emulator keeps as many files as it may.
    #[error("The emulator keeps as many uploaded files and blocks as it may; delete some")]
    TooMany,
    /// There is no such blob.
    #[error("The specified blob does not exist.")]
    NotFound,
    /// There is one already.
    #[error("The specified blob already exists.")]
    AlreadyExists,
    /// It is another one by now.
    #[error("The condition specified using HTTP conditional header(s) is not met.")]
    ConditionNotMet,
    /// A block's id is not base64 of 1 to 64 bytes.
    #[error("The specified block id is invalid: base64 of 1 to 64 bytes is needed.")]
    BlockId,
    /// The blocks of a blob must have ids of one length.
    #[error(
        "The specified blob or block content is invalid: the ids of all blocks must have one length."
    )]
    BlockIdLength,
    /// A list names a block that there is not, or too many.
    #[error(
        "The specified block list is invalid: it names a block that was not uploaded, or more than 50,000."
    )]
    BlockList,
}

impl Blob {
    /// What changes whenever its contents do, with quotes.
    pub fn etag(&self) -> String {
        format!("\"0x{:X}{:08X}\"", self.modified_unix_ms, self.file)
    }

    /// The file with its contents.
    pub fn contents(&self) -> Contents {
        Contents {
            file: self.file,
            blob: Some(Arc::clone(&self.name)),
        }
    }
}

impl Block {
    /// The file with its contents.
    pub fn contents(&self) -> Contents {
        Contents {
            file: self.file,
            blob: None,
        }
    }
}
