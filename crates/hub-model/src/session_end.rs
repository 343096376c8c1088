//! Why a device's session ended, and the code by which the hub's logs say so.

use drawspan_hub::ErrorCode;

/// The protocol of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// AMQP over TLS.
    Amqps,
    /// AMQP over TLS in a WebSocket.
    AmqpsWebSocket,
    /// MQTT over TLS.
    Mqtts,
    /// MQTT over TLS in a WebSocket.
    MqttsWebSocket,
}

/// Why a device's session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client closed it.
    ClientClosed,
    /// The network connection broke.
    ConnectionLost,
    /// The client was silent for longer than its keep-alive, or the hub's idle time-out, allows.
    Silent,
    /// The device has a newer session.
    Replaced,
    /// Its token expired. A [`TokenExpired`](crate::event::HubEvent::TokenExpired) comes before.
    TokenExpired,
    /// The device was disabled.
    DeviceDisabled,
    /// The device was deleted.
    DeviceDeleted,
    /// The module was deleted.
    ModuleDeleted,
    /// Its token does not allow the session any more, for instance because keys were exchanged.
    AccessRevoked,
    /// It was above a rate of the hub.
    Throttled,
    /// It sent more than the hub's daily quota has left.
    QuotaExceeded,
    /// The client broke the protocol's rules, or did not take what was sent to it.
    ClientFault,
    /// The hub fails over to another region.
    FailingOver,
    /// The hub ended it because a fault was asked for.
    FaultInjected,
    /// The hub stops.
    HubStopped,
}

impl Protocol {
    /// Whether it is MQTT, in a WebSocket or not.
    pub const fn is_mqtt(self) -> bool {
        matches!(self, Self::Mqtts | Self::MqttsWebSocket)
    }
}

impl DisconnectReason {
    /// The code of a disconnect in the hub's logs; `None` for one that is no error.
    ///
    /// Source: Azure article "troubleshoot IoT Hub error codes". 404104 is any end that the hub takes for the device's, after a missed
    /// keep-alive or the end of a token as well. What the article does not say is chosen: a client's fault is 400000, the end of the
    /// emulator 400029, as if the service was upgraded.
    pub const fn code(self, protocol: Protocol) -> Option<ErrorCode> {
        Some(match self {
            Self::ClientClosed => return None,
            Self::ConnectionLost | Self::Silent | Self::TokenExpired => {
                ErrorCode::DEVICE_CONNECTION_CLOSED_REMOTELY
            }
            Self::Replaced if protocol.is_mqtt() => {
                ErrorCode::CONNECTION_FORCEFULLY_CLOSED_ON_NEW_CONNECTION
            }
            Self::Replaced => ErrorCode::LINK_CREATION_CONFLICT,
            Self::DeviceDisabled => ErrorCode::DEVICE_DISABLED,
            Self::DeviceDeleted => ErrorCode::DEVICE_NOT_FOUND,
            Self::ModuleDeleted => ErrorCode::MODULE_NOT_FOUND,
            Self::AccessRevoked => ErrorCode::UNAUTHORIZED,
            Self::Throttled => ErrorCode::THROTTLE_BACKLOG_LIMIT_EXCEEDED,
            Self::QuotaExceeded => ErrorCode::QUOTA_EXCEEDED,
            Self::ClientFault => ErrorCode::GENERIC_BAD_REQUEST,
            Self::FailingOver => ErrorCode::HUB_FAILING_OVER,
            Self::FaultInjected | Self::HubStopped => {
                ErrorCode::CONNECTION_FORCEFULLY_CLOSED_ON_FAULT_INJECTION
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disconnect_has_the_code_of_its_reason() {
        use DisconnectReason as Why;
        let check = |why: Why, mqtt: Option<u32>, amqp: Option<u32>| {
            for (protocols, expected) in [
                ([Protocol::Mqtts, Protocol::MqttsWebSocket], mqtt),
                ([Protocol::Amqps, Protocol::AmqpsWebSocket], amqp),
            ] {
                for protocol in protocols {
                    let code = why.code(protocol).map(ErrorCode::number);
                    assert_eq!(code, expected, "{why:?} {protocol:?}");
                }
            }
        };
        let same = |why, code| check(why, Some(code), Some(code));
        check(Why::ClientClosed, None, None);
        check(Why::Replaced, Some(400_027), Some(409_002));
        same(Why::ConnectionLost, 404_104);
        same(Why::Silent, 404_104);
        same(Why::TokenExpired, 404_104);
        same(Why::DeviceDisabled, 403_012);
        same(Why::DeviceDeleted, 404_001);
        same(Why::ModuleDeleted, 404_010);
        same(Why::AccessRevoked, 401_003);
        same(Why::Throttled, 429_002);
        same(Why::QuotaExceeded, 403_002);
        same(Why::FailingOver, 404_012);
    }
}
