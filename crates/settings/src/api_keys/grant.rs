//! Permissions of a key.

use std::fmt;

use drawspan_bridge::subscriptions::Prefix;
use drawspan_hub::DeviceId;

/// A part of the API. `docs/api.md` lists the routes of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The operations of a device: telemetry, twin, receiving messages, registration.
    Send,
    /// Looking, and changing nothing.
    Read,
    /// Everything else: subscriptions, dead letters, resync, forgetting a device.
    Manage,
}

impl Scope {
    /// All scopes, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Read, Self::Send, Self::Manage];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Manage => "manage",
        }
    }

    /// The scope of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Permissions of a key: some scopes, for devices whose ids begin with a prefix.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Its scopes, each once, in the order of [`Scope::ALL`].
    pub scopes: Vec<Scope>,
    /// Empty for all devices.
    pub prefix: Prefix,
}

impl Default for Grant {
    /// Everything.
    fn default() -> Self {
        Self {
            scopes: Scope::ALL.to_vec(),
            prefix: Prefix::default(),
        }
    }
}

impl Grant {
    /// Whether nothing is left out.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.scopes.len() == Scope::ALL.len() && !self.is_for_some()
    }

    /// Whether it is for some devices only.
    #[must_use]
    pub fn is_for_some(&self) -> bool {
        !self.prefix.as_str().is_empty()
    }

    /// Whether one of these scopes is among its own.
    #[must_use]
    pub fn has_one_of(&self, scopes: &[Scope]) -> bool {
        scopes.iter().any(|scope| self.scopes.contains(scope))
    }

    /// Whether it is for this device.
    #[must_use]
    pub fn covers(&self, device: &DeviceId) -> bool {
        self.prefix.covers(device)
    }

    /// Whether it is for every device whose id begins so.
    #[must_use]
    pub fn covers_all_of(&self, prefix: &str) -> bool {
        prefix.starts_with(self.prefix.as_str())
    }
}
