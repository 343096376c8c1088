//! The thread that reads for callers who must not block.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::database::{dead_letters, idempotency};
use crate::dead_letters::{DeadLetterFilter, StoredDeadLetter};
use crate::error::{OpenError, StoreError};
use crate::health::StoreHealth;
use crate::idempotency::StoredAnswer;
use crate::keyring::Keys;
use crate::limits::{BROKEN_REPORT_INTERVAL_S, READ_QUEUE};

/// The receiver of an answer.
pub(crate) type Done<T> = oneshot::Sender<Result<T, StoreError>>;

#[derive(Debug)]
pub(crate) enum Question {
    DeadLetters {
        filter: DeadLetterFilter,
        done: Done<Vec<StoredDeadLetter>>,
    },
    DeadLetter {
        id: u64,
        done: Done<Option<StoredDeadLetter>>,
    },
    Answer {
        key: [u8; 32],
        since_unix_s: u64,
        done: Done<Option<StoredAnswer>>,
    },
}

/// The way to the reading thread; keeps it no longer than the store.
#[derive(Debug, Clone)]
pub(crate) struct Reader(mpsc::WeakSender<Question>);

impl Reader {
    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(Done<T>) -> Question,
    ) -> Result<T, StoreError> {
        let (done, answer) = oneshot::channel();
        let queue = self.0.upgrade().ok_or(StoreError::Closed)?;
        let sent = queue.send(question(done)).await;
        // It does not keep the thread while the answer is awaited.
        drop(queue);
        sent.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Starts the thread. It ends when the sender is dropped.
pub(crate) fn start(
    connection: Connection,
    keys: Arc<Keys>,
    path: Arc<Path>,
    health: StoreHealth,
) -> Result<(mpsc::Sender<Question>, Reader, JoinHandle<()>), OpenError> {
    let (queue, questions) = mpsc::channel(READ_QUEUE);
    let reader = Reader(queue.downgrade());
    let thread = std::thread::Builder::new()
        .name("store-reader".into())
        .spawn(move || run(&connection, questions, &keys, &path, &health))
        .map_err(OpenError::Thread)?;
    Ok((queue, reader, thread))
}

fn run(
    connection: &Connection,
    mut questions: mpsc::Receiver<Question>,
    keys: &Keys,
    path: &Path,
    health: &StoreHealth,
) {
    fn answer<T>(health: &StoreHealth, done: Done<T>, result: Result<T, StoreError>) {
        health.read(&result);
        let _ = done.send(result);
    }
    let mut warnings = Warnings::default();
    // An answer that is no longer awaited is not a mistake.
    while let Some(question) = questions.blocking_recv() {
        match question {
            Question::DeadLetters { filter, done } => {
                let listed = dead_letters::list(connection, &keys.ring(), &filter);
                let letters = listed.map(|(letters, broken)| {
                    warnings.left_out(broken, path);
                    letters
                });
                answer(health, done, letters);
            }
            Question::DeadLetter { id, done } => {
                answer(
                    health,
                    done,
                    dead_letters::get(connection, &keys.ring(), id),
                );
            }
            Question::Answer {
                key,
                since_unix_s,
                done,
            } => {
                let found = idempotency::get(connection, &key, since_unix_s);
                answer(health, done, found.map_err(StoreError::from));
            }
        }
    }
}

/// Bounds the warnings that anybody who asks for a list can cause.
#[derive(Default)]
struct Warnings {
    last: Option<Instant>,
}

impl Warnings {
    fn left_out(&mut self, broken: u64, path: &Path) {
        let interval = Duration::from_secs(BROKEN_REPORT_INTERVAL_S);
        let is_due = self.last.is_none_or(|last| last.elapsed() >= interval);
        if broken > 0 && is_due {
            self.last = Some(Instant::now());
            tracing::warn!(broken, store = %path.display(), "dead letters cannot be decrypted and are left out of lists");
        }
    }
}
