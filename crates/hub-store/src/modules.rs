//! Modules of devices as rows, with their twins and MQTT sessions. In tables of their own, which are empty at most hubs.

use std::path::Path;

use drawspan_hub::{DeviceId, HostName, ModuleId};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::module::Module;
use drawspan_hub_model::twin::Twin;
use rusqlite::{Connection, Row, params};

use super::{MqttSession, StoreError, schema, twins};

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS module (
        hub TEXT NOT NULL,
        device TEXT NOT NULL,
        id TEXT NOT NULL,
        generation_id TEXT NOT NULL,
        etag TEXT NOT NULL,
        managed_by TEXT,
        authentication TEXT NOT NULL,
        first_credential TEXT,
        second_credential TEXT,
        PRIMARY KEY (hub, device, id)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS module_twin (
        hub TEXT NOT NULL,
        device TEXT NOT NULL,
        module TEXT NOT NULL,
        version INTEGER NOT NULL,
        etag_number INTEGER NOT NULL,
        tags TEXT NOT NULL,
        desired TEXT NOT NULL,
        reported TEXT NOT NULL,
        PRIMARY KEY (hub, device, module)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS module_mqtt_session (
        hub TEXT NOT NULL,
        device TEXT NOT NULL,
        module TEXT NOT NULL,
        subscriptions INTEGER NOT NULL,
        PRIMARY KEY (hub, device, module)
    ) WITHOUT ROWID;
";

const MODULES: &str = "SELECT device, id, generation_id, etag, managed_by, authentication, first_credential, second_credential
    FROM module WHERE hub = ?1";
const TWINS: &str = "SELECT device, module, version, etag_number, tags, desired, reported FROM module_twin WHERE hub = ?1";
const SESSIONS: &str =
    "SELECT device, module, subscriptions FROM module_mqtt_session WHERE hub = ?1";

/// The modules of a hub's devices.
pub(super) fn load(
    connection: &Connection,
    hub: &HostName,
    path: &Path,
) -> Result<Vec<Module>, StoreError> {
    rows(connection, hub, path, MODULES, read)
}

/// Their twins.
pub(super) fn load_twins(
    connection: &Connection,
    hub: &HostName,
    path: &Path,
) -> Result<Vec<(ClientId, Twin)>, StoreError> {
    let read =
        |row: &Row<'_>, client: ClientId| Ok(twins::read(row, 2)?.map(|twin| (client, twin)));
    rows(connection, hub, path, TWINS, read)
}

/// Their MQTT sessions.
pub(super) fn load_sessions(
    connection: &Connection,
    hub: &HostName,
    path: &Path,
) -> Result<Vec<MqttSession>, StoreError> {
    let read = |row: &Row<'_>, client: ClientId| {
        let subscriptions = u8::try_from(row.get::<_, i64>(2)?).ok();
        Ok(subscriptions.map(|subscriptions| MqttSession {
            client,
            subscriptions,
        }))
    };
    rows(connection, hub, path, SESSIONS, read)
}

/// Reads rows that begin with device and module; `read` gives `None` for a malformed one.
fn rows<T>(
    connection: &Connection,
    hub: &HostName,
    path: &Path,
    select: &str,
    read: impl Fn(&Row<'_>, ClientId) -> rusqlite::Result<Option<T>>,
) -> Result<Vec<T>, StoreError> {
    let failed = |cause| StoreError::Sqlite {
        doing: "read",
        path: path.to_path_buf(),
        cause,
    };
    let one = |row: &Row<'_>| {
        let (device, module): (String, String) = (row.get(0)?, row.get(1)?);
        let client = DeviceId::parse(&device)
            .ok()
            .zip(ModuleId::parse(&module).ok());
        let found = match client {
            Some((device, module)) => read(row, ClientId::of_module(&device, &module))?,
            None => None,
        };
        Ok(found.ok_or_else(|| StoreError::Device {
            path: path.to_path_buf(),
            what: format!("module `{module}` of `{device}` of {hub}"),
        }))
    };
    let mut select = connection.prepare(select).map_err(failed)?;
    let found = select
        .query_map([hub.as_str()], one)
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
    found.map_err(failed)?.into_iter().collect()
}

/// `None` if the row is malformed.
fn read(row: &Row<'_>, client: ClientId) -> rusqlite::Result<Option<Module>> {
    let kind: String = row.get(5)?;
    let authentication = schema::authentication(&kind, row.get(6)?, row.get(7)?);
    let (Some(id), Some(authentication)) = (client.module, authentication) else {
        return Ok(None);
    };
    Ok(Some(Module {
        device: client.device,
        id,
        generation_id: row.get::<_, String>(2)?.into(),
        etag: row.get(3)?,
        managed_by: row.get(4)?,
        authentication,
    }))
}

pub(super) fn put(
    connection: &Connection,
    hub: &HostName,
    module: &Module,
) -> rusqlite::Result<()> {
    let (kind, first, second) = schema::credentials(&module.authentication);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO module VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            hub.as_str(),
            module.device.as_str(),
            module.id.as_str(),
            &*module.generation_id,
            module.etag,
            module.managed_by,
            kind,
            first,
            second,
        ])
        .map(drop)
}

pub(super) fn put_twin(
    connection: &Connection,
    hub: &HostName,
    device: &DeviceId,
    module: &ModuleId,
    twin: &Twin,
) -> rusqlite::Result<()> {
    let [tags, desired, reported] = twins::sections(twin)?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO module_twin VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            hub.as_str(),
            device.as_str(),
            module.as_str(),
            i64::try_from(twin.version).unwrap_or(i64::MAX),
            i64::try_from(twin.etag_number).unwrap_or(i64::MAX),
            tags,
            desired,
            reported,
        ])
        .map(drop)
}

pub(super) fn put_session(
    connection: &Connection,
    hub: &HostName,
    device: &DeviceId,
    module: &ModuleId,
    subscriptions: u8,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO module_mqtt_session VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            hub.as_str(),
            device.as_str(),
            module.as_str(),
            subscriptions
        ])
        .map(drop)
}

pub(super) fn delete_session(
    connection: &Connection,
    hub: &HostName,
    device: &DeviceId,
    module: &ModuleId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM module_mqtt_session WHERE hub = ?1 AND device = ?2 AND module = ?3",
        )?
        .execute([hub.as_str(), device.as_str(), module.as_str()])
        .map(drop)
}

/// A module is gone, with all that there is of it.
pub(super) fn delete(
    connection: &Connection,
    hub: &HostName,
    device: &DeviceId,
    module: &ModuleId,
) -> rusqlite::Result<()> {
    delete_session(connection, hub, device, module)?;
    for delete in [
        "DELETE FROM module_twin WHERE hub = ?1 AND device = ?2 AND module = ?3",
        "DELETE FROM module WHERE hub = ?1 AND device = ?2 AND id = ?3",
    ] {
        let of = [hub.as_str(), device.as_str(), module.as_str()];
        connection.prepare_cached(delete)?.execute(of)?;
    }
    Ok(())
}

/// A device is gone, and its modules with it.
pub(super) fn delete_of(
    connection: &Connection,
    hub: &HostName,
    device: &DeviceId,
) -> rusqlite::Result<()> {
    for delete in [
        "DELETE FROM module_mqtt_session WHERE hub = ?1 AND device = ?2",
        "DELETE FROM module_twin WHERE hub = ?1 AND device = ?2",
        "DELETE FROM module WHERE hub = ?1 AND device = ?2",
    ] {
        let of = [hub.as_str(), device.as_str()];
        connection.prepare_cached(delete)?.execute(of)?;
    }
    Ok(())
}
