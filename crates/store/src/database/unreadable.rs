//! Rows that the key ring does not decrypt, to be listed and removed.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Error, Row, ToSql, params_from_iter};

use super::subscriptions::{ALL, DEVICE, Stored, kind_of};
use super::{dead_letters, seconds};
use crate::error::StoreError;
use crate::keyring::KeyRing;
use crate::manage::UnreadableSubscription;
use crate::subscriptions::StoredScope;

/// A subscription's row that does not open.
pub(crate) struct UnreadableRow {
    pub(crate) told: UnreadableSubscription,
    key: [Raw; 3],
}

/// A value as it lies in the file: in a row that somebody changed, it may be of any type.
enum Raw {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

/// Whether it is not the file or the disk that is at fault, but what one row holds.
pub(super) const fn is_of_row(error: &Error) -> bool {
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..)
    )
}

/// In the order of their names.
pub(crate) fn subscriptions(
    connection: &Connection,
    ring: &KeyRing,
) -> rusqlite::Result<Vec<UnreadableRow>> {
    let mut select = connection.prepare(&format!("{ALL} ORDER BY scope, name, kind"))?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(why) = why_not(row, ring)? {
            found.push(UnreadableRow::of(row, why)?);
        }
    }
    Ok(found)
}

fn why_not(row: &Row<'_>, ring: &KeyRing) -> rusqlite::Result<Option<String>> {
    match Stored::read(row) {
        Ok(stored) => Ok(stored.open(ring).err().map(|error| match error {
            StoreError::Sealed { why, .. } => why,
            other => other.to_string(),
        })),
        Err(error) if is_of_row(&error) => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Their numbers, in order.
pub(crate) fn dead_letters(
    connection: &Connection,
    ring: &KeyRing,
) -> Result<Vec<u64>, StoreError> {
    let mut select = connection.prepare("SELECT id FROM dead_letters ORDER BY id")?;
    let mut ids = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = ids.next()? {
        let id = row.get(0)?;
        match dead_letters::get(connection, ring, id) {
            Ok(_) => {}
            Err(StoreError::Sealed { .. }) => found.push(id),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Removes these rows, within the caller's transaction.
pub(crate) fn remove(
    connection: &Connection,
    subscriptions: &[UnreadableRow],
    dead_letters: &[u64],
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM subscriptions WHERE scope = ?1 AND name = ?2 AND kind = ?3";
    let mut delete = connection.prepare(sql)?;
    for row in subscriptions {
        delete.execute(params_from_iter(&row.key))?;
    }
    let mut delete = connection.prepare("DELETE FROM dead_letters WHERE id = ?1")?;
    for id in dead_letters {
        delete.execute([seconds(*id)])?;
    }
    Ok(())
}

impl UnreadableRow {
    fn of(row: &Row<'_>, why: String) -> rusqlite::Result<Self> {
        let key = [
            Raw::of(row.get_ref(0)?),
            Raw::of(row.get_ref(1)?),
            Raw::of(row.get_ref(2)?),
        ];
        let [scope, name, kind] = &key;
        let name = name.text();
        let told = UnreadableSubscription {
            scope: match scope.small() == Some(DEVICE) {
                true => StoredScope::Device(name),
                false => StoredScope::Fleet(name),
            },
            kind: kind.small().and_then(kind_of),
            why,
        };
        Ok(Self { told, key })
    }
}

impl Raw {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(bytes) => Self::Text(bytes.to_vec()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }

    fn small(&self) -> Option<u8> {
        match self {
            Self::Integer(number) => u8::try_from(*number).ok(),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(bytes) | Self::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Real(number) => number.to_string(),
            Self::Null => String::new(),
        }
    }
}

impl ToSql for Raw {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
