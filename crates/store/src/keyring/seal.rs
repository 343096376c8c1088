//! Values, each sealed for one row.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key as CipherKey, KeyInit as _, XChaCha20Poly1305, XNonce};
use secrecy::ExposeSecret as _;
use thiserror::Error;

use super::KeyRing;

/// How a sealed value is laid out: this byte, nonce, text, tag.
const LAYOUT: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + NONCE_BYTES;

/// The owner of a value, without which it cannot be opened. Fields are delimited by their lengths.
#[derive(Debug, Clone)]
pub(crate) struct Identity(Vec<u8>);

/// A value that only the holder of a key reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Number of the key.
    pub(crate) version: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Why a value cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Unsealable {
    #[error("the key ring has no key {0}")]
    NoKey(u32),
    #[error("it was not sealed by key {0} for this row")]
    NotAuthentic(u32),
    #[error("the system gives no random numbers")]
    NoRandom,
}

impl Identity {
    /// Of a row of this table.
    pub(crate) fn of(table: &str) -> Self {
        let mut identity = Self(Vec::with_capacity(96));
        identity.0.extend_from_slice(b"drawspan store\0");
        identity.with(table.as_bytes())
    }

    pub(crate) fn with(mut self, field: &[u8]) -> Self {
        self.0
            .extend_from_slice(&(field.len() as u64).to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    fn with_version(&self, version: u32) -> Vec<u8> {
        let mut bytes = self.0.clone();
        bytes.extend_from_slice(&version.to_be_bytes());
        bytes
    }
}

impl KeyRing {
    /// Seals by the current key.
    pub(crate) fn seal(&self, row: &Identity, value: &[u8]) -> Result<Sealed, Unsealable> {
        let version = self.current;
        let cipher = self.cipher(version)?;
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| Unsealable::NoRandom)?;
        let payload = Payload {
            msg: value,
            aad: &row.with_version(version),
        };
        let text = cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let text = text.map_err(|_| Unsealable::NotAuthentic(version))?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + text.len());
        bytes.push(LAYOUT);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&text);
        Ok(Sealed { version, bytes })
    }

    /// Opens what was sealed for this row.
    pub(crate) fn open(
        &self,
        row: &Identity,
        version: u32,
        sealed: &[u8],
    ) -> Result<Vec<u8>, Unsealable> {
        let cipher = self.cipher(version)?;
        let unlike = Unsealable::NotAuthentic(version);
        if sealed.len() < HEAD_BYTES + TAG_BYTES {
            return Err(unlike);
        }
        let (head, text) = sealed.split_at(HEAD_BYTES);
        let [LAYOUT, nonce @ ..] = head else {
            return Err(unlike);
        };
        let payload = Payload {
            msg: text,
            aad: &row.with_version(version),
        };
        cipher
            .decrypt(XNonce::from_slice(nonce), payload)
            .map_err(|_| unlike)
    }

    fn cipher(&self, version: u32) -> Result<XChaCha20Poly1305, Unsealable> {
        let key = self.get(version).ok_or(Unsealable::NoKey(version))?;
        let secret = CipherKey::from_slice(key.secret.expose_secret());
        Ok(XChaCha20Poly1305::new(secret))
    }
}
