//! The keys that encrypt secrets at rest: numbered, kept in a file apart from the database, one of them current.
//!
//! A value is sealed by XChaCha20-Poly1305. Its nonces are long enough to be drawn at random indefinitely, so values need not be
//! counted per key, not even after a backup was restored; and it takes the same time everywhere, without special instructions. The
//! identity of a row is authenticated with its value, so that rows cannot be swapped.

mod file;
mod keys;
mod seal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use drawspan_hub::UtcTime;
use secrecy::{ExposeSecret as _, SecretBox};
use sha2::{Digest as _, Sha256};

pub use file::KeyRingError;
pub(crate) use keys::{Keys, Stamp, unusable};
pub(crate) use seal::{Identity, Sealed, Unsealable};

use crate::limits::MAX_KEYS;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Keys by number.
#[derive(Debug, Clone)]
pub(crate) struct KeyRing {
    current: u32,
    keys: BTreeMap<u32, Key>,
}

/// One of them.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) created_at: UtcTime,
    pub(crate) fingerprint: Fingerprint,
    secret: Arc<SecretBox<[u8; KEY_BYTES]>>,
}

/// Distinguishes a key from others with the same number, without revealing it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) [u8; 8]);

/// No random numbers, or no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoNewKey {
    /// The system provides no randomness.
    #[error("the system gives no random numbers")]
    NoRandom,
    /// The ring is full.
    #[error(
        "the key ring holds {MAX_KEYS} keys; remove those that no row uses with `drawspan keys prune`"
    )]
    Full,
}

impl KeyRing {
    /// A ring of one new key.
    pub(crate) fn new(version: u32, now: UtcTime) -> Result<Self, NoNewKey> {
        let mut ring = Self {
            current: version,
            keys: BTreeMap::new(),
        };
        ring.add(version, now)?;
        Ok(ring)
    }

    /// A ring that opens nothing.
    pub(crate) const fn without_keys() -> Self {
        Self {
            current: 0,
            keys: BTreeMap::new(),
        }
    }

    /// Adds a new key and makes it the current one.
    pub(crate) fn add(&mut self, version: u32, now: UtcTime) -> Result<(), NoNewKey> {
        if self.keys.len() >= MAX_KEYS {
            return Err(NoNewKey::Full);
        }
        let mut secret = SecretBox::new(Box::new([0; KEY_BYTES]));
        let bytes: &mut [u8; KEY_BYTES] = secrecy::ExposeSecretMut::expose_secret_mut(&mut secret);
        getrandom::fill(bytes).map_err(|_| NoNewKey::NoRandom)?;
        self.keys.insert(version, Key::new(now, secret));
        self.current = version;
        Ok(())
    }

    /// Number of the key that seals.
    pub(crate) const fn current(&self) -> u32 {
        self.current
    }

    /// The highest number.
    pub(crate) fn newest(&self) -> u32 {
        self.keys.keys().next_back().copied().unwrap_or_default()
    }

    /// In the order of their numbers.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u32, &Key)> {
        self.keys.iter().map(|(version, key)| (*version, key))
    }

    pub(crate) fn get(&self, version: u32) -> Option<&Key> {
        self.keys.get(&version)
    }

    /// This ring with the other's keys, too; `None` if they have different keys with one number.
    pub(crate) fn joined(&self, other: &Self) -> Option<Self> {
        let mut joined = self.clone();
        for (version, key) in &other.keys {
            let own = joined.keys.entry(*version).or_insert_with(|| key.clone());
            if own.fingerprint != key.fingerprint {
                return None;
            }
        }
        (joined.keys.len() <= MAX_KEYS).then_some(joined)
    }

    /// Removes a key, but not the current one.
    pub(crate) fn remove(&mut self, version: u32) {
        if version != self.current {
            self.keys.remove(&version);
        }
    }
}

impl Key {
    fn new(created_at: UtcTime, secret: SecretBox<[u8; KEY_BYTES]>) -> Self {
        let hash = Sha256::new()
            .chain_update(b"drawspan key ring fingerprint\0")
            .chain_update(secret.expose_secret())
            .finalize();
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&hash[..8]);
        Self {
            created_at,
            fingerprint: Fingerprint(fingerprint),
            secret: Arc::new(secret),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.fingerprint)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
