//! A line on the terminal for every message that reaches a hub.

use std::io::{self, Write as _};
use std::sync::Arc;

use drawspan_hub::UtcTime;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::hub::Hub;
use crate::hub_set::HubSet;
use crate::log::{LogError, Position, StoredRecord};

/// Messages that are read at once.
const RECORDS: usize = 100;
/// About how many bytes are read at once.
const BYTES: usize = 256 * 1024;

/// Prints what arrives from now on, until the result is dropped.
pub(crate) fn print(hubs: &HubSet) -> JoinSet<()> {
    let mut followers = JoinSet::new();
    for hub in hubs.hubs() {
        for partition in 0..hub.partition_count() {
            let hub = Arc::clone(hub);
            followers.spawn(async move {
                if let Err(error) = follow(&hub, partition).await {
                    tracing::error!(%error, partition, "messages are not printed any more");
                }
            });
        }
    }
    followers
}

async fn follow(hub: &Hub, partition: u16) -> Result<(), LogError> {
    let news = Arc::new(Notify::new());
    let bell = Arc::clone(&news);
    let Some(subscription) = hub.subscribe(partition, move || bell.notify_one())? else {
        return Ok(());
    };
    let mut next = hub.seek(partition, Position::End)?;
    loop {
        subscription.rearm();
        let records = hub.read(partition, next, RECORDS, BYTES)?;
        let Some(last) = records.last() else {
            news.notified().await;
            continue;
        };
        next = last.sequence + 1;
        let lines: String = records
            .iter()
            .map(|record| line(hub, partition, record) + "\n")
            .collect();
        if io::stdout().lock().write_all(lines.as_bytes()).is_err() {
            return Ok(());
        }
    }
}

/// When, where and from whom a message came, and how large it is.
pub(crate) fn line(hub: &Hub, partition: u16, record: &StoredRecord) -> String {
    let time = UtcTime::from_unix_ms(record.enqueued_unix_ms as i64).to_string();
    let time = time.get(11..23).unwrap_or(&time);
    let (device, sequence, bytes) = (&record.device_id, record.sequence, record.message.len());
    format!(
        "{time}  {}  {device}  partition {partition}, message {sequence}, {bytes} bytes",
        hub.entity()
    )
}
