//! The header `Idempotency-Key`: a repeated request is not executed again.
//!
//! Requests with one key take turns. The first success is remembered for a day, and the other requests get its result; after a
//! failure the next request tries. A result is written before the answer leaves. If the process ends between the hub's acceptance
//! and that write, the next try is executed again, as without a key.

mod memory;
#[cfg(test)]
mod tests;
mod turns;

use axum::body::Body;
use axum::http::header::HeaderValue;
use axum::http::{HeaderMap, Response};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::auth::key_of;
use super::problem::{Kind, Problem};
use crate::limits::MAX_IDEMPOTENCY_KEY_BYTES;
pub use memory::Memory;
use turns::{Turn, Turns};

const HEADER: &str = "idempotency-key";
const REPLAYED_HEADER: &str = "idempotency-replayed";

/// SHA-256.
pub(super) type Hash = [u8; 32];

/// Names a request: its caller, what it is about, and the key that the caller chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(Hash);

/// How much of a request was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// The whole batch.
    All,
    /// Some of the messages of a batch, each remembered by itself.
    Some,
}

/// Requests that are not to be done twice.
#[derive(Debug)]
pub(super) struct Idempotency {
    turns: Turns,
    memory: Memory,
}

/// The right to do a request, and to say what became of it.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    memory: &'a Memory,
    key: Key,
    fingerprint: Hash,
    /// The result of an earlier request with the same key and body.
    pub(super) done: Option<Done>,
    /// Given back at the end, with any result.
    _turn: Turn<'a>,
}

impl Idempotency {
    pub(super) fn new(memory: Memory) -> Self {
        Self {
            turns: Turns::default(),
            memory,
        }
    }

    /// Waits until no other request with this key is under way, and looks what those before came to.
    ///
    /// # Errors
    /// 422 when there was one with another body; 503 when it is not this one's turn by `deadline`, too many wait, or nothing
    /// can be looked up. Nothing is to be done then.
    pub(super) async fn claim(
        &self,
        key: Key,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Claim<'_>, Problem> {
        let fingerprint = Sha256::digest(body).into();
        let turn = self.turns.take(key, fingerprint, deadline).await?;
        let done = self.memory.recall(key, fingerprint).await?;
        Ok(Claim {
            memory: &self.memory,
            key,
            fingerprint,
            done,
            _turn: turn,
        })
    }
}

impl Claim<'_> {
    /// Remembers what became of the request.
    pub(super) async fn remember(&self, done: Done) {
        self.memory.keep(self.key, self.fingerprint, done).await;
    }

    /// Whether this message of a batch was accepted before.
    pub(super) async fn has_part(&self, place: usize) -> Result<bool, Problem> {
        let part = self.key.part(place);
        Ok(self.memory.recall(part, self.fingerprint).await?.is_some())
    }

    /// Remembers that these messages of a batch were accepted.
    pub(super) async fn remember_parts(&self, places: impl IntoIterator<Item = usize>) {
        let mut kept = tokio::task::JoinSet::new();
        for place in places {
            let (memory, fingerprint) = (self.memory.clone(), self.fingerprint);
            let part = self.key.part(place);
            kept.spawn(async move { memory.keep(part, fingerprint, Done::All).await });
        }
        kept.join_all().await;
    }
}

impl Key {
    /// The key of a request about `what`; `None` if its caller sent no key.
    ///
    /// # Errors
    /// When it is not 1 to 255 visible ASCII characters, or there are two.
    pub(super) fn read(headers: &HeaderMap, what: &str) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(key) = values.next() else {
            return Ok(None);
        };
        let key = key.as_bytes();
        let fits = (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&key.len());
        if !fits || !key.iter().all(u8::is_ascii_graphic) || values.next().is_some() {
            let text = format!(
                "The header Idempotency-Key must be given once, with 1 to {MAX_IDEMPOTENCY_KEY_BYTES} visible ASCII characters."
            );
            return Err(Problem::new(Kind::InvalidIdempotencyKey, text));
        }
        let caller = key_of(headers).unwrap_or_default();
        Ok(Some(Self(hash([caller, what.as_bytes(), key]))))
    }

    /// The result of one message of a batch.
    fn part(self, place: usize) -> Self {
        Self(hash([&self.0[..], &place.to_be_bytes(), b"part"]))
    }
}

/// Hash of texts with their lengths, so that texts that are divided differently have different hashes.
fn hash(parts: [&[u8]; 3]) -> Hash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn mismatch() -> Problem {
    Problem::new(
        Kind::IdempotencyMismatch,
        "A different body was sent with this Idempotency-Key within the last 24 hours; use a new key for a new request.",
    )
}

/// Marks an answer as replayed.
pub(super) fn replayed(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    response
}
