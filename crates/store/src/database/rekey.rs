//! Re-encrypting rows, a few at a time.

use rusqlite::{Connection, params};

use super::{dead_letters, subscriptions};
use crate::error::StoreError;
use crate::keyring::KeyRing;
use crate::limits::{REKEY_GROUP, REKEY_GROUP_BYTES};

/// How far it has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rekey {
    /// The last visited subscription; `None` once all were.
    pub(crate) subscriptions: ScanPosition<(u8, String, u8)>,
    /// The last dead letter that was looked at.
    pub(crate) dead_letters: ScanPosition<u64>,
    /// Rows that are encrypted with the current key now.
    pub(crate) done: u64,
    /// Rows that could not be decrypted and stay as they are.
    pub(crate) unreadable: u64,
}

/// How far a walk through a table has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum ScanPosition<T> {
    #[default]
    Begin,
    After(T),
    End,
}

impl Rekey {
    /// Whether there is nothing left.
    pub(crate) fn is_done(&self) -> bool {
        self.subscriptions == ScanPosition::End && self.dead_letters == ScanPosition::End
    }

    /// Does some more, within the caller's transaction.
    pub(crate) fn step(
        &mut self,
        connection: &Connection,
        ring: &KeyRing,
    ) -> Result<(), StoreError> {
        if self.subscriptions == ScanPosition::End {
            self.dead_letters(connection, ring)
        } else {
            subscriptions::rekey(connection, ring, self, REKEY_GROUP)
        }
    }

    fn dead_letters(&mut self, connection: &Connection, ring: &KeyRing) -> Result<(), StoreError> {
        let after = match self.dead_letters {
            ScanPosition::Begin => 0,
            ScanPosition::After(id) => id,
            ScanPosition::End => return Ok(()),
        };
        let mut select = connection.prepare_cached(
            "SELECT id FROM dead_letters WHERE id > ?1 AND key_version <> ?2 ORDER BY id LIMIT ?3",
        )?;
        let ids = select.query_map(params![after, ring.current(), REKEY_GROUP], |row| {
            row.get(0)
        })?;
        let ids: Vec<u64> = ids.collect::<rusqlite::Result<_>>()?;
        let mut bytes = 0;
        self.dead_letters = ScanPosition::End;
        for id in ids {
            match dead_letters::rekey(connection, ring, id) {
                Ok(size) => {
                    bytes += size;
                    self.done += 1;
                }
                Err(StoreError::Sealed { .. }) => self.unreadable += 1,
                Err(error) => return Err(error),
            }
            self.dead_letters = ScanPosition::After(id);
            if bytes >= REKEY_GROUP_BYTES {
                break;
            }
        }
        Ok(())
    }
}
