//! The keys of a state directory: listing, rotating and pruning.
//!
//! The key ring is replaced first and the database is updated second, both while the database is locked against writers. A bridge
//! that runs at the same time sees the new key in the database before it seals anything with an old one.

use std::path::Path;
use std::time::{Duration, Instant};

use drawspan_hub::UtcTime;
use rusqlite::{Connection, TransactionBehavior};

use super::{ManageError, Progress, alone, check_format, file_in, open};
use crate::OpenError;
use crate::clock;
use crate::database::keys::{self as table, KeyUse};
use crate::database::rekey::Rekey;
use crate::database::{self, Sync};
use crate::keyring::{KeyRing, unusable};
use crate::limits::{REKEY_LOOK_INTERVAL_MS, REKEY_WAIT_S};

/// The keys of a state directory.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyList {
    /// In the order of their numbers.
    pub keys: Vec<KeyRow>,
}

/// A key that is in the ring, or that rows use.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyRow {
    /// Its number.
    pub version: u32,
    /// When it was created; `None` if it is not in the ring.
    pub created_at: Option<UtcTime>,
    /// Whether values are encrypted with it from now on.
    pub is_current: bool,
    /// Whether the ring has another key of this number than the one that rows use.
    pub is_other: bool,
    /// Values that are encrypted with it.
    pub rows: u64,
}

/// The result of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// Number of the new key.
    pub version: u32,
    /// Values that are encrypted with older keys still.
    pub left: u64,
    /// Whether a bridge uses the directory, and encrypts them.
    pub beside: bool,
}

/// The result of pruning old keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// Keys that were removed.
    pub removed: Vec<u32>,
    /// Older keys that stay, with how many values need each.
    pub needed: Vec<(u32, u64)>,
    /// The keys that are left in the ring.
    pub left: Vec<u32>,
}

impl KeyList {
    /// Keys that values need and the ring does not have.
    #[must_use]
    pub fn missing(&self) -> Vec<u32> {
        let gone = |key: &&KeyRow| key.rows > 0 && (key.created_at.is_none() || key.is_other);
        self.keys
            .iter()
            .filter(gone)
            .map(|key| key.version)
            .collect()
    }
}

/// Lists the keys, with the number of values that use each. Changes nothing, and may run at the same time as a bridge.
///
/// # Errors
/// When there is no store, or the key ring is damaged.
pub fn list_keys(directory: &Path, keyring: &Path) -> Result<KeyList, ManageError> {
    let path = file_in(directory)?;
    let connection = database::open_to_read(&path)?;
    database::check_owner(&connection, &path)?;
    check_format(&connection, &path)?;
    let used = table::in_use(&connection)?;
    let ring = read(keyring)?;
    let mut keys: Vec<KeyRow> = Vec::new();
    if let Some(ring) = &ring {
        keys.extend(ring.keys().map(|(version, key)| KeyRow {
            version,
            created_at: Some(key.created_at),
            is_current: version == ring.current(),
            is_other: false,
            rows: 0,
        }));
    }
    for used in used.iter().filter(|used| used.rows > 0) {
        let in_ring = ring.as_ref().and_then(|ring| ring.get(used.version));
        let fingerprints = used.fingerprint.zip(in_ring.map(|key| key.fingerprint));
        let is_other = fingerprints.is_some_and(|(stored, found)| stored != found);
        match keys.iter_mut().find(|key| key.version == used.version) {
            Some(key) => (key.rows, key.is_other) = (used.rows, is_other),
            None => keys.push(KeyRow {
                version: used.version,
                created_at: None,
                is_current: false,
                is_other,
                rows: used.rows,
            }),
        }
    }
    keys.sort_by_key(|key| key.version);
    Ok(KeyList { keys })
}

/// Creates a new current key, and has every value encrypted with it: by the bridge that uses the directory, for which it waits a
/// while, else by itself. Blocks. It may be interrupted at any moment: completed steps stand, and the next start of a bridge
/// finishes the rest.
///
/// # Errors
/// When there is no store or key ring, or keys are missing from it; nothing is changed then.
pub fn rotate_keys(
    directory: &Path,
    keyring: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Rotated, ManageError> {
    let mut connection = open(&file_in(directory)?)?;
    let lock = alone(directory)?;
    database::sync(&connection, Sync::OfMachine)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (mut ring, used) = ring_of(&transaction, keyring)?;
    let newest = used
        .iter()
        .map(|used| used.version)
        .max()
        .unwrap_or_default();
    let version = newest.max(ring.newest()).saturating_add(1);
    ring.add(version, UtcTime::from_unix_ms(clock::now_unix_ms()))?;
    ring.write(keyring).map_err(ManageError::file(keyring))?;
    table::announce(&transaction, &ring)?;
    transaction.commit()?;
    let left = match &lock {
        Some(_) => encrypt_anew(&mut connection, &ring, progress)?,
        None => wait(&connection, version, progress)?,
    };
    Ok(Rotated {
        version,
        left,
        beside: lock.is_none(),
    })
}

/// Removes unused keys. Without a running bridge, it first re-encrypts the values that need them. Earlier backups need the earlier
/// keys. Blocks.
///
/// # Errors
/// As [`rotate_keys`].
pub fn prune_keys(
    directory: &Path,
    keyring: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Pruned, ManageError> {
    let mut connection = open(&file_in(directory)?)?;
    let lock = alone(directory)?;
    if lock.is_some() {
        let (ring, _) = ring_of(&connection, keyring)?;
        encrypt_anew(&mut connection, &ring, progress)?;
    }
    // Values removed from the file must be gone permanently before their key is.
    database::sync(&connection, Sync::OfMachine)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (mut ring, used) = ring_of(&transaction, keyring)?;
    let current = ring.current();
    let rows = |version| used.iter().find(|used| used.version == version);
    let rows = |version| rows(version).map_or(0, |used| used.rows);
    let old = ring.keys().map(|(version, _)| version);
    let old: Vec<u32> = old.filter(|version| *version != current).collect();
    let (removed, needed): (Vec<u32>, Vec<u32>) = old.into_iter().partition(|it| rows(*it) == 0);
    for version in &removed {
        table::retire(&transaction, *version)?;
        ring.remove(*version);
    }
    table::announce(&transaction, &ring)?;
    // In this order: a running bridge must know that a key is removed before it is.
    transaction.commit()?;
    if !removed.is_empty() {
        ring.write(keyring).map_err(ManageError::file(keyring))?;
    }
    Ok(Pruned {
        removed,
        needed: needed.into_iter().map(|it| (it, rows(it))).collect(),
        left: ring.keys().map(|(version, _)| version).collect(),
    })
}

pub(super) fn read(keyring: &Path) -> Result<Option<KeyRing>, ManageError> {
    let failed = |cause| OpenError::KeyRing {
        path: keyring.to_path_buf(),
        cause,
    };
    Ok(KeyRing::read(keyring).map_err(failed)?)
}

/// The key ring, which must be that of this database.
fn ring_of(connection: &Connection, keyring: &Path) -> Result<(KeyRing, Vec<KeyUse>), ManageError> {
    let used = table::in_use(connection)?;
    let path = || keyring.to_path_buf();
    let ring = read(keyring)?.ok_or_else(|| ManageError::NoKeyRing { path: path() })?;
    if let Some(error) = unusable(&ring, keyring, &used) {
        return Err(error.into());
    }
    let Some(last) = used.last() else {
        return Ok((ring, used));
    };
    let found = ring.get(last.version).map(|key| key.fingerprint);
    match found.is_none() || found != last.fingerprint {
        true => Err(ManageError::OtherKeyRing {
            path: path(),
            version: last.version,
        }),
        false => Ok((ring, used)),
    }
}

/// Returns how many values could not be decrypted.
fn encrypt_anew(
    connection: &mut Connection,
    ring: &KeyRing,
    progress: &mut dyn FnMut(Progress),
) -> Result<u64, ManageError> {
    let all = older(connection, ring.current())?;
    let mut rekey = Rekey::default();
    while all > 0 && !rekey.is_done() {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        rekey.step(&transaction, ring)?;
        transaction.commit()?;
        progress(Progress {
            done: rekey.done,
            all,
        });
    }
    older(connection, ring.current())
}

/// Waits for the bridge that uses the directory; returns how many values are left when it took too long.
fn wait(
    connection: &Connection,
    current: u32,
    progress: &mut dyn FnMut(Progress),
) -> Result<u64, ManageError> {
    let all = older(connection, current)?;
    let until = Instant::now() + Duration::from_secs(REKEY_WAIT_S);
    loop {
        let left = older(connection, current)?;
        progress(Progress {
            done: all.saturating_sub(left),
            all,
        });
        if left == 0 || Instant::now() >= until {
            return Ok(left);
        }
        std::thread::sleep(Duration::from_millis(REKEY_LOOK_INTERVAL_MS));
    }
}

/// Values with older keys than the current one.
fn older(connection: &Connection, current: u32) -> Result<u64, ManageError> {
    let used = table::in_use(connection)?;
    let other = used.iter().filter(|used| used.version != current);
    Ok(other.map(|used| used.rows).sum())
}
