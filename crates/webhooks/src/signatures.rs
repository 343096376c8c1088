//! Signatures by which receivers verify the origin of an event, according to the Standard Webhooks specification.

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drawspan_settings::WebhookSecret;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The current signing keys, shared with the code that replaces them.
#[derive(Debug, Default)]
pub struct Secrets(RwLock<Arc<[WebhookSecret]>>);

impl Secrets {
    /// These, in their order.
    #[must_use]
    pub fn new(secrets: Vec<WebhookSecret>) -> Self {
        Self(RwLock::new(secrets.into()))
    }

    /// These count from now on.
    pub fn replace(&self, secrets: Vec<WebhookSecret>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = secrets.into();
    }

    /// The value of `webhook-signature`: one signature per key, separated by spaces. `None` without a key.
    pub(super) fn signature(&self, webhook_id: &str, unix_s: u64, body: &[u8]) -> Option<String> {
        let secrets = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let signatures = secrets
            .iter()
            .map(|secret| sign(secret, webhook_id, unix_s, body));
        let text = signatures.collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then_some(text)
    }
}

/// `v1,` and the signature.
fn sign(secret: &WebhookSecret, webhook_id: &str, unix_s: u64, body: &[u8]) -> String {
    let mut text = "v1,".to_owned();
    // HMAC takes keys of every length.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.bytes()) {
        mac.update(webhook_id.as_bytes());
        mac.update(b".");
        mac.update(unix_s.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        STANDARD.encode_string(mac.finalize().into_bytes(), &mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification, which its libraries in other languages are tested with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn signature(secrets: &Secrets) -> Option<String> {
        let body = br#"{"test": 2432232314}"#;
        secrets.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body)
    }

    fn other() -> WebhookSecret {
        WebhookSecret::parse(&format!("whsec_{}", STANDARD.encode([7; 64]))).unwrap()
    }

    #[test]
    fn signs_as_the_specification_does() {
        let secrets = Secrets::new(vec![WebhookSecret::parse(SECRET).unwrap()]);
        assert_eq!(signature(&secrets).as_deref(), Some(SIGNATURE));
    }

    #[test]
    fn each_key_signs_and_none_signs_nothing() {
        let secrets = Secrets::default();
        assert_eq!(signature(&secrets), None);
        secrets.replace(vec![other(), WebhookSecret::parse(SECRET).unwrap()]);
        let both = signature(&secrets).unwrap();
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(second, SIGNATURE);
        assert!(first.starts_with("v1,") && first != second);
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", Secrets::new(vec![other()]));
        assert!(!shown.contains('7'), "{shown}");
    }
}
