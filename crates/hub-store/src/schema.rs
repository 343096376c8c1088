//! Tables, and devices as rows.

use std::path::Path;

use drawspan_hub::{DeviceId, HostName, SymmetricKey};
use drawspan_hub_model::device::{Authentication, Device, DeviceStatus};
use drawspan_hub_model::registry::Change;
use drawspan_state::sums::Summed;
use drawspan_state::{sqlite, sums};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::commits::{self, Stored};
use super::{
    StoreError, Write, authorities, blobs, c2d, dps, modules, mqtt_sessions, twins, uploads,
};

/// Raised with every change of the tables. What was added since format 1 are tables only, which are made when they are
/// missing.
///
/// 1: settings and devices. 2: messages to devices. 3: the provisioning service. 4: twins. 5: counted commits, summed rows.
/// 6: MQTT sessions. 7: modules, and their messages in the telemetry log.
/// 8: file uploads and blobs. 9: certificate authorities.
pub(super) const FORMAT: i64 = 9;

/// The columns that are summed of each table: all.
#[rustfmt::skip] // a table
pub(super) const SUMMED: &[Summed] = &[
    Summed { table: "setting", columns: &["name", "value"] },
    Summed { table: "device", columns: &["hub", "id", "generation_id", "etag", "enabled", "status_reason", "status_updated_unix_ms", "authentication", "first_credential", "second_credential", "iot_edge"] },
    Summed { table: "c2d_message", columns: &["hub", "sequence", "device", "generation_id", "enqueued_unix_ms", "expires_unix_ms", "delivery_count", "message_id", "ack", "payload"] },
    Summed { table: "c2d_sequence", columns: &["hub", "last"] },
    Summed { table: "c2d_feedback", columns: &["hub", "number", "device", "generation_id", "message_id", "end", "at_unix_ms"] },
    Summed { table: "dps_group", columns: &["name", "primary_key", "secondary_key"] },
    Summed { table: "dps_registration", columns: &["id", "group_name", "hub", "device", "substatus", "created_unix_ms", "updated_unix_ms", "etag", "operation", "payload"] },
    Summed { table: "twin", columns: &["hub", "device", "version", "etag_number", "tags", "desired", "reported"] },
    Summed { table: "upload", columns: &["hub", "correlation_id", "device", "blob", "host", "expires_unix_ms"] },
    Summed { table: "file_notification", columns: &["hub", "number", "device", "blob", "host", "bytes", "modified_unix_ms", "enqueued_unix_ms", "expires_unix_ms", "delivery_count"] },
    Summed { table: "file_notification_number", columns: &["hub", "last"] },
    Summed { table: "blob", columns: &["hub", "name", "file", "bytes", "created_unix_ms", "modified_unix_ms", "headers"] },
    Summed { table: "blob_block", columns: &["hub", "blob", "id", "file", "bytes", "at_unix_ms"] },
    Summed { table: "mqtt_session", columns: &["hub", "device", "subscriptions"] },
    Summed { table: "module", columns: &["hub", "device", "id", "generation_id", "etag", "managed_by", "authentication", "first_credential", "second_credential"] },
    Summed { table: "module_twin", columns: &["hub", "device", "module", "version", "etag_number", "tags", "desired", "reported"] },
    Summed { table: "authority", columns: &["hub", "name", "certificate", "verified", "verification_code", "etag", "created_unix_ms", "updated_unix_ms"] },
    Summed { table: "module_mqtt_session", columns: &["hub", "device", "module", "subscriptions"] },
];

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS device (
        hub TEXT NOT NULL,
        id TEXT NOT NULL,
        generation_id TEXT NOT NULL,
        etag TEXT NOT NULL,
        enabled INTEGER NOT NULL,
        status_reason TEXT,
        status_updated_unix_ms INTEGER,
        authentication TEXT NOT NULL,
        first_credential TEXT,
        second_credential TEXT,
        iot_edge INTEGER NOT NULL,
        PRIMARY KEY (hub, id)
    ) WITHOUT ROWID;
";

const SAS: &str = "sas";
const SELF_SIGNED: &str = "selfSigned";
const CERTIFICATE_AUTHORITY: &str = "certificateAuthority";
const NONE: &str = "none";

/// Refuses a file of a later version.
pub(super) fn check_format(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |cause| StoreError::Sqlite {
        doing: "open",
        path: path.to_path_buf(),
        cause,
    };
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed)?;
    if found > FORMAT {
        return Err(StoreError::Foreign {
            path: path.to_path_buf(),
            found,
            readable: FORMAT,
        });
    }
    Ok(())
}

/// Makes the file ready: fast and safe against the end of the process (not of the machine: a second may be lost). `id` names a
/// registry that has no name yet.
pub(super) fn prepare(
    connection: &Connection,
    path: &Path,
    id: u128,
) -> Result<Stored, StoreError> {
    let tables = || {
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.execute_batch("PRAGMA synchronous = NORMAL")?;
        // Together, so that no half-made file is taken for a damaged one.
        let transaction = connection.unchecked_transaction()?;
        make_tables(&transaction)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        let new = "INSERT OR IGNORE INTO store VALUES (1, ?1, 0)";
        transaction.execute(new, [id.to_be_bytes()])?;
        let stored = Stored::count(&transaction)?;
        transaction.commit()?;
        Ok(stored)
    };
    tables().map_err(|cause| StoreError::Sqlite {
        doing: "prepare",
        path: path.to_path_buf(),
        cause,
    })
}

fn make_tables(connection: &Connection) -> rusqlite::Result<()> {
    let all = [
        TABLES,
        c2d::TABLES,
        dps::TABLES,
        twins::TABLE,
        mqtt_sessions::TABLE,
        modules::TABLES,
        authorities::TABLE,
        uploads::TABLES,
        blobs::TABLES,
        commits::TABLE,
        sums::TABLE,
    ];
    all.iter()
        .try_for_each(|tables| connection.execute_batch(tables))
}

/// The summed tables that a file has, and those that are missing from it because its format is an earlier one.
pub(super) fn summed(connection: &Connection) -> rusqlite::Result<(Vec<Summed>, Vec<Summed>)> {
    let mut there = Vec::new();
    let mut missing = Vec::new();
    for it in SUMMED {
        let has = connection.table_exists(None, it.table)?;
        if has { &mut there } else { &mut missing }.push(*it);
    }
    Ok((there, missing))
}

/// The first difference between a file's tables and those of a new file, if there is one. A file of an earlier format has fewer.
pub(super) fn strange(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let new = Connection::open_in_memory()?;
    make_tables(&new)?;
    let expected = sqlite::shape(&new)?;
    let found = sqlite::shape(connection)?;
    if let Some(line) = found.iter().find(|line| !expected.contains(line)) {
        return Ok(Some(format!("`{line}` is not known")));
    }
    let format: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let missing = expected.into_iter().find(|line| !found.contains(line));
    Ok(missing
        .filter(|_| format == FORMAT)
        .map(|line| format!("`{line}` is missing")))
}

pub(super) fn load(
    connection: &Connection,
    hub: &HostName,
    path: &Path,
) -> Result<Vec<Device>, StoreError> {
    let failed = |cause| StoreError::Sqlite {
        doing: "read",
        path: path.to_path_buf(),
        cause,
    };
    let mut select = connection
        .prepare(
            "SELECT id, generation_id, etag, enabled, status_reason, status_updated_unix_ms, authentication,
                    first_credential, second_credential, iot_edge
             FROM device WHERE hub = ?1",
        )
        .map_err(failed)?;
    let mut rows = select.query([hub.as_str()]).map_err(failed)?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let id: String = row.get(0).map_err(failed)?;
        let device = read(row, &id).map_err(failed)?;
        let what = || format!("`{id}` of {hub}");
        devices.push(device.ok_or_else(|| StoreError::Device {
            path: path.to_path_buf(),
            what: what(),
        })?);
    }
    Ok(devices)
}

/// `None` if the row is malformed.
fn read(row: &Row<'_>, id: &str) -> rusqlite::Result<Option<Device>> {
    let kind: String = row.get(6)?;
    let authentication = authentication(&kind, row.get(7)?, row.get(8)?);
    let (Ok(id), Some(authentication)) = (DeviceId::parse(id), authentication) else {
        return Ok(None);
    };
    let updated: Option<i64> = row.get(5)?;
    Ok(Some(Device {
        id,
        generation_id: row.get::<_, String>(1)?.into(),
        etag: row.get(2)?,
        status: if row.get(3)? {
            DeviceStatus::Enabled
        } else {
            DeviceStatus::Disabled
        },
        status_reason: row.get(4)?,
        status_updated_unix_ms: updated.and_then(|ms| u64::try_from(ms).ok()),
        authentication,
        iot_edge: row.get(9)?,
    }))
}

/// `None` if the columns are malformed.
pub(super) fn authentication(
    kind: &str,
    first: Option<String>,
    second: Option<String>,
) -> Option<Authentication> {
    let key = |text: Option<String>| text.and_then(|text| SymmetricKey::from_base64(&text).ok());
    match kind {
        SAS => key(first)
            .zip(key(second))
            .map(|(primary, secondary)| Authentication::Sas { primary, secondary }),
        SELF_SIGNED => first.map(|primary| Authentication::SelfSigned {
            primary,
            secondary: second,
        }),
        CERTIFICATE_AUTHORITY => Some(Authentication::CertificateAuthority),
        NONE => Some(Authentication::None),
        _ => None,
    }
}

/// Its columns.
pub(super) fn credentials(
    authentication: &Authentication,
) -> (&'static str, Option<String>, Option<String>) {
    match authentication {
        Authentication::Sas { primary, secondary } => {
            (SAS, Some(primary.to_base64()), Some(secondary.to_base64()))
        }
        Authentication::SelfSigned { primary, secondary } => {
            (SELF_SIGNED, Some(primary.clone()), secondary.clone())
        }
        Authentication::CertificateAuthority => (CERTIFICATE_AUTHORITY, None, None),
        Authentication::None => (NONE, None, None),
    }
}

pub(super) fn apply(
    connection: &Connection,
    hub: &HostName,
    write: &Write,
) -> rusqlite::Result<()> {
    match write {
        Write::Registry(Change::Put(device)) => put(connection, hub, device),
        Write::Registry(Change::PutModule(module)) => modules::put(connection, hub, module),
        Write::Registry(Change::DeleteModule(device, module)) => {
            modules::delete(connection, hub, device, module)
        }
        Write::Registry(Change::Twin { client, twin, .. }) => match &client.module {
            None => twins::put(connection, hub, &client.device, twin),
            Some(module) => modules::put_twin(connection, hub, &client.device, module, twin),
        },
        Write::Registry(Change::Delete(id)) => {
            c2d::forget(connection, hub, id)?;
            twins::delete(connection, hub, id)?;
            mqtt_sessions::delete(connection, hub, id)?;
            modules::delete_of(connection, hub, id)?;
            uploads::forget(connection, hub, id)?;
            connection
                .prepare_cached("DELETE FROM device WHERE hub = ?1 AND id = ?2")?
                .execute([hub.as_str(), id.as_str()])
                .map(drop)
        }
        Write::CloudToDevice(change) => c2d::apply(connection, hub, change),
        Write::Authority(authority) => authorities::put(connection, hub, authority),
        Write::AuthorityGone(name) => authorities::delete(connection, hub, name),
        Write::Upload(change) => uploads::apply(connection, hub, change),
        Write::Blob(change) => blobs::apply(connection, hub, change),
        Write::Registration(registration) => dps::put(connection, registration),
        Write::Setting { name, value } => set_setting(connection, name, value),
        Write::MqttSession(session) => mqtt_sessions::put(connection, hub, session),
        Write::MqttSessionGone(client) => match &client.module {
            None => mqtt_sessions::delete(connection, hub, &client.device),
            Some(module) => modules::delete_session(connection, hub, &client.device, module),
        },
    }
}

fn put(connection: &Connection, hub: &HostName, device: &Device) -> rusqlite::Result<()> {
    let (kind, first, second) = credentials(&device.authentication);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO device VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            hub.as_str(),
            device.id.as_str(),
            &*device.generation_id,
            device.etag,
            device.status == DeviceStatus::Enabled,
            device.status_reason,
            device
                .status_updated_unix_ms
                .and_then(|ms| i64::try_from(ms).ok()),
            kind,
            first,
            second,
            device.iot_edge,
        ])
        .map(drop)
}

pub(super) fn setting(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| {
            row.get(0)
        })
        .optional()
}

pub(super) fn settings(
    connection: &Connection,
    prefix: &str,
) -> rusqlite::Result<Vec<(String, String)>> {
    // Not LIKE, which has wildcards.
    let query = "SELECT substr(name, length(?1) + 1), value FROM setting WHERE substr(name, 1, length(?1)) = ?1";
    let mut select = connection.prepare(query)?;
    let rows = select.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

pub(super) fn set_setting(
    connection: &Connection,
    name: &str,
    value: &str,
) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT OR REPLACE INTO setting VALUES (?1, ?2)",
            [name, value],
        )
        .map(drop)
}
