//! Subscriptions as rows.

use drawspan_hub::{DeviceId, SubscriptionType, UtcTime};
use rusqlite::{Connection, Row, Rows, params};
use secrecy::{ExposeSecret as _, SecretString};

use super::rekey::{Rekey, ScanPosition};
use super::unreadable::is_of_row;
use crate::error::StoreError;
use crate::keyring::{Identity, KeyRing, Sealed, Unsealable};
use crate::subscriptions::{StoredScope, StoredSubscription};

pub(super) const ALL: &str =
    "SELECT scope, name, kind, key_version, callback, created_unix_ms, flags FROM subscriptions";

pub(super) const DEVICE: u8 = 0;
const FLEET: u8 = 1;
const KEEP_CONNECTED: u8 = 1;
const IMPORTED: u8 = 2;
const LIMITED: u8 = 4;

/// A row, its callback still sealed.
pub(super) struct Stored {
    scope: u8,
    name: String,
    kind: u8,
    sealed: Sealed,
    created_unix_ms: i64,
    flags: u8,
}

/// All, one after the other, devices in the order of their names. The first that cannot be read ends it.
pub(crate) fn each(
    connection: &Connection,
    ring: &KeyRing,
    mut then: impl FnMut(StoredSubscription),
) -> Result<(), StoreError> {
    let mut select = connection.prepare(&format!("{ALL} ORDER BY scope, name, kind"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        then(opened(row, ring)?);
    }
    Ok(())
}

/// Subscriptions of one device.
pub(crate) fn load_device(
    connection: &Connection,
    ring: &KeyRing,
    device: &DeviceId,
) -> Result<Vec<StoredSubscription>, StoreError> {
    let mut select = connection.prepare(&format!("{ALL} WHERE scope = ?1 AND name = ?2"))?;
    collect(select.query(params![DEVICE, device.as_str()])?, ring)
}

/// Imported subscriptions.
pub(crate) fn load_imported(
    connection: &Connection,
    ring: &KeyRing,
) -> Result<Vec<StoredSubscription>, StoreError> {
    let mut select = connection.prepare(&format!("{ALL} WHERE flags & ?1 <> 0"))?;
    collect(select.query(params![IMPORTED])?, ring)
}

fn collect(mut rows: Rows<'_>, ring: &KeyRing) -> Result<Vec<StoredSubscription>, StoreError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(opened(row, ring)?);
    }
    Ok(found)
}

/// A row whose columns are not of their types was changed like one that does not open.
fn opened(row: &Row<'_>, ring: &KeyRing) -> Result<StoredSubscription, StoreError> {
    match Stored::read(row) {
        Ok(stored) => stored.open(ring),
        Err(error) if is_of_row(&error) => Err(StoreError::Sealed {
            what: "a subscription".into(),
            why: error.to_string(),
        }),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM subscriptions", [], |row| row.get(0))
}

pub(crate) fn put(
    connection: &Connection,
    ring: &KeyRing,
    subscription: &StoredSubscription,
) -> Result<(), StoreError> {
    let row = Stored::seal(ring, subscription)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO subscriptions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            row.scope,
            row.name,
            row.kind,
            row.sealed.version,
            row.sealed.bytes,
            row.created_unix_ms,
            row.flags,
        ])?;
    Ok(())
}

pub(crate) fn remove(
    connection: &Connection,
    scope: &StoredScope,
    kind: SubscriptionType,
) -> rusqlite::Result<usize> {
    let (scope, name) = scope_columns(scope);
    connection
        .prepare_cached("DELETE FROM subscriptions WHERE scope = ?1 AND name = ?2 AND kind = ?3")?
        .execute(params![scope, name, kind_column(kind)])
}

/// Re-encrypts some, within the caller's transaction.
pub(super) fn rekey(
    connection: &Connection,
    ring: &KeyRing,
    progress: &mut Rekey,
    most: usize,
) -> Result<(), StoreError> {
    let (scope, name, kind) = match &progress.subscriptions {
        ScanPosition::Begin => (-1, String::new(), 0),
        ScanPosition::After((scope, name, kind)) => (i64::from(*scope), name.clone(), *kind),
        ScanPosition::End => return Ok(()),
    };
    let sql = format!(
        "{ALL} WHERE (scope, name, kind) > (?1, ?2, ?3) AND key_version <> ?4 ORDER BY scope, name, kind LIMIT ?5"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_map(
        params![scope, name, kind, ring.current(), most],
        Stored::read,
    )?;
    let rows: Vec<Stored> = rows.collect::<rusqlite::Result<_>>()?;
    progress.subscriptions = ScanPosition::End;
    for row in rows {
        let place = (row.scope, row.name.clone(), row.kind);
        match row.open(ring) {
            Ok(subscription) => {
                put(connection, ring, &subscription)?;
                progress.done += 1;
            }
            Err(error) => {
                tracing::error!(%error, "a row keeps its old key");
                progress.unreadable += 1;
            }
        }
        progress.subscriptions = ScanPosition::After(place);
    }
    Ok(())
}

impl Stored {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            scope: row.get(0)?,
            name: row.get(1)?,
            kind: row.get(2)?,
            sealed: Sealed {
                version: row.get(3)?,
                bytes: row.get(4)?,
            },
            created_unix_ms: row.get(5)?,
            flags: row.get(6)?,
        })
    }

    fn seal(ring: &KeyRing, subscription: &StoredSubscription) -> Result<Self, StoreError> {
        let (scope, name) = scope_columns(&subscription.scope);
        let mut row = Self {
            scope,
            name: name.to_owned(),
            kind: kind_column(subscription.kind),
            sealed: Sealed {
                version: 0,
                bytes: Vec::new(),
            },
            created_unix_ms: subscription.created_at.unix_ms(),
            flags: flags(subscription),
        };
        let url = subscription.callback_url.expose_secret().as_bytes();
        let sealed = ring.seal(&row.identity(), url);
        row.sealed = sealed.map_err(|error| StoreError::KeyRing(error.to_string()))?;
        Ok(row)
    }

    /// Everything in the row but the callback: nothing of it can be changed by somebody who does not have the key.
    fn identity(&self) -> Identity {
        Identity::of("subscriptions")
            .with(&[self.scope, self.kind, self.flags])
            .with(self.name.as_bytes())
            .with(&self.created_unix_ms.to_be_bytes())
    }

    pub(super) fn open(self, ring: &KeyRing) -> Result<StoredSubscription, StoreError> {
        let Sealed { version, bytes } = &self.sealed;
        let opened = ring.open(&self.identity(), *version, bytes);
        let url = opened
            .map_err(|error| self.unreadable(&error))
            .and_then(|url| {
                String::from_utf8(url)
                    .map_err(|_| self.unreadable(&Unsealable::NotAuthentic(*version)))
            })?;
        let url = SecretString::from(url);
        let kind = kind_of(self.kind);
        let kind = kind.ok_or_else(|| self.unreadable(&Unsealable::NotAuthentic(*version)))?;
        Ok(StoredSubscription {
            scope: match self.scope {
                DEVICE => StoredScope::Device(self.name),
                _ => StoredScope::Fleet(self.name),
            },
            kind,
            callback_url: url,
            created_at: UtcTime::from_unix_ms(self.created_unix_ms),
            keep_connected: self.flags & KEEP_CONNECTED != 0,
            imported: self.flags & IMPORTED != 0,
            limited: self.flags & LIMITED != 0,
        })
    }

    fn unreadable(&self, why: &Unsealable) -> StoreError {
        let kind = kind_of(self.kind).map_or("unknown events", SubscriptionType::as_str);
        let whose = match self.scope {
            DEVICE => "of device",
            _ => "of the fleet with prefix",
        };
        StoreError::Sealed {
            what: format!("the subscription {whose} {:?} to {kind}", self.name),
            why: why.to_string(),
        }
    }
}

fn scope_columns(scope: &StoredScope) -> (u8, &str) {
    match scope {
        StoredScope::Device(id) => (DEVICE, id),
        StoredScope::Fleet(prefix) => (FLEET, prefix),
    }
}

fn flags(subscription: &StoredSubscription) -> u8 {
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    flag(subscription.keep_connected, KEEP_CONNECTED)
        | flag(subscription.imported, IMPORTED)
        | flag(subscription.limited, LIMITED)
}

pub(super) const fn kind_column(kind: SubscriptionType) -> u8 {
    match kind {
        SubscriptionType::DesiredProperties => 0,
        SubscriptionType::Methods => 1,
        SubscriptionType::C2dMessages => 2,
        SubscriptionType::ConnectionStatus => 3,
    }
}

pub(super) fn kind_of(column: u8) -> Option<SubscriptionType> {
    let same = |kind: &SubscriptionType| kind_column(*kind) == column;
    SubscriptionType::ALL.into_iter().find(same)
}
