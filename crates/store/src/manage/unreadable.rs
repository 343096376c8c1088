//! Values that the key ring does not decrypt: listed, and removed on request.

use std::path::Path;

use drawspan_hub::{SubscriptionType, UtcTime};
use rusqlite::{Connection, TransactionBehavior};

use super::{ManageError, check_format, file_in, keys, open};
use crate::clock;
use crate::database::unreadable::{self as rows, UnreadableRow};
use crate::database::{self, Sync, keys as table};
use crate::error::StoreError;
use crate::keyring::KeyRing;
use crate::state_files;
use crate::subscriptions::StoredScope;

/// Unreadable values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// Subscriptions: those of devices first, in the order of their names.
    pub subscriptions: Vec<UnreadableSubscription>,
    /// How many dead letters.
    pub dead_letters: u64,
}

/// A subscription that cannot be read, as far as its row tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableSubscription {
    /// The owner of the value.
    pub scope: StoredScope,
    /// The kind of events; `None` if the row was changed to an unknown one.
    pub kind: Option<SubscriptionType>,
    /// The mistake.
    pub why: String,
}

/// The removed values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedUnreadable {
    /// The rows.
    pub rows: Unreadable,
    /// Number of the key that was made and is current now, since the one that was used last is not in the key ring.
    pub new_key: Option<u32>,
}

impl Unreadable {
    /// Whether everything can be read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.subscriptions.is_empty() && self.dead_letters == 0
    }
}

/// Values that this key ring, or no key ring if it is missing, cannot decrypt. Changes nothing, and may run at the same time as a
/// bridge. Blocks, since everything is decrypted.
///
/// # Errors
/// When there is no store, or the key ring is damaged.
pub fn list_unreadable(directory: &Path, keyring: &Path) -> Result<Unreadable, ManageError> {
    let path = file_in(directory)?;
    let mut connection = database::open_to_read(&path)?;
    database::check_owner(&connection, &path)?;
    let transaction = connection.transaction()?;
    check_format(&transaction, &path)?;
    // After the transaction's first look at the file: a key that something is encrypted with then is in the ring by now.
    let ring = keys::read(keyring)?;
    Ok(Found::find(&transaction, ring.as_ref())?.told())
}

/// Removes what cannot be read with this key ring, in one transaction, and nothing else. When the key that was used last is not in
/// the ring, the ring gets a new one, since a directory and its key ring belong together by that. Without a ring, the next start of a bridge makes
/// it. Blocks; everything is decrypted.
///
/// # Errors
/// When a bridge uses the directory, there is no store, its file is damaged, or the key ring is damaged or cannot be written. Nothing is
/// removed then.
pub fn remove_unreadable(
    directory: &Path,
    keyring: &Path,
) -> Result<RemovedUnreadable, ManageError> {
    let mut connection = open(&file_in(directory)?)?;
    // A bridge has in memory what we would remove, and writes it again whenever it likes.
    let _lock = state_files::take(directory)?;
    database::sync(&connection, Sync::OfMachine)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // A page that cannot be read makes rows look as if somebody had changed them; a backup has them.
    if database::damage(&transaction)?.is_some() {
        return Err(StoreError::Damaged.into());
    }
    let ring = keys::read(keyring)?;
    let found = Found::find(&transaction, ring.as_ref())?;
    let mut new_key = None;
    if !found.is_empty() {
        rows::remove(&transaction, &found.subscriptions, &found.dead_letters)?;
        if let Some(ring) = ring {
            new_key = succeed_lost(&transaction, ring, keyring)?;
        }
    }
    transaction.commit()?;
    Ok(RemovedUnreadable {
        rows: found.told(),
        new_key,
    })
}

/// A key in place of the one that was used last, if the ring does not have that.
fn succeed_lost(
    transaction: &Connection,
    mut ring: KeyRing,
    keyring: &Path,
) -> Result<Option<u32>, ManageError> {
    let used = table::in_use(transaction)?;
    let Some(last) = used.last() else {
        return Ok(None);
    };
    let found = ring.get(last.version).map(|key| key.fingerprint);
    if found.is_some() && found == last.fingerprint {
        return Ok(None);
    }
    let version = last.version.max(ring.newest()).saturating_add(1);
    ring.add(version, UtcTime::from_unix_ms(clock::now_unix_ms()))?;
    ring.write(keyring).map_err(ManageError::file(keyring))?;
    table::announce(transaction, &ring)?;
    Ok(Some(version))
}

/// Rows that do not open.
struct Found {
    subscriptions: Vec<UnreadableRow>,
    dead_letters: Vec<u64>,
}

impl Found {
    fn find(connection: &Connection, ring: Option<&KeyRing>) -> Result<Self, ManageError> {
        let none = KeyRing::without_keys();
        let ring = ring.unwrap_or(&none);
        Ok(Self {
            subscriptions: rows::subscriptions(connection, ring)?,
            dead_letters: rows::dead_letters(connection, ring)?,
        })
    }

    const fn is_empty(&self) -> bool {
        self.subscriptions.is_empty() && self.dead_letters.is_empty()
    }

    fn told(self) -> Unreadable {
        Unreadable {
            subscriptions: self.subscriptions.into_iter().map(|it| it.told).collect(),
            dead_letters: self.dead_letters.len() as u64,
        }
    }
}
