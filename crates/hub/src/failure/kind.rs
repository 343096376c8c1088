//! The kinds of failures, and the tables that recognise them.

use crate::error_code::ErrorCode;

/// The kinds of failures. Closed: the remedy of each is decided in one `match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No answer from the hub's address: DNS, TCP, TLS or AMQP open failed.
    HubUnreachable,
    /// A connection, session or link that stood has ended.
    ConnectionLost,
    /// The hub is being upgraded, restored or failed over (400030, 404012, 503006).
    HubMaintenance,
    /// The hub is suspended (403001).
    HubSuspended,
    /// The hub does not exist, says the service (401001).
    HubNotFound,
    /// The key, token or policy is not accepted (401xxx).
    Unauthorized,
    /// The hub does not know the device or module (404001, 404010).
    DeviceNotFound,
    /// The device is disabled (403012).
    DeviceDisabled,
    /// Another connection of the same device took over (400027, 409002).
    LinkStolen,
    /// The hub's daily quota is used up (403002).
    QuotaExceeded,
    /// Some limit of the hub, which it does not name: a device has too many links, for instance.
    ResourceLimit,
    /// Too many requests (429xxx).
    Throttled,
    /// Too many identities on one connection (403005).
    TokenLimit,
    /// All connections to the hub that this process may have are full: the hub was not asked.
    ConnectionsFull,
    /// Too many cloud-to-device messages wait for the device (403004).
    QueueFull,
    /// Forbidden for another reason (403xxx).
    Forbidden,
    /// Something else was not found (404xxx).
    NotFound,
    /// A method was called on a device that is not there (404103).
    DeviceNotOnline,
    /// A cloud-to-device message was settled after its lock (412002).
    LockLost,
    /// The message is too large (413xxx).
    MessageTooLarge,
    /// The request is not valid (400xxx and the like, 403100).
    InvalidRequest,
    /// One side broke the AMQP protocol.
    Protocol,
    /// The hub did not answer in time (500008, 504xxx).
    Timeout,
    /// The hub failed or is busy (5xxxxx).
    ServerError,
    /// Unknown.
    Unknown,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: [Self; 25] = [
        Self::HubUnreachable,
        Self::ConnectionLost,
        Self::HubMaintenance,
        Self::HubSuspended,
        Self::HubNotFound,
        Self::Unauthorized,
        Self::DeviceNotFound,
        Self::DeviceDisabled,
        Self::LinkStolen,
        Self::QuotaExceeded,
        Self::ResourceLimit,
        Self::Throttled,
        Self::TokenLimit,
        Self::ConnectionsFull,
        Self::QueueFull,
        Self::Forbidden,
        Self::NotFound,
        Self::DeviceNotOnline,
        Self::LockLost,
        Self::MessageTooLarge,
        Self::InvalidRequest,
        Self::Protocol,
        Self::Timeout,
        Self::ServerError,
        Self::Unknown,
    ];

    /// The public word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HubUnreachable => "hubUnreachable",
            Self::ConnectionLost => "connectionLost",
            Self::HubMaintenance => "hubMaintenance",
            Self::HubSuspended => "hubSuspended",
            Self::HubNotFound => "hubNotFound",
            Self::Unauthorized => "unauthorized",
            Self::DeviceNotFound => "deviceNotFound",
            Self::DeviceDisabled => "deviceDisabled",
            Self::LinkStolen => "linkStolen",
            Self::QuotaExceeded => "quotaExceeded",
            Self::ResourceLimit => "resourceLimit",
            Self::Throttled => "throttled",
            Self::TokenLimit => "tokenLimit",
            Self::ConnectionsFull => "connectionsFull",
            Self::QueueFull => "queueFull",
            Self::Forbidden => "forbidden",
            Self::NotFound => "notFound",
            Self::DeviceNotOnline => "deviceNotOnline",
            Self::LockLost => "lockLost",
            Self::MessageTooLarge => "messageTooLarge",
            Self::InvalidRequest => "invalidRequest",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::ServerError => "serverError",
            Self::Unknown => "unknown",
        }
    }
}

use FailureKind as Kind;

/// By the hub's code. `None` also for generic codes, which say no more than the condition.
pub(super) fn of_code(code: Option<ErrorCode>) -> Option<FailureKind> {
    Some(match code?.number() {
        400_000 | 401_000 | 403_000 | 404_000 => return None,
        400_024 | 500_008 | 504_000..=504_999 => Kind::Timeout,
        400_027 | 409_002 => Kind::LinkStolen,
        400_029 | 404_104 => Kind::ConnectionLost,
        400_030 | 404_012 | 503_006 => Kind::HubMaintenance,
        401_001 => Kind::HubNotFound,
        401_002..=401_999 => Kind::Unauthorized,
        403_001 => Kind::HubSuspended,
        403_002 => Kind::QuotaExceeded,
        403_004 => Kind::QueueFull,
        403_005 => Kind::TokenLimit,
        403_012 => Kind::DeviceDisabled,
        // A twin that would be too large: what was sent is wrong, nothing is forbidden to its sender.
        403_100 | 403_101 => Kind::InvalidRequest,
        403_003..=403_999 => Kind::Forbidden,
        404_001 | 404_010 => Kind::DeviceNotFound,
        404_103 => Kind::DeviceNotOnline,
        404_002..=404_999 => Kind::NotFound,
        412_002 => Kind::LockLost,
        413_000..=413_999 => Kind::MessageTooLarge,
        429_000..=429_999 | 503_008 => Kind::Throttled,
        400_001..=499_999 => Kind::InvalidRequest,
        500_000..=599_999 => Kind::ServerError,
        _ => return None,
    })
}

/// By words that hubs use without a code.
pub(super) fn of_text(message: &str) -> Option<FailureKind> {
    if message.contains("maximum number of tokens per connection") {
        return Some(Kind::TokenLimit);
    }
    message
        .contains("exceeded the allocated quota")
        .then_some(Kind::QuotaExceeded)
}

/// By AMQP condition of a rejected transfer, where it says more than elsewhere: official clients take it for the quota.
pub(super) fn of_outcome(condition: &str) -> Option<FailureKind> {
    match condition {
        "amqp:resource-limit-exceeded" => Some(Kind::QuotaExceeded),
        _ => of_condition(condition),
    }
}

/// By AMQP condition.
pub(super) fn of_condition(condition: &str) -> Option<FailureKind> {
    Some(match condition {
        "amqp:unauthorized-access" | "com.microsoft:auth-failed" => Kind::Unauthorized,
        "amqp:not-found" => Kind::DeviceNotFound,
        "com.microsoft:quota-exceeded" => Kind::QuotaExceeded,
        "amqp:resource-limit-exceeded" => Kind::ResourceLimit,
        "amqp:link:stolen" | "com.microsoft:link-creation-conflict" => Kind::LinkStolen,
        "amqp:link:message-size-exceeded" => Kind::MessageTooLarge,
        "com.microsoft:device-container-throttled" => Kind::Throttled,
        "com.microsoft:iot-hub-suspended" => Kind::HubSuspended,
        "com.microsoft:iot-hub-not-found-error" => Kind::HubNotFound,
        "com.microsoft:message-lock-lost" => Kind::LockLost,
        "com.microsoft:timeout" => Kind::Timeout,
        "amqp:internal-error" | "amqp:resource-locked" | "com.microsoft:server-busy" => {
            Kind::ServerError
        }
        "amqp:connection:forced"
        | "amqp:connection:framing-error"
        | "amqp:connection:redirect"
        | "amqp:session:window-violation"
        | "amqp:session:errant-link"
        | "amqp:session-errant-link"
        | "amqp:session:handle-in-use"
        | "amqp:session:unattached-handle"
        | "amqp:link:detach-forced"
        | "amqp:link:transfer-limit-exceeded"
        | "amqp:link:redirect" => Kind::ConnectionLost,
        "amqp:decode-error" | "amqp:illegal-state" | "amqp:frame-size-too-small" => Kind::Protocol,
        "amqp:not-allowed"
        | "amqp:invalid-field"
        | "amqp:not-implemented"
        | "amqp:precondition-failed"
        | "amqp:resource-deleted"
        | "com.microsoft:argument-error"
        | "com.microsoft:argument-out-of-range"
        | "com.microsoft:device-already-exists"
        | "com.microsoft:precondition-failed" => Kind::InvalidRequest,
        _ => return None,
    })
}

/// By status of a put-token answer, where the only thing to be found is the device.
pub(super) fn of_cbs_status(status: i32) -> Option<FailureKind> {
    match status {
        404 => Some(Kind::DeviceNotFound),
        _ => of_status(status),
    }
}

/// By HTTP status.
pub(super) fn of_status(status: i32) -> Option<FailureKind> {
    Some(match status {
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        408 | 504 => Kind::Timeout,
        413 => Kind::MessageTooLarge,
        429 => Kind::Throttled,
        400..=499 => Kind::InvalidRequest,
        500..=599 => Kind::ServerError,
        _ => return None,
    })
}
