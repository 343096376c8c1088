//! Signatures by which receivers know that an event is ours, after the Standard Webhooks specification.

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;
use thiserror::Error;

use crate::limits::{MAX_WEBHOOK_SECRET_BYTES, MIN_WEBHOOK_SECRET_BYTES};

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// A key that signs events. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct Secret(SecretSlice<u8>);

/// Why a text is no such key. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidSecret {
    /// Something else.
    #[error("a webhook secret begins with {PREFIX}, and the rest is Base64")]
    Prefix,
    /// The rest cannot be read.
    #[error("what follows {PREFIX} is not Base64")]
    Base64,
    /// Too short or too long.
    #[error(
        "a webhook secret is {MIN_WEBHOOK_SECRET_BYTES} to {MAX_WEBHOOK_SECRET_BYTES} bytes, and this is {0}; \
         `openssl rand -base64 32` makes a good one, after {PREFIX}"
    )]
    Length(usize),
}

/// The keys that sign now. Shared with whoever exchanges them.
#[derive(Debug, Default)]
pub struct Secrets(RwLock<Arc<[Secret]>>);

impl Secret {
    /// Reads `whsec_` and Base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// [`InvalidSecret`].
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret::Prefix)?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| InvalidSecret::Base64)?;
        if !(MIN_WEBHOOK_SECRET_BYTES..=MAX_WEBHOOK_SECRET_BYTES).contains(&bytes.len()) {
            return Err(InvalidSecret::Length(bytes.len()));
        }
        Ok(Self(bytes.into()))
    }

    /// `v1,` and the signature.
    fn sign(&self, webhook_id: &str, unix_s: u64, body: &[u8]) -> String {
        let mut text = "v1,".to_owned();
        // HMAC takes keys of every length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) {
            mac.update(webhook_id.as_bytes());
            mac.update(b".");
            mac.update(unix_s.to_string().as_bytes());
            mac.update(b".");
            mac.update(body);
            STANDARD.encode_string(mac.finalize().into_bytes(), &mut text);
        }
        text
    }
}

impl Secrets {
    /// These, in their order.
    #[must_use]
    pub fn new(secrets: Vec<Secret>) -> Self {
        Self(RwLock::new(secrets.into()))
    }

    /// These count from now on.
    pub fn replace(&self, secrets: Vec<Secret>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = secrets.into();
    }

    /// The value of `webhook-signature`: one signature per key, with spaces between them. None without a key.
    pub(super) fn signature(&self, webhook_id: &str, unix_s: u64, body: &[u8]) -> Option<String> {
        let secrets = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let signatures = secrets
            .iter()
            .map(|secret| secret.sign(webhook_id, unix_s, body));
        let text = signatures.collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification, which its libraries in other languages are tested with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn sign(secrets: &Secrets) -> Option<String> {
        let body = br#"{"test": 2432232314}"#;
        secrets.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body)
    }

    fn other() -> Secret {
        Secret::parse(&format!("whsec_{}", STANDARD.encode([7; 64]))).unwrap()
    }

    #[test]
    fn signs_as_the_specification_does() {
        let secrets = Secrets::new(vec![Secret::parse(SECRET).unwrap()]);
        assert_eq!(sign(&secrets).as_deref(), Some(SIGNATURE));
    }

    #[test]
    fn each_key_signs_and_none_signs_nothing() {
        let secrets = Secrets::default();
        assert_eq!(sign(&secrets), None);
        secrets.replace(vec![other(), Secret::parse(SECRET).unwrap()]);
        let both = sign(&secrets).unwrap();
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(second, SIGNATURE);
        assert!(first.starts_with("v1,") && first != second);
    }

    #[test]
    fn keys_are_told_from_other_texts() {
        let check = |text: &str, expected| {
            assert_eq!(Secret::parse(text).map(|_| ()), expected, "{text}");
        };
        let of = |length| format!("whsec_{}", STANDARD.encode(vec![1; length]));
        check(&of(24), Ok(()));
        check(&of(64), Ok(()));
        check(&of(23), Err(InvalidSecret::Length(23)));
        check(&of(65), Err(InvalidSecret::Length(65)));
        check("whsec_", Err(InvalidSecret::Length(0)));
        check("whsec_***", Err(InvalidSecret::Base64));
        check(
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            Err(InvalidSecret::Prefix),
        );
        let shown = format!("{:?}", Secrets::new(vec![other()]));
        assert!(!shown.contains('7'), "{shown}");
    }
}
