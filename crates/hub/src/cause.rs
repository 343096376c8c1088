//! The causes of changes of a device's connection: a closed list of public words, in addition to those of the original.

use std::fmt;

/// Why a device's connection changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionCause {
    /// The token of a session ran out before the hub took the next one.
    TokenExpired,
    /// Another client connected with the device's identity.
    OtherClient,
    /// One side heard nothing from the other for its whole idle time-out.
    KeepAliveMissed,
    /// The hub, or DPS, has too many requests, or reached one of its limits.
    Throttled,
    /// The hub's daily quota of messages is used up.
    QuotaExceeded,
    /// The device belongs to another hub now.
    HubMoved,
    /// The hub ended or refused the connection for a reason of its own: maintenance, a fault, a restart.
    HubClosed,
    /// The bridge closed the connection because the device was not used any more, and has no subscription.
    IdleTimeout,
    /// The device is disabled at the hub, or its enrollment at DPS.
    Disabled,
    /// The device is not registered at the hub any more.
    Deleted,
    /// The hub, or DPS, does not take the key, token or certificate.
    CredentialsRefused,
    /// The clocks of the bridge and of the hub, or DPS, differ, so that tokens are refused.
    ClockSkew,
    /// The network, or what lies between the bridge and the hub, failed.
    Network,
    /// The bridge closed the connection, or did not open it, for another reason of its own.
    ClosedByBridge,
}

impl ConnectionCause {
    /// All causes.
    pub const ALL: [Self; 14] = [
        Self::TokenExpired,
        Self::OtherClient,
        Self::KeepAliveMissed,
        Self::Throttled,
        Self::QuotaExceeded,
        Self::HubMoved,
        Self::HubClosed,
        Self::IdleTimeout,
        Self::Disabled,
        Self::Deleted,
        Self::CredentialsRefused,
        Self::ClockSkew,
        Self::Network,
        Self::ClosedByBridge,
    ];

    /// The public word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenExpired => "token-expired",
            Self::OtherClient => "other-client",
            Self::KeepAliveMissed => "keep-alive-missed",
            Self::Throttled => "throttled",
            Self::QuotaExceeded => "quota-exceeded",
            Self::HubMoved => "hub-moved",
            Self::HubClosed => "hub-closed",
            Self::IdleTimeout => "idle-timeout",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::CredentialsRefused => "credentials-refused",
            Self::ClockSkew => "clock-skew",
            Self::Network => "network",
            Self::ClosedByBridge => "closed-by-bridge",
        }
    }
}

impl fmt::Display for ConnectionCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_that_are_documented() {
        let words = ConnectionCause::ALL.map(ConnectionCause::as_str).join(" ");
        assert_eq!(
            words,
            "token-expired other-client keep-alive-missed throttled quota-exceeded hub-moved hub-closed idle-timeout disabled deleted \
             credentials-refused clock-skew network closed-by-bridge"
        );
    }
}
