//! The public words for the state of a device connection: those of the .NET device client, which the original bridge
//! passes on and its callers compare with.

use std::fmt;

/// State of a device connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionStatus {
    /// Connected.
    Connected,
    /// Lost or refused, being tried again soon.
    DisconnectedRetrying,
    /// Lost or refused; tried again slowly, or after someone acts.
    Disconnected,
    /// Closed because nothing wants it.
    Disabled,
}

/// Why the connection is in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionStatusReason {
    /// All is well.
    ConnectionOk,
    /// The network or the hub failed.
    CommunicationError,
    /// Quick attempts were in vain.
    RetryExpired,
    /// The hub does not take the key or token.
    BadCredential,
    /// The hub does not know the device, or it is disabled there.
    DeviceDisabled,
    /// The token is past its time.
    ExpiredSasToken,
    /// The network is unavailable.
    NoNetwork,
    /// Closed on purpose.
    ClientClose,
}

impl ConnectionStatus {
    /// All statuses.
    pub const ALL: [Self; 4] = [
        Self::Connected,
        Self::DisconnectedRetrying,
        Self::Disconnected,
        Self::Disabled,
    ];

    /// The public word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::DisconnectedRetrying => "Disconnected_Retrying",
            Self::Disconnected => "Disconnected",
            Self::Disabled => "Disabled",
        }
    }
}

impl ConnectionStatusReason {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::ConnectionOk,
        Self::CommunicationError,
        Self::RetryExpired,
        Self::BadCredential,
        Self::DeviceDisabled,
        Self::ExpiredSasToken,
        Self::NoNetwork,
        Self::ClientClose,
    ];

    /// The public word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionOk => "Connection_Ok",
            Self::CommunicationError => "Communication_Error",
            Self::RetryExpired => "Retry_Expired",
            Self::BadCredential => "Bad_Credential",
            Self::DeviceDisabled => "Device_Disabled",
            Self::ExpiredSasToken => "Expired_SAS_Token",
            Self::NoNetwork => "No_Network",
            Self::ClientClose => "Client_Close",
        }
    }
}

impl fmt::Display for ConnectionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ConnectionStatusReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_original() {
        let statuses = ConnectionStatus::ALL.map(|status| status.to_string());
        assert_eq!(
            statuses.join(" "),
            "Connected Disconnected_Retrying Disconnected Disabled"
        );
        let reasons = ConnectionStatusReason::ALL.map(|reason| reason.to_string());
        assert_eq!(
            reasons.join(" "),
            "Connection_Ok Communication_Error Retry_Expired Bad_Credential Device_Disabled \
             Expired_SAS_Token No_Network Client_Close"
        );
    }
}
