//! One line per request, so that messages that were answered 200 can be compared with those at the hub.
//!
//! `id`, device, status, latency in µs, Unix time of sending in ms, separated by tabs. Status 0 means no answer. Written through to the file every
//! second and at the end, so that it survives the end of this process.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::limits::LEDGER_QUEUE;

const FLUSH: Duration = Duration::from_secs(1);

/// The ledger's entry for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The message id, unique over runs.
    pub id: u64,
    /// Number of the device, from 1.
    pub device: u32,
    /// HTTP status; 0 when there was no answer.
    pub status: u16,
    /// From the first byte written to the last byte read, in microseconds.
    pub latency_us: u64,
    /// When the first byte was written, Unix milliseconds.
    pub sent_unix_ms: u64,
}

/// The queue of entries. Cheap to clone; when it is full, connections wait.
#[derive(Debug, Clone)]
pub struct Ledger(Option<mpsc::Sender<Entry>>);

impl Ledger {
    /// A ledger that keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Starts a ledger in a new file. The task ends when all clones are gone, and says how the writing went.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(
        path: &Path,
        device_prefix: &str,
    ) -> io::Result<(Self, JoinHandle<io::Result<()>>)> {
        let file = BufWriter::with_capacity(1 << 16, File::create(path)?);
        let (sender, entries) = mpsc::channel(LEDGER_QUEUE);
        let writer = tokio::spawn(write(file, device_prefix.to_owned(), entries));
        Ok((Self(Some(sender)), writer))
    }

    /// Adds an entry. `false` when the file can no longer be written: the run must end, it would not be honest.
    pub async fn add(&self, entry: Entry) -> bool {
        match &self.0 {
            Some(sender) => sender.send(entry).await.is_ok(),
            None => true,
        }
    }
}

async fn write(
    mut file: BufWriter<File>,
    prefix: String,
    mut entries: mpsc::Receiver<Entry>,
) -> io::Result<()> {
    let mut flush = interval(FLUSH);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            entry = entries.recv() => match entry {
                Some(Entry { id, device, status, latency_us, sent_unix_ms }) => {
                    writeln!(file, "{id}\t{prefix}{device}\t{status}\t{latency_us}\t{sent_unix_ms}")?;
                }
                None => return file.flush(),
            },
            _ = flush.tick() => file.flush()?,
        }
    }
}
