//! The hub's error codes: six digits, the first three an HTTP status, each with a name.
//!
//! Source: Azure article "troubleshoot IoT Hub error codes" and the service SDKs.

use std::fmt;

/// An error code of IoT Hub, known or not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $constant:ident = $code:literal, $name:literal;)+) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $constant: Self = Self($code);)+

            /// The codes whose names are known.
            pub const NAMED: &[(Self, &'static str)] = &[$((Self::$constant, $name)),+];
        }
    };
}

codes! {
    /// Bad request, not said which.
    GENERIC_BAD_REQUEST = 400_000, "GenericBadRequest";
    /// An `api-version` that is not supported.
    INVALID_PROTOCOL_VERSION = 400_001, "InvalidProtocolVersion";
    /// For instance an AMQP message whose `to` names no device.
    INVALID_OPERATION = 400_003, "InvalidOperation";
    /// An argument that is not allowed.
    ARGUMENT_INVALID = 400_004, "ArgumentInvalid";
    /// An argument that is missing.
    ARGUMENT_NULL = 400_005, "ArgumentNull";
    /// Malformed JSON.
    FORMAT_ERROR = 400_006, "IotHubFormatError";
    /// A device is there twice in a bulk call.
    DEVICE_DEFINED_MULTIPLE_TIMES = 400_011, "DeviceDefinedMultipleTimes";
    /// Some items of a bulk call failed.
    BULK_REGISTRY_OPERATION_FAILURE = 400_013, "BulkRegistryOperationFailure";
    /// A correlation id of a file upload that the hub did not give to this device, or that is done with.
    INVALID_FILE_UPLOAD_CORRELATION_ID = 400_015, "InvalidFileUploadCorrelationId";
    /// A correlation id of a file upload whose time is over.
    EXPIRED_FILE_UPLOAD_CORRELATION_ID = 400_016, "ExpiredFileUploadCorrelationId";
    /// A file upload whose end does not say whether it succeeded.
    INVALID_FILE_UPLOAD_COMPLETION_STATUS = 400_019, "InvalidFileUploadCompletionStatus";
    /// The blob of a file upload is not there, or its storage cannot be asked.
    INVALID_STORAGE_ENDPOINT_OR_BLOB = 400_020, "InvalidStorageEndpointOrBlob";
    /// The request took too long.
    REQUEST_TIMED_OUT = 400_024, "RequestTimedOut";
    /// A newer connection of the same identity took over.
    CONNECTION_FORCEFULLY_CLOSED_ON_NEW_CONNECTION = 400_027, "ConnectionForcefullyClosedOnNewConnection";
    /// The service is being upgraded; reconnecting at once should work.
    CONNECTION_FORCEFULLY_CLOSED_ON_FAULT_INJECTION = 400_029, "ConnectionForcefullyClosedOnFaultInjection";
    /// The service is being upgraded; new connections are refused for a while.
    CONNECTION_REJECTED_ON_FAULT_INJECTION = 400_030, "ConnectionRejectedOnFaultInjection";
    /// Not authorized, not said why.
    GENERIC_UNAUTHORIZED = 401_000, "GenericUnauthorized";
    /// The hub does not exist.
    HUB_NOT_FOUND = 401_001, "IotHubNotFound";
    /// The credentials do not allow this.
    UNAUTHORIZED_ACCESS = 401_002, "IotHubUnauthorizedAccess";
    /// Expired or wrong token, unknown device, or a clock that is off.
    UNAUTHORIZED = 401_003, "IotHubUnauthorized";
    /// Forbidden, not said why.
    GENERIC_FORBIDDEN = 403_000, "GenericForbidden";
    /// The hub is suspended.
    HUB_SUSPENDED = 403_001, "IotHubSuspended";
    /// The daily quota of messages is used up, until 00:00 UTC.
    QUOTA_EXCEEDED = 403_002, "IotHubQuotaExceeded";
    /// Too many cloud-to-device messages wait for the device.
    DEVICE_MAXIMUM_QUEUE_DEPTH_EXCEEDED = 403_004, "DeviceMaximumQueueDepthExceeded";
    /// Too many tokens on one AMQP connection.
    MAX_CBS_TOKEN_EXCEEDED = 403_005, "IotHubMaxCbsTokenExceeded";
    /// The device has as many file uploads under way as it may have.
    DEVICE_MAXIMUM_ACTIVE_FILE_UPLOAD_LIMIT_EXCEEDED = 403_006, "DeviceMaximumActiveFileUploadLimitExceeded";
    /// The hub's tier does not have the operation.
    OPERATION_NOT_AVAILABLE_IN_CURRENT_TIER = 403_010, "OperationNotAvailableInCurrentTier";
    /// The device is disabled in the registry.
    DEVICE_DISABLED = 403_012, "DeviceDisabled";
    /// Tags, desired or reported properties of a twin that are too large together.
    DEVICE_MODEL_MAX_PROPERTIES_EXCEEDED = 403_100, "DeviceModelMaxPropertiesExceeded";
    /// The device has as many method calls to answer as it may have.
    DEVICE_MAXIMUM_INFLIGHT_METHOD_EXCEEDED = 403_800, "DeviceMaximumInflightMethodExceeded";
    /// Not found, not said what.
    GENERIC_NOT_FOUND = 404_000, "GenericNotFound";
    /// No such device, or it is disabled.
    DEVICE_NOT_FOUND = 404_001, "DeviceNotFound";
    /// No such AMQP address.
    AMQP_ADDRESS_NOT_FOUND = 404_006, "AmqpAddressNotFound";
    /// No such module.
    MODULE_NOT_FOUND = 404_010, "ModuleNotFound";
    /// The hub is failing over to another region.
    HUB_FAILING_OVER = 404_012, "IotHubFailingOver";
    /// The device is not connected, or not subscribed to methods.
    DEVICE_NOT_ONLINE = 404_103, "DeviceNotOnline";
    /// The connection ended from the device's side, as the hub sees it.
    DEVICE_CONNECTION_CLOSED_REMOTELY = 404_104, "DeviceConnectionClosedRemotely";
    /// The device exists already.
    DEVICE_ALREADY_EXISTS = 409_001, "DeviceAlreadyExists";
    /// A second link of the same kind for the same device.
    LINK_CREATION_CONFLICT = 409_002, "LinkCreationConflict";
    /// The module exists already.
    MODULE_ALREADY_EXISTS_ON_DEVICE = 409_301, "ModuleAlreadyExistsOnDevice";
    /// An ETag that does not match.
    PRECONDITION_FAILED = 412_001, "PreconditionFailed";
    /// A cloud-to-device message settled after its lock.
    DEVICE_MESSAGE_LOCK_LOST = 412_002, "DeviceMessageLockLost";
    /// A message that is too large.
    MESSAGE_TOO_LARGE = 413_001, "MessageTooLarge";
    /// Too many devices.
    TOO_MANY_DEVICES = 413_002, "TooManyDevices";
    /// Too many modules on a device.
    TOO_MANY_MODULES_ON_DEVICE = 413_003, "TooManyModulesOnDevice";
    /// Throttled, not said how.
    GENERIC_TOO_MANY_REQUESTS = 429_000, "GenericTooManyRequests";
    /// Above a throttling limit for too long.
    THROTTLING_EXCEPTION = 429_001, "ThrottlingException";
    /// The queue of delayed requests is full.
    THROTTLE_BACKLOG_LIMIT_EXCEEDED = 429_002, "ThrottleBacklogLimitExceeded";
    /// A delayed request waited too long.
    THROTTLING_BACKLOG_TIMEOUT = 429_003, "ThrottlingBacklogTimeout";
    /// A throttle of one device.
    DEVICE_THROTTLING_LIMIT_EXCEEDED = 429_005, "DeviceThrottlingLimitExceeded";
    /// An error inside the hub.
    SERVER_ERROR = 500_001, "ServerError";
    /// Something inside the hub took too long.
    GENERIC_TIMEOUT = 500_008, "GenericTimeout";
    /// The service is not available.
    SERVICE_UNAVAILABLE = 503_001, "ServiceUnavailable";
    /// The service is busy.
    SERVER_BUSY = 503_005, "ServerBusy";
    /// The hub is being restored.
    HUB_RESTORING = 503_006, "IotHubRestoring";
    /// Links that receive are being opened too fast.
    RECEIVE_LINK_OPENS_THROTTLED = 503_008, "ReceiveLinkOpensThrottled";
    /// A method was not answered in time.
    GATEWAY_TIMEOUT = 504_101, "GatewayTimeout";
}

impl ErrorCode {
    /// Takes any number of six digits whose first three are an HTTP error status.
    #[must_use]
    pub const fn new(code: u32) -> Option<Self> {
        match code {
            400_000..=599_999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The code of a name, as in header `iothub-errorcode`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let same = |(_, known): &&(Self, &str)| known.eq_ignore_ascii_case(name);
        Self::NAMED.iter().find(same).map(|(code, _)| *code)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The HTTP status that belongs to it.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        // 400 to 599.
        (self.0 / 1000) as u16
    }

    /// The name, if it is known.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let same = |(code, _): &&(Self, &'static str)| *code == self;
        Self::NAMED.iter().find(same).map(|(_, name)| *name)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name().unwrap_or("ErrorCode"), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_belong_together() {
        for (index, (code, name)) in ErrorCode::NAMED.iter().enumerate() {
            assert_eq!(ErrorCode::from_name(name), Some(*code));
            assert_eq!(code.name(), Some(*name));
            assert_eq!(ErrorCode::new(code.number()), Some(*code));
            let before = index
                .checked_sub(1)
                .map(|before| ErrorCode::NAMED[before].0);
            assert!(before < Some(*code), "{name} stands in the wrong place");
        }
    }

    #[test]
    fn unknown_numbers_are_kept_and_nonsense_is_not() {
        let code = ErrorCode::new(503_777).unwrap();
        assert_eq!((code.name(), code.http_status()), (None, 503));
        assert_eq!(format!("{code:?} {code}"), "ErrorCode(503777) 503777");
        assert_eq!(ErrorCode::new(404), None);
        assert_eq!(ErrorCode::new(600_000), None);
        assert_eq!(ErrorCode::from_name("NoSuchName"), None);
        assert_eq!(
            format!("{:?}", ErrorCode::DEVICE_NOT_FOUND),
            "DeviceNotFound(404001)"
        );
    }
}
