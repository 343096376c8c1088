//! The current key, which other processes may change.

use std::sync::Arc;

use rusqlite::Connection;

use crate::database::keys;
use crate::error::StoreError;
use crate::keyring::{KeyRing, Keys, Stamp};

/// The key ring as it is for this transaction. Another process may have made a new key current, and even removed ours, since the
/// file was last looked at; it did so in a transaction, so that we see it here before anything is sealed.
pub(crate) fn ring_that_seals(
    transaction: &Connection,
    held: &Keys,
    useless: &mut Option<Stamp>,
) -> Result<Arc<KeyRing>, StoreError> {
    let ring = held.ring();
    let is_known = keys::is_known(transaction, ring.current())?;
    let newest = keys::newest(transaction)?;
    if is_known && newest <= Some(ring.current()) {
        return Ok(ring);
    }
    let stamp = held.stamp();
    if is_known && useless.as_ref() == Some(&stamp) {
        return Ok(ring);
    }
    *useless = Some(stamp);
    match held.reload(&keys::in_use(transaction)?) {
        Ok(()) => {
            let ring = held.ring();
            keys::announce(transaction, &ring)?;
            Ok(ring)
        }
        Err(error) if is_known => {
            tracing::error!(%error, "there is a new key, but the key ring cannot be used; values are encrypted with the old one");
            Ok(ring)
        }
        Err(error) => Err(StoreError::KeyRing(error.to_string())),
    }
}
