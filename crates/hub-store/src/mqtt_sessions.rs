//! Sessions of MQTT clients that outlive their connections, as rows.

use std::path::Path;

use drawspan_hub::{DeviceId, HostName};
use rusqlite::{Connection, Row, params};

use super::{MqttSession, StoreError, modules};

pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS mqtt_session (
        hub TEXT NOT NULL,
        device TEXT NOT NULL,
        subscriptions INTEGER NOT NULL,
        PRIMARY KEY (hub, device)
    ) WITHOUT ROWID;
";

/// The sessions of a hub's devices.
pub(super) fn load(
    connection: &Connection,
    hub: &HostName,
    path: &Path,
) -> Result<Vec<MqttSession>, StoreError> {
    let failed = |cause| StoreError::Sqlite {
        doing: "read",
        path: path.to_path_buf(),
        cause,
    };
    let mut select = connection
        .prepare("SELECT device, subscriptions FROM mqtt_session WHERE hub = ?1")
        .map_err(failed)?;
    let sessions = select
        .query_map([hub.as_str()], read)
        .and_then(Iterator::collect::<rusqlite::Result<Option<Vec<_>>>>)
        .map_err(failed)?;
    sessions.ok_or_else(|| StoreError::Device {
        path: path.to_path_buf(),
        what: format!("an MQTT session of {hub}"),
    })
}

/// `None` if the row is malformed.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<MqttSession>> {
    let (device, subscriptions): (String, i64) = (row.get(0)?, row.get(1)?);
    let session = || {
        Some(MqttSession {
            client: DeviceId::parse(&device).ok()?.into(),
            subscriptions: u8::try_from(subscriptions).ok()?,
        })
    };
    Ok(session())
}

pub(super) fn put(
    connection: &Connection,
    hub: &HostName,
    session: &MqttSession,
) -> rusqlite::Result<()> {
    let (client, subscriptions) = (&session.client, session.subscriptions);
    if let Some(module) = &client.module {
        return modules::put_session(connection, hub, &client.device, module, subscriptions);
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO mqtt_session VALUES (?1, ?2, ?3)")?
        .execute(params![hub.as_str(), client.device.as_str(), subscriptions])
        .map(drop)
}

pub(super) fn delete(
    connection: &Connection,
    hub: &HostName,
    device: &DeviceId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM mqtt_session WHERE hub = ?1 AND device = ?2")?
        .execute([hub.as_str(), device.as_str()])
        .map(drop)
}
