//! The kinds of subscriptions: the four kinds of events of a device.

use std::fmt;

/// A kind of events. The words are those of the original bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubscriptionType {
    /// Changes of desired properties.
    DesiredProperties,
    /// Direct methods.
    Methods,
    /// Cloud-to-device messages.
    C2dMessages,
    /// Changes of the device's connection.
    ConnectionStatus,
}

impl SubscriptionType {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::DesiredProperties,
        Self::Methods,
        Self::C2dMessages,
        Self::ConnectionStatus,
    ];

    /// The public word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DesiredProperties => "DesiredProperties",
            Self::Methods => "Methods",
            Self::C2dMessages => "C2DMessages",
            Self::ConnectionStatus => "ConnectionStatus",
        }
    }

    /// Reads the public word, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let same = |kind: &Self| kind.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(same)
    }

    /// Whether its events come from the hub, so that the device must be connected for them.
    #[must_use]
    pub const fn needs_connection(self) -> bool {
        !matches!(self, Self::ConnectionStatus)
    }
}

impl fmt::Display for SubscriptionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for kind in SubscriptionType::ALL {
            assert_eq!(SubscriptionType::parse(kind.as_str()), Some(kind));
        }
        let lower = SubscriptionType::parse("c2dmessages");
        assert_eq!(lower, Some(SubscriptionType::C2dMessages));
        assert_eq!(SubscriptionType::parse("C2D"), None);
    }
}
