//! What callers subscribed to.

use drawspan_hub::{SubscriptionType, UtcTime};
use secrecy::SecretString;

/// A subscription as it is stored.
#[derive(Debug, Clone)]
pub struct StoredSubscription {
    /// The device, or the beginning of device ids.
    pub scope: StoredScope,
    /// Which events.
    pub kind: SubscriptionType,
    /// Where they go; encrypted in the file.
    pub callback_url: SecretString,
    /// When it was made, or last replaced.
    pub created_at: UtcTime,
    /// Whether devices stay connected for it.
    pub keep_connected: bool,
    /// Whether it came from another bridge's tables: its callback may be private.
    pub imported: bool,
}

/// Which devices a stored subscription is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoredScope {
    /// The device of this id.
    Device(String),
    /// Devices whose ids begin so.
    Fleet(String),
}
