//! Changes of rows, and their execution.

use drawspan_hub::{DeviceId, SubscriptionType};
use rusqlite::Connection;

use crate::database::dead_letters::{self, Totals};
use crate::database::{desired_marks, hub_cache, idempotency, subscriptions};
use crate::dead_letters::NewDeadLetter;
use crate::desired_marks::DesiredMark;
use crate::error::StoreError;
use crate::hub_cache::CachedHub;
use crate::idempotency::StoredAnswer;
use crate::keyring::KeyRing;
use crate::limits::DEAD_LETTER_DROP_GROUP;
use crate::loss_counter::Charge;
use crate::subscriptions::{StoredScope, StoredSubscription};

/// A change of some rows.
#[derive(Debug)]
pub(crate) enum Change {
    PutHub(CachedHub),
    RenewHubs {
        devices: Vec<DeviceId>,
        now_unix_s: u64,
    },
    ForgetHub(DeviceId),
    PutSubscription(Box<StoredSubscription>),
    RemoveSubscription(StoredScope, SubscriptionType),
    PutDeadLetter {
        letter: Box<NewDeadLetter>,
        /// Whether it is on disk before it is acknowledged.
        durable: bool,
        /// For as long as it waits.
        _charge: Charge,
    },
    RemoveDeadLetter(u64),
    RemoveWebhook(String),
    PutDesired(DeviceId, DesiredMark),
    RemoveDesired(DeviceId),
    PutAnswer([u8; 32], StoredAnswer),
}

impl Change {
    pub(crate) const fn seals(&self) -> bool {
        matches!(self, Self::PutSubscription(_) | Self::PutDeadLetter { .. })
    }

    /// Whether it must survive a failure of the machine once it was acknowledged.
    pub(crate) const fn is_durable(&self) -> bool {
        matches!(
            self,
            Self::PutSubscription(_)
                | Self::RemoveSubscription(..)
                | Self::PutDeadLetter { durable: true, .. }
        )
    }
}

/// Carries one out; returns how many rows it changed.
pub(crate) fn apply(
    transaction: &Connection,
    ring: &KeyRing,
    change: &Change,
    letters: &mut Totals,
    answers: &mut u64,
) -> Result<usize, StoreError> {
    Ok(match change {
        Change::PutHub(entry) => hub_cache::put(transaction, entry).map(|()| 1)?,
        Change::RenewHubs {
            devices,
            now_unix_s,
        } => hub_cache::renew(transaction, devices, *now_unix_s).map(|()| devices.len())?,
        Change::ForgetHub(device) => hub_cache::forget(transaction, device)?,
        Change::PutSubscription(put) => subscriptions::put(transaction, ring, put).map(|()| 1)?,
        Change::RemoveSubscription(scope, kind) => {
            subscriptions::remove(transaction, scope, *kind)?
        }
        Change::PutDeadLetter { letter, .. } => {
            dead_letters::put(transaction, ring, letter, letters).map(|()| 1)?
        }
        Change::RemoveDeadLetter(id) => dead_letters::remove(transaction, *id, letters)?,
        Change::RemoveWebhook(id) => dead_letters::remove_webhook(transaction, id, letters)?,
        Change::PutDesired(device, mark) => desired_marks::put(transaction, device, *mark)?,
        Change::RemoveDesired(device) => desired_marks::remove(transaction, device)?,
        Change::PutAnswer(key, answer) => {
            let more = idempotency::put(transaction, key, answer)?;
            *answers += more as u64;
            more
        }
    })
}

/// Drops the oldest until there are no longer too many; returns how many.
pub(crate) fn bound_letters(
    transaction: &Connection,
    letters: &mut Totals,
    most: &Totals,
) -> rusqlite::Result<u64> {
    let mut dropped = 0;
    loop {
        let surplus = letters.rows.saturating_sub(most.rows);
        if surplus == 0 && letters.bytes <= most.bytes {
            return Ok(dropped);
        }
        let count = surplus.clamp(1, DEAD_LETTER_DROP_GROUP);
        let gone = dead_letters::drop_oldest(transaction, count, letters)? as u64;
        if gone == 0 {
            return Ok(dropped);
        }
        dropped += gone;
    }
}
