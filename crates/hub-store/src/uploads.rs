//! File uploads, and notifications of them, as rows.

use std::path::Path;
use std::sync::Arc;

use drawspan_hub::{DeviceId, HostName};
use drawspan_hub_model::c2d::Queued;
use drawspan_hub_model::uploads::{Change, FileNotification, Kept, QueuedNotification, Upload};
use rusqlite::{Connection, Row, params};

use super::StoreError;
use super::c2d::{rows, signed, unsigned};

/// Locks are not stored: after the end of the process no notification is locked.
pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS upload (
        hub TEXT NOT NULL,
        correlation_id TEXT NOT NULL,
        device TEXT NOT NULL,
        blob TEXT NOT NULL,
        host TEXT NOT NULL,
        expires_unix_ms INTEGER NOT NULL,
        PRIMARY KEY (hub, correlation_id)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS upload_of_device ON upload (hub, device);
    CREATE TABLE IF NOT EXISTS file_notification (
        hub TEXT NOT NULL,
        number INTEGER NOT NULL,
        device TEXT NOT NULL,
        blob TEXT NOT NULL,
        host TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        modified_unix_ms INTEGER NOT NULL,
        enqueued_unix_ms INTEGER NOT NULL,
        expires_unix_ms INTEGER NOT NULL,
        delivery_count INTEGER NOT NULL,
        PRIMARY KEY (hub, number)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS file_notification_number (hub TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
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
    let uploads = rows(
        connection,
        hub,
        "SELECT correlation_id, device, blob, host, expires_unix_ms FROM upload WHERE hub = ?1",
        upload,
    );
    let notifications = rows(
        connection,
        hub,
        "SELECT number, device, blob, host, bytes, modified_unix_ms, enqueued_unix_ms, expires_unix_ms, delivery_count
         FROM file_notification WHERE hub = ?1 ORDER BY number",
        notification,
    );
    let last: i64 = connection
        .query_row(
            "SELECT coalesce(max(last), 0) FROM file_notification_number WHERE hub = ?1",
            [hub.as_str()],
            |row| row.get(0),
        )
        .map_err(failed)?;
    Ok(Kept {
        uploads: uploads
            .map_err(failed)?
            .ok_or_else(|| senseless("a file upload"))?,
        notifications: notifications
            .map_err(failed)?
            .ok_or_else(|| senseless("a file notification"))?,
        last_number: unsigned(last),
    })
}

pub(super) fn apply(
    connection: &Connection,
    hub: &HostName,
    change: &Change,
) -> rusqlite::Result<()> {
    let hub = hub.as_str();
    let count = match change {
        Change::Begun(upload) => connection
            .prepare_cached("INSERT OR REPLACE INTO upload VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                hub,
                &*upload.correlation_id,
                upload.device.as_str(),
                &*upload.blob,
                &*upload.host,
                signed(upload.expires_unix_ms),
            ]),
        Change::Over(id) => connection
            .prepare_cached("DELETE FROM upload WHERE hub = ?1 AND correlation_id = ?2")?
            .execute([hub, id]),
        Change::Notification(queued) => {
            put(connection, hub, queued)?;
            connection
                .prepare_cached("INSERT OR REPLACE INTO file_notification_number VALUES (?1, ?2)")?
                .execute(params![hub, signed(queued.sequence)])
        }
        Change::Counted {
            number,
            delivery_count,
        } => connection
            .prepare_cached(
                "UPDATE file_notification SET delivery_count = ?3 WHERE hub = ?1 AND number = ?2",
            )?
            .execute(params![hub, signed(*number), delivery_count]),
        Change::NotificationGone(number) => connection
            .prepare_cached("DELETE FROM file_notification WHERE hub = ?1 AND number = ?2")?
            .execute(params![hub, signed(*number)]),
    };
    count.map(drop)
}

/// Uploads go with their device; notifications stay.
pub(super) fn forget(
    connection: &Connection,
    hub: &HostName,
    device: &DeviceId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM upload WHERE hub = ?1 AND device = ?2")?
        .execute([hub.as_str(), device.as_str()])
        .map(drop)
}

fn put(connection: &Connection, hub: &str, queued: &QueuedNotification) -> rusqlite::Result<()> {
    let item = &queued.item;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO file_notification VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            hub,
            signed(queued.sequence),
            item.device.as_str(),
            &*item.blob,
            &*item.host,
            signed(item.bytes),
            signed(item.modified_unix_ms),
            signed(item.enqueued_unix_ms),
            signed(queued.expires_unix_ms),
            queued.delivery_count,
        ])
        .map(drop)
}

fn upload(row: &Row<'_>) -> rusqlite::Result<Option<Arc<Upload>>> {
    let device: String = row.get(1)?;
    let Ok(device) = DeviceId::parse(&device) else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Upload {
        correlation_id: row.get::<_, String>(0)?.into(),
        device,
        blob: row.get::<_, String>(2)?.into(),
        host: row.get::<_, String>(3)?.into(),
        expires_unix_ms: unsigned(row.get(4)?),
    })))
}

fn notification(row: &Row<'_>) -> rusqlite::Result<Option<QueuedNotification>> {
    let device: String = row.get(1)?;
    let Ok(device) = DeviceId::parse(&device) else {
        return Ok(None);
    };
    Ok(Some(Queued {
        sequence: unsigned(row.get(0)?),
        expires_unix_ms: unsigned(row.get(7)?),
        delivery_count: row.get(8)?,
        item: Arc::new(FileNotification {
            device,
            blob: row.get::<_, String>(2)?.into(),
            host: row.get::<_, String>(3)?.into(),
            bytes: unsigned(row.get(4)?),
            modified_unix_ms: unsigned(row.get(5)?),
            enqueued_unix_ms: unsigned(row.get(6)?),
        }),
    }))
}
