//! How a connection describes itself. No payload, key or token is in it.

use std::time::Duration;

use drawspan_hub_model::access::Grant;
use drawspan_hub_model::client_id::ClientId;

/// A connection's links and tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The links (AMQP), or subscriptions (MQTT).
    pub links: Vec<LinkLine>,
    /// The tokens, or the certificate.
    pub tokens: Vec<TokenLine>,
}

/// A link of AMQP, or a subscription over MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkLine {
    /// The device or module; `None` for what services have, and for `$cbs`.
    pub client: Option<ClientId>,
    /// What goes over it.
    pub kind: String,
    /// Messages that its receiver takes at the moment, if AMQP counts them.
    pub credit: Option<u32>,
}

/// What a client proved itself by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenLine {
    /// The device or module; `None` for a policy.
    pub client: Option<ClientId>,
    /// The policy whose key signed, if one did.
    pub policy: Option<&'static str>,
    /// The resource that it is for; empty for a certificate.
    pub resource: String,
    /// When it expires, Unix seconds of the emulator's clock; `None` for a certificate.
    pub expires_unix_s: Option<u64>,
}

/// A frame of AMQP or a packet of MQTT: what it is, never what it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When, Unix milliseconds.
    pub unix_ms: u64,
    /// Whether the hub sent it.
    pub sent: bool,
    /// The channel of AMQP.
    pub channel: Option<u16>,
    /// Its bytes, as far as they are known.
    pub bytes: usize,
    /// Its name and fields.
    pub text: String,
}

impl Frame {
    /// The time of day so long before `now_unix_ms`.
    pub fn time(now_unix_ms: u64, before: Duration) -> u64 {
        let before = u64::try_from(before.as_millis()).unwrap_or(u64::MAX);
        now_unix_ms.saturating_sub(before)
    }
}

impl TokenLine {
    /// What a grant says of itself.
    pub fn of(client: Option<ClientId>, grant: &Grant) -> Self {
        Self {
            client,
            policy: grant.policy().map(|policy| policy.name),
            resource: grant.resource().to_owned(),
            expires_unix_s: (!grant.is_by_certificate()).then(|| grant.expires_unix_s()),
        }
    }
}
