//! Symmetric keys: of policies, devices and enrollment groups.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::limits::{KEY_MAX_BYTES, KEY_MIN_BYTES};

/// Bytes of an HMAC-SHA256.
pub const SIGNATURE_BYTES: usize = 32;

/// Block of SHA-256, to which HMAC (RFC 2104) pads its key.
const BLOCK_BYTES: usize = 64;

/// A symmetric key of 16 to 64 bytes. Wiped on drop, never shown by `Debug`, cheap to clone.
#[derive(Clone)]
pub struct SymmetricKey(Arc<SecretSlice<u8>>);

/// Why a text is not a key. Never says anything of the text but its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// Not standard base64 with padding.
    #[error("the key is not base64")]
    NotBase64,
    /// Too short or too long.
    #[error("the key has {bytes} bytes, {KEY_MIN_BYTES} to {KEY_MAX_BYTES} are allowed")]
    Length {
        /// Bytes found.
        bytes: usize,
    },
}

impl SymmetricKey {
    /// Reads the form in which Azure shows keys.
    pub fn from_base64(text: &str) -> Result<Self, InvalidKey> {
        // Checked before decoding, so that a huge text allocates nothing.
        if text.len() > BLOCK_BYTES * 4 {
            return Err(InvalidKey::Length {
                bytes: text.len() / 4 * 3,
            });
        }
        let bytes = STANDARD.decode(text).map_err(|_| InvalidKey::NotBase64)?;
        Self::from_bytes(&bytes)
    }

    /// Takes raw bytes, for instance fresh random ones.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidKey> {
        if !(KEY_MIN_BYTES..=KEY_MAX_BYTES).contains(&bytes.len()) {
            return Err(InvalidKey::Length { bytes: bytes.len() });
        }
        Ok(Self::secret(bytes))
    }

    /// The form in which Azure shows keys. A secret: not for logs.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0.expose_secret())
    }

    /// HMAC-SHA256 of `message` under this key.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        mac(self.0.expose_secret(), message)
            .finalize()
            .into_bytes()
            .into()
    }

    /// The key of one device of an enrollment group whose key this is. The id is used as it is, case included
    /// (DPS article "symmetric key attestation").
    #[must_use]
    pub fn derive(&self, registration_id: &str) -> Self {
        Self::secret(&self.sign(registration_id.as_bytes()))
    }

    /// Whether `signature` is that of `message`, in constant time.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        mac(self.0.expose_secret(), message)
            .verify_slice(signature)
            .is_ok()
    }

    /// Like [`Self::verify`], with the key's base64 text as the key: so sign the Event Hubs clients, which treat every
    /// shared access key as text.
    #[must_use]
    pub fn verify_as_text(&self, message: &[u8], signature: &[u8]) -> bool {
        mac(self.to_base64().as_bytes(), message)
            .verify_slice(signature)
            .is_ok()
    }

    fn secret(bytes: &[u8]) -> Self {
        Self(Arc::new(SecretSlice::from(bytes.to_vec())))
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SymmetricKey(***)")
    }
}

/// RFC 2104: a longer key is hashed first, a shorter one padded with zeros.
fn mac(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut block = [0; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        block[..SIGNATURE_BYTES].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(message);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_the_documented_vector() {
        let group = SymmetricKey::from_base64(
            "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==",
        )
        .unwrap();

        let device = group.derive("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");

        assert_eq!(
            device.to_base64(),
            "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
        );
    }

    #[test]
    fn signs_as_rfc_4231() {
        // Test cases 1 and 7 (a key longer than a block, which is hashed first).
        let check = |key: &[u8], message: &[u8], expected: &str| {
            let code = mac(key, message).finalize().into_bytes();
            let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected);
        };
        check(
            &[0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        );
        check(
            &[0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size data. \
              The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        );
    }

    #[test]
    fn verifies_both_readings_of_a_key() {
        let key = SymmetricKey::from_bytes(&[7; 64]).unwrap();
        let as_text = mac(key.to_base64().as_bytes(), b"m")
            .finalize()
            .into_bytes();

        assert!(key.verify(b"m", &key.sign(b"m")));
        assert!(!key.verify(b"m", &as_text));
        assert!(key.verify_as_text(b"m", &as_text));
        assert!(!key.verify_as_text(b"m", &key.sign(b"m")));
        assert!(!key.verify(b"m", &key.sign(b"m")[..31]));
        assert!(!key.verify(b"m", b""));
    }

    #[test]
    fn refuses_what_is_no_key() {
        let check = |text: &str, expected: InvalidKey| {
            assert_eq!(SymmetricKey::from_base64(text).unwrap_err(), expected);
        };
        check("", InvalidKey::Length { bytes: 0 });
        check("c2hvcnQ=", InvalidKey::Length { bytes: 5 });
        check("not base64!", InvalidKey::NotBase64);
        check(&STANDARD.encode([1; 65]), InvalidKey::Length { bytes: 65 });
        check(&"A".repeat(1 << 20), InvalidKey::Length { bytes: 786_432 });
    }

    #[test]
    fn debug_shows_nothing() {
        let key = SymmetricKey::from_bytes(b"0123456789abcdef").unwrap();
        assert_eq!(format!("{key:?}"), "SymmetricKey(***)");
    }
}
