//! Blobs and blocks of such as rows. Their contents are files beside the registry.

use std::path::Path;
use std::sync::Arc;

use drawspan_hub::HostName;
use drawspan_hub_model::blobs::{Blob, Block, Change, Kept};
use rusqlite::{Connection, Row, params};

use super::StoreError;
use super::c2d::{rows, signed, unsigned};

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS blob (
        hub TEXT NOT NULL,
        name TEXT NOT NULL,
        file INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        created_unix_ms INTEGER NOT NULL,
        modified_unix_ms INTEGER NOT NULL,
        headers TEXT NOT NULL,
        PRIMARY KEY (hub, name)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS blob_block (
        hub TEXT NOT NULL,
        blob TEXT NOT NULL,
        id TEXT NOT NULL,
        file INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        at_unix_ms INTEGER NOT NULL,
        PRIMARY KEY (hub, blob, id)
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
    let senseless = || StoreError::Device {
        path: path.to_path_buf(),
        what: format!("an uploaded file of {hub}"),
    };
    let blobs = rows(
        connection,
        hub,
        "SELECT name, file, bytes, created_unix_ms, modified_unix_ms, headers FROM blob WHERE hub = ?1",
        blob,
    );
    let blocks = rows(
        connection,
        hub,
        "SELECT blob, id, file, bytes, at_unix_ms FROM blob_block WHERE hub = ?1",
        block,
    );
    Ok(Kept {
        blobs: blobs.map_err(failed)?.ok_or_else(senseless)?,
        blocks: blocks.map_err(failed)?.ok_or_else(senseless)?,
    })
}

pub(super) fn apply(
    connection: &Connection,
    hub: &HostName,
    change: &Change,
) -> rusqlite::Result<()> {
    let hub = hub.as_str();
    let count = match change {
        Change::Put(blob) => connection
            .prepare_cached("INSERT OR REPLACE INTO blob VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                hub,
                &*blob.name,
                signed(blob.file),
                signed(blob.bytes),
                signed(blob.created_unix_ms),
                signed(blob.modified_unix_ms),
                serde_json::to_string(&blob.headers).unwrap_or_default(),
            ]),
        Change::Gone(name) => connection
            .prepare_cached("DELETE FROM blob WHERE hub = ?1 AND name = ?2")?
            .execute([hub, name]),
        Change::Block(block) => connection
            .prepare_cached("INSERT OR REPLACE INTO blob_block VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                hub,
                &*block.blob,
                &*block.id,
                signed(block.file),
                signed(block.bytes),
                signed(block.at_unix_ms),
            ]),
        Change::BlocksGone(name) => connection
            .prepare_cached("DELETE FROM blob_block WHERE hub = ?1 AND blob = ?2")?
            .execute([hub, name]),
    };
    count.map(drop)
}

fn blob(row: &Row<'_>) -> rusqlite::Result<Option<Arc<Blob>>> {
    let headers: String = row.get(5)?;
    let Ok(headers) = serde_json::from_str(&headers) else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Blob {
        name: row.get::<_, String>(0)?.into(),
        file: unsigned(row.get(1)?),
        bytes: unsigned(row.get(2)?),
        created_unix_ms: unsigned(row.get(3)?),
        modified_unix_ms: unsigned(row.get(4)?),
        headers,
    })))
}

fn block(row: &Row<'_>) -> rusqlite::Result<Option<Arc<Block>>> {
    Ok(Some(Arc::new(Block {
        blob: row.get::<_, String>(0)?.into(),
        id: row.get::<_, String>(1)?.into(),
        file: unsigned(row.get(2)?),
        bytes: unsigned(row.get(3)?),
        at_unix_ms: unsigned(row.get(4)?),
    })))
}
