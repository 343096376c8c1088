//! Configured keys that sign events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretSlice};
use thiserror::Error;

use crate::limits::{MAX_WEBHOOK_SECRET_BYTES, MIN_WEBHOOK_SECRET_BYTES};

/// Prefix of every secret.
const PREFIX: &str = "whsec_";

/// A key that signs events. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct WebhookSecret(SecretSlice<u8>);

/// Why a text is no such key. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidWebhookSecret {
    /// Something else.
    #[error("a webhook secret begins with {PREFIX}, and the rest is Base64")]
    Prefix,
    /// The rest cannot be read.
    #[error("the text after {PREFIX} is not Base64")]
    Base64,
    /// Too short or too long.
    #[error(
        "a webhook secret is {MIN_WEBHOOK_SECRET_BYTES} to {MAX_WEBHOOK_SECRET_BYTES} bytes, and this is {0}; \
         `openssl rand -base64 32` makes a good one, after {PREFIX}"
    )]
    Length(usize),
}

impl WebhookSecret {
    /// Reads `whsec_` and Base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// [`InvalidWebhookSecret`].
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookSecret> {
        let encoded = text
            .strip_prefix(PREFIX)
            .ok_or(InvalidWebhookSecret::Prefix)?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| InvalidWebhookSecret::Base64)?;
        if !(MIN_WEBHOOK_SECRET_BYTES..=MAX_WEBHOOK_SECRET_BYTES).contains(&bytes.len()) {
            return Err(InvalidWebhookSecret::Length(bytes.len()));
        }
        Ok(Self(bytes.into()))
    }

    /// The key itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_other_texts() {
        let check = |text: &str, expected| {
            assert_eq!(WebhookSecret::parse(text).map(|_| ()), expected, "{text}");
        };
        let of = |length| format!("whsec_{}", STANDARD.encode(vec![1; length]));
        check(&of(24), Ok(()));
        check(&of(64), Ok(()));
        check(&of(23), Err(InvalidWebhookSecret::Length(23)));
        check(&of(65), Err(InvalidWebhookSecret::Length(65)));
        check("whsec_", Err(InvalidWebhookSecret::Length(0)));
        check("whsec_***", Err(InvalidWebhookSecret::Base64));
        check(
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            Err(InvalidWebhookSecret::Prefix),
        );
    }
}
