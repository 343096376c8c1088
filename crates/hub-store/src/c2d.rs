//! Messages to devices, and feedback on them, as rows.

use std::path::Path;
use std::sync::Arc;

use drawspan_hub::{DeviceId, HostName};
use drawspan_hub_model::c2d::{Ack, Change, End, Kept, Message, Queued, QueuedMessage, Record};
use rusqlite::{Connection, Row, params};

use super::StoreError;

/// Locks are not stored: after the end of the process no message is locked. The number of feedback deliveries is not stored either.
pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS c2d_message (
        hub TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        device TEXT NOT NULL,
        generation_id TEXT NOT NULL,
        enqueued_unix_ms INTEGER NOT NULL,
        expires_unix_ms INTEGER NOT NULL,
        delivery_count INTEGER NOT NULL,
        message_id TEXT,
        ack TEXT NOT NULL,
        payload BLOB NOT NULL,
        PRIMARY KEY (hub, sequence)
    );
    CREATE INDEX IF NOT EXISTS c2d_message_of_device ON c2d_message (hub, device);
    CREATE TABLE IF NOT EXISTS c2d_sequence (hub TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS c2d_feedback (
        hub TEXT NOT NULL,
        number INTEGER NOT NULL,
        device TEXT NOT NULL,
        generation_id TEXT NOT NULL,
        message_id TEXT,
        end TEXT NOT NULL,
        at_unix_ms INTEGER NOT NULL,
        PRIMARY KEY (hub, number)
    ) WITHOUT ROWID;
";

pub(super) fn load(
    connection: &Connection,
    hub: &HostName,
    path: &Path,
) -> Result<Kept, StoreError> {
    let failed = |cause| StoreError::Sqlite {
        doing: "read",
        path: path.to_path_buf(),
        cause,
    };
    let senseless = |what: &str| StoreError::Device {
        path: path.to_path_buf(),
        what: format!("{what} of {hub}"),
    };
    let messages = rows(
        connection,
        hub,
        "SELECT sequence, device, generation_id, enqueued_unix_ms, expires_unix_ms, delivery_count, message_id, ack, payload
         FROM c2d_message WHERE hub = ?1 ORDER BY sequence",
        message,
    );
    let records = rows(
        connection,
        hub,
        "SELECT number, device, generation_id, message_id, end, at_unix_ms
         FROM c2d_feedback WHERE hub = ?1 ORDER BY number",
        record,
    );
    let last_sequence: i64 = connection
        .query_row(
            "SELECT coalesce(max(last), 0) FROM c2d_sequence WHERE hub = ?1",
            [hub.as_str()],
            |row| row.get(0),
        )
        .map_err(failed)?;
    Ok(Kept {
        messages: messages
            .map_err(failed)?
            .ok_or_else(|| senseless("a message to a device"))?,
        records: records
            .map_err(failed)?
            .ok_or_else(|| senseless("feedback on a message"))?,
        last_sequence: unsigned(last_sequence),
    })
}

pub(super) fn apply(
    connection: &Connection,
    hub: &HostName,
    change: &Change,
) -> rusqlite::Result<()> {
    let hub = hub.as_str();
    let count = match change {
        Change::Put(device, message) => {
            put(connection, hub, device, message)?;
            connection
                .prepare_cached("INSERT OR REPLACE INTO c2d_sequence VALUES (?1, ?2)")?
                .execute(params![hub, signed(message.sequence)])
        }
        Change::Counted {
            sequence,
            delivery_count,
            ..
        } => connection
            .prepare_cached(
                "UPDATE c2d_message SET delivery_count = ?3 WHERE hub = ?1 AND sequence = ?2",
            )?
            .execute(params![hub, signed(*sequence), delivery_count]),
        Change::Gone { sequence, .. } => connection
            .prepare_cached("DELETE FROM c2d_message WHERE hub = ?1 AND sequence = ?2")?
            .execute(params![hub, signed(*sequence)]),
        Change::Feedback(record) => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO c2d_feedback VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                hub,
                signed(record.number),
                record.device.as_str(),
                &*record.generation_id,
                record.message_id,
                record.end.name(),
                signed(record.at_unix_ms),
            ]),
        Change::FeedbackGone { first, last } => connection
            .prepare_cached("DELETE FROM c2d_feedback WHERE hub = ?1 AND number BETWEEN ?2 AND ?3")?
            .execute(params![hub, signed(*first), signed(*last)]),
    };
    count.map(drop)
}

/// Messages go with their device.
pub(super) fn forget(
    connection: &Connection,
    hub: &HostName,
    device: &DeviceId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM c2d_message WHERE hub = ?1 AND device = ?2")?
        .execute([hub.as_str(), device.as_str()])
        .map(drop)
}

fn put(
    connection: &Connection,
    hub: &str,
    device: &DeviceId,
    message: &QueuedMessage,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO c2d_message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            hub,
            signed(message.sequence),
            device.as_str(),
            &*message.item.generation_id,
            signed(message.item.enqueued_unix_ms),
            signed(message.expires_unix_ms),
            message.delivery_count,
            message.item.message_id,
            message.item.ack.name(),
            &*message.item.payload,
        ])
        .map(drop)
}

/// `None` if a row is malformed.
pub(super) fn rows<T>(
    connection: &Connection,
    hub: &HostName,
    query: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Option<Vec<T>>> {
    let mut select = connection.prepare(query)?;
    select.query_map([hub.as_str()], read)?.collect()
}

fn message(row: &Row<'_>) -> rusqlite::Result<Option<(DeviceId, QueuedMessage)>> {
    let (device, ack): (String, String) = (row.get(1)?, row.get(7)?);
    let (Ok(device), Some(ack)) = (DeviceId::parse(&device), Ack::parse(&ack)) else {
        return Ok(None);
    };
    let message = Message {
        enqueued_unix_ms: unsigned(row.get(3)?),
        message_id: row.get(6)?,
        ack,
        generation_id: row.get::<_, String>(2)?.into(),
        payload: row.get::<_, Vec<u8>>(8)?.into(),
    };
    let queued = Queued {
        sequence: unsigned(row.get(0)?),
        expires_unix_ms: unsigned(row.get(4)?),
        delivery_count: row.get(5)?,
        item: Arc::new(message),
    };
    Ok(Some((device, queued)))
}

fn record(row: &Row<'_>) -> rusqlite::Result<Option<Arc<Record>>> {
    let (device, end): (String, String) = (row.get(1)?, row.get(4)?);
    let (Ok(device), Some(end)) = (DeviceId::parse(&device), End::parse(&end)) else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Record {
        number: unsigned(row.get(0)?),
        device,
        generation_id: row.get::<_, String>(2)?.into(),
        message_id: row.get(3)?,
        end,
        at_unix_ms: unsigned(row.get(5)?),
    })))
}

/// SQLite's integers have a sign; no number here comes near it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
