//! Requests that were answered already.

use crate::change::Change;
use crate::clock;
use crate::error::StoreError;
use crate::queue::Queue;
use crate::reader::{Question, Reader};

/// The result of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredAnswer {
    /// A fingerprint of its body.
    pub fingerprint: [u8; 32],
    /// HTTP status of the answer.
    pub status: u16,
    /// When, in seconds since 1970.
    pub at_unix_s: u64,
}

/// Answers by idempotency key, for 24 hours. Cheap to clone. At most
/// [`MAX_IDEMPOTENCY_KEYS`](crate::limits::MAX_IDEMPOTENCY_KEYS) are remembered; the oldest go first.
#[derive(Debug, Clone)]
pub struct Idempotency {
    queue: Queue,
    reader: Reader,
}

impl Idempotency {
    pub(crate) fn new(queue: Queue, reader: Reader) -> Self {
        Self { queue, reader }
    }

    /// The result under a key in the last 24 hours. The key is a hash of the caller's value.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn get(&self, key: [u8; 32]) -> Result<Option<StoredAnswer>, StoreError> {
        let since_unix_s = clock::idempotent_since(clock::now_unix_s());
        let ask = |done| Question::Answer {
            key,
            since_unix_s,
            done,
        };
        self.reader.ask(ask).await
    }

    /// Remembers an answer in place of what was under its key, and returns when that will survive the end of the process.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn put(&self, key: [u8; 32], answer: StoredAnswer) -> Result<(), StoreError> {
        self.queue
            .ask(Change::PutAnswer(key, answer))
            .await
            .map(drop)
    }
}
