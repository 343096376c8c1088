//! Everything that happens at a hub, as one closed enum.
//!
//! Logs, metrics and events for others are derived from it. An event names its subject and its kind, and contains no payload, key
//! or token.

use std::fmt;
use std::sync::Arc;

use drawspan_hub::{DeviceId, ErrorCode, HostName, ModuleId, RegistrationId};

use crate::access::Denied;
use crate::client_id::ClientId;
use crate::dps::Substatus;
pub use crate::session_end::{DisconnectReason, Protocol};
use crate::throttle::OperationClass;
use crate::uploads::NotificationEnd;

/// An event, with when and where it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, Unix milliseconds.
    pub unix_ms: u64,
    /// The hub; `None` for events of the provisioning service before a hub is assigned.
    pub hub: Option<HostName>,
    /// What.
    pub what: HubEvent,
}

/// Something that happened at a hub, or at the provisioning service in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named for what they are")]
pub enum HubEvent {
    /// A session of a device or a module began.
    DeviceConnected {
        client: ClientId,
        protocol: Protocol,
    },
    /// A session of a device or a module ended.
    DeviceDisconnected {
        client: ClientId,
        protocol: Protocol,
        reason: DisconnectReason,
    },
    /// The hub found that the token of a connected device or module has run out (401003 in the hub's logs), and ends its session: a
    /// [`DeviceDisconnected`](Self::DeviceDisconnected) follows.
    TokenExpired {
        client: ClientId,
        protocol: Protocol,
    },
    /// The hub fails over to another region for so many seconds: connections end, new ones are refused (404012), and messages to devices
    /// and feedback on them are lost.
    HubFailingOver {
        seconds: u64,
        messages: usize,
        feedback: usize,
    },
    /// The hub is served again.
    HubFailedOver,
    /// A device went to another hub with its twin. It was deleted at this one.
    DeviceMoved { device: DeviceId, to: HostName },
    /// A token was not accepted.
    AuthenticationFailed { reason: Denied },
    /// A caller with an accepted token, or without one, is not authorized for its request.
    AccessDenied {
        client: Option<ClientId>,
        reason: Denied,
    },

    /// A device was added to the registry.
    DeviceCreated { device: DeviceId },
    /// A device in the registry was replaced.
    DeviceUpdated { device: DeviceId },
    /// A device that might not connect may, from now on. Comes after its [`DeviceUpdated`](Self::DeviceUpdated).
    DeviceEnabled { device: DeviceId },
    /// A device may not connect any more. Comes after its [`DeviceUpdated`](Self::DeviceUpdated), if it was not created so.
    DeviceDisabled { device: DeviceId },
    /// A device was removed from the registry, with its twin and the messages that waited for it. Comes after the
    /// [`ModuleDeleted`](Self::ModuleDeleted) of each of its modules.
    DeviceDeleted { device: DeviceId },
    /// A module was added to a device.
    ModuleCreated { client: ClientId },
    /// A module was replaced.
    ModuleUpdated { client: ClientId },
    /// A module was removed, with its twin.
    ModuleDeleted { client: ClientId },
    /// A service changed tags or desired properties. `version` is the twin's.
    TwinUpdated {
        client: ClientId,
        version: u64,
        tags: bool,
        desired: bool,
    },
    /// A device or a module changed its reported properties. `version` is the twin's.
    TwinReported { client: ClientId, version: u64 },

    /// A message of a device or a module was stored. `bytes` is its size as it was encoded.
    TelemetryAccepted { client: ClientId, bytes: usize },
    /// A message of a device or a module was not taken.
    TelemetryRefused { client: ClientId, code: ErrorCode },

    /// A cloud-to-device message waits for its device.
    C2dEnqueued { device: DeviceId, sequence: u64 },
    /// A cloud-to-device message was not taken.
    C2dRefused { device: DeviceId, code: ErrorCode },
    /// A cloud-to-device message was sent to its device, which has it locked now.
    C2dDelivered { device: DeviceId, sequence: u64 },
    /// The device completed a message.
    C2dCompleted { device: DeviceId, sequence: u64 },
    /// The device rejected a message.
    C2dRejected { device: DeviceId, sequence: u64 },
    /// The device abandoned a message, which waits again. `delivery_count` is how often that has happened.
    C2dAbandoned {
        device: DeviceId,
        sequence: u64,
        delivery_count: u32,
    },
    /// The device settled a message whose lock it had not, or not any more: it waits again, or is gone.
    C2dLockLost { device: DeviceId },
    /// The device abandoned a message for the last time that it may.
    C2dDeliveryCountExceeded { device: DeviceId, sequence: u64 },
    /// A message was not completed in time.
    C2dExpired { device: DeviceId, sequence: u64 },
    /// A service emptied the queue that the message was in.
    C2dPurged { device: DeviceId, sequence: u64 },

    /// A method call was handed to the session of its device or module.
    MethodInvoked { client: ClientId, method: String },
    /// The client answered a method call.
    MethodAnswered {
        client: ClientId,
        method: String,
        status: i32,
    },
    /// The client did not answer a method call in time.
    MethodTimedOut { client: ClientId, method: String },
    /// A method call did not reach its client, or the answer its caller.
    MethodFailed {
        client: ClientId,
        method: String,
        code: ErrorCode,
    },

    /// A device began to upload a file.
    FileUploadBegun { device: DeviceId, blob: Arc<str> },
    /// A device may not begin to upload a file, or to end an upload as it did.
    FileUploadRefused { device: DeviceId, code: ErrorCode },
    /// A device has uploaded a file.
    FileUploadCompleted {
        device: DeviceId,
        blob: Arc<str>,
        bytes: u64,
    },
    /// A device could not upload a file. `status` is the storage's, as the device says.
    FileUploadFailed {
        device: DeviceId,
        blob: Arc<str>,
        status: i64,
    },
    /// A device did not say how an upload ended.
    FileUploadExpired { device: DeviceId, blob: Arc<str> },
    /// News of a file waits for services.
    FileNotificationEnqueued { device: DeviceId, number: u64 },
    /// News of a file does not wait for services any more.
    FileNotificationEnded {
        device: DeviceId,
        number: u64,
        end: NotificationEnd,
    },

    /// The provisioning service assigned a device to this hub.
    RegistrationAssigned {
        registration: RegistrationId,
        device: DeviceId,
        substatus: Substatus,
    },
    /// The provisioning service did not register a device. `code` is the service's.
    RegistrationRefused {
        registration: RegistrationId,
        code: u32,
    },
    /// Operations were not taken, because they are above a rate of the hub.
    Throttled {
        client: Option<ClientId>,
        class: OperationClass,
        code: ErrorCode,
    },
    /// Operations were not taken, because the hub's daily quota is used up.
    QuotaExceeded {
        client: Option<ClientId>,
        class: OperationClass,
    },

    /// The provisioning service did not answer a device, because it is asked too often.
    RegistrationThrottled {
        registration: RegistrationId,
        retry_after_s: u32,
    },
}

impl HubEvent {
    /// The event's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::DeviceConnected { .. } => "deviceConnected",
            Self::DeviceDisconnected { .. } => "deviceDisconnected",
            Self::TokenExpired { .. } => "tokenExpired",
            Self::HubFailingOver { .. } => "hubFailingOver",
            Self::HubFailedOver => "hubFailedOver",
            Self::DeviceMoved { .. } => "deviceMoved",
            Self::AuthenticationFailed { .. } => "authenticationFailed",
            Self::AccessDenied { .. } => "accessDenied",
            Self::DeviceCreated { .. } => "deviceCreated",
            Self::DeviceUpdated { .. } => "deviceUpdated",
            Self::DeviceEnabled { .. } => "deviceEnabled",
            Self::DeviceDisabled { .. } => "deviceDisabled",
            Self::DeviceDeleted { .. } => "deviceDeleted",
            Self::ModuleCreated { .. } => "moduleCreated",
            Self::ModuleUpdated { .. } => "moduleUpdated",
            Self::ModuleDeleted { .. } => "moduleDeleted",
            Self::TwinUpdated { .. } => "twinUpdated",
            Self::TwinReported { .. } => "twinReported",
            Self::TelemetryAccepted { .. } => "telemetryAccepted",
            Self::TelemetryRefused { .. } => "telemetryRefused",
            Self::C2dEnqueued { .. } => "c2dEnqueued",
            Self::C2dRefused { .. } => "c2dRefused",
            Self::C2dDelivered { .. } => "c2dDelivered",
            Self::C2dCompleted { .. } => "c2dCompleted",
            Self::C2dRejected { .. } => "c2dRejected",
            Self::C2dAbandoned { .. } => "c2dAbandoned",
            Self::C2dLockLost { .. } => "c2dLockLost",
            Self::C2dDeliveryCountExceeded { .. } => "c2dDeliveryCountExceeded",
            Self::C2dExpired { .. } => "c2dExpired",
            Self::C2dPurged { .. } => "c2dPurged",
            Self::MethodInvoked { .. } => "methodInvoked",
            Self::MethodAnswered { .. } => "methodAnswered",
            Self::MethodTimedOut { .. } => "methodTimedOut",
            Self::MethodFailed { .. } => "methodFailed",
            Self::FileUploadBegun { .. } => "fileUploadBegun",
            Self::FileUploadRefused { .. } => "fileUploadRefused",
            Self::FileUploadCompleted { .. } => "fileUploadCompleted",
            Self::FileUploadFailed { .. } => "fileUploadFailed",
            Self::FileUploadExpired { .. } => "fileUploadExpired",
            Self::FileNotificationEnqueued { .. } => "fileNotificationEnqueued",
            Self::FileNotificationEnded { .. } => "fileNotificationEnded",
            Self::RegistrationAssigned { .. } => "registrationAssigned",
            Self::RegistrationRefused { .. } => "registrationRefused",
            Self::RegistrationThrottled { .. } => "registrationThrottled",
            Self::Throttled { .. } => "throttled",
            Self::QuotaExceeded { .. } => "quotaExceeded",
        }
    }

    /// The device, if it is known; of a module, the device that it is a part of.
    pub const fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::DeviceCreated { device }
            | Self::DeviceUpdated { device }
            | Self::DeviceEnabled { device }
            | Self::DeviceDisabled { device }
            | Self::DeviceDeleted { device }
            | Self::DeviceMoved { device, .. }
            | Self::C2dEnqueued { device, .. }
            | Self::C2dRefused { device, .. }
            | Self::C2dDelivered { device, .. }
            | Self::C2dCompleted { device, .. }
            | Self::C2dRejected { device, .. }
            | Self::C2dAbandoned { device, .. }
            | Self::C2dLockLost { device }
            | Self::C2dDeliveryCountExceeded { device, .. }
            | Self::C2dExpired { device, .. }
            | Self::C2dPurged { device, .. }
            | Self::FileUploadBegun { device, .. }
            | Self::FileUploadRefused { device, .. }
            | Self::FileUploadCompleted { device, .. }
            | Self::FileUploadFailed { device, .. }
            | Self::FileUploadExpired { device, .. }
            | Self::FileNotificationEnqueued { device, .. }
            | Self::FileNotificationEnded { device, .. }
            | Self::RegistrationAssigned { device, .. } => Some(device),
            _ => match self.client() {
                Some(client) => Some(&client.device),
                None => None,
            },
        }
    }

    /// The module, if it is about one.
    pub const fn module(&self) -> Option<&ModuleId> {
        match self.client() {
            Some(client) => client.module.as_ref(),
            None => None,
        }
    }

    /// The device or module of an event that there is for both.
    const fn client(&self) -> Option<&ClientId> {
        match self {
            Self::DeviceConnected { client, .. }
            | Self::DeviceDisconnected { client, .. }
            | Self::TokenExpired { client, .. }
            | Self::ModuleCreated { client }
            | Self::ModuleUpdated { client }
            | Self::ModuleDeleted { client }
            | Self::TwinUpdated { client, .. }
            | Self::TwinReported { client, .. }
            | Self::TelemetryAccepted { client, .. }
            | Self::TelemetryRefused { client, .. }
            | Self::MethodInvoked { client, .. }
            | Self::MethodAnswered { client, .. }
            | Self::MethodTimedOut { client, .. }
            | Self::MethodFailed { client, .. } => Some(client),
            Self::AccessDenied { client, .. }
            | Self::Throttled { client, .. }
            | Self::QuotaExceeded { client, .. } => client.as_ref(),
            Self::HubFailingOver { .. }
            | Self::HubFailedOver
            | Self::DeviceMoved { .. }
            | Self::AuthenticationFailed { .. }
            | Self::DeviceCreated { .. }
            | Self::DeviceUpdated { .. }
            | Self::DeviceEnabled { .. }
            | Self::DeviceDisabled { .. }
            | Self::DeviceDeleted { .. }
            | Self::C2dEnqueued { .. }
            | Self::C2dRefused { .. }
            | Self::C2dDelivered { .. }
            | Self::C2dCompleted { .. }
            | Self::C2dRejected { .. }
            | Self::C2dAbandoned { .. }
            | Self::C2dLockLost { .. }
            | Self::C2dDeliveryCountExceeded { .. }
            | Self::C2dExpired { .. }
            | Self::C2dPurged { .. }
            | Self::FileUploadBegun { .. }
            | Self::FileUploadRefused { .. }
            | Self::FileUploadCompleted { .. }
            | Self::FileUploadFailed { .. }
            | Self::FileUploadExpired { .. }
            | Self::FileNotificationEnqueued { .. }
            | Self::FileNotificationEnded { .. }
            | Self::RegistrationAssigned { .. }
            | Self::RegistrationRefused { .. }
            | Self::RegistrationThrottled { .. } => None,
        }
    }
}

/// Further data besides name, device and module, as `name=value`.
impl fmt::Display for HubEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeviceConnected { protocol, .. } => write!(f, "protocol={protocol:?}"),
            Self::TokenExpired { protocol, .. } => {
                write!(f, "protocol={protocol:?} code={}", ErrorCode::UNAUTHORIZED)
            }
            Self::DeviceDisconnected {
                protocol, reason, ..
            } => {
                write!(f, "protocol={protocol:?} reason={reason:?}")?;
                match reason.code(*protocol) {
                    Some(code) => write!(f, " code={code}"),
                    None => Ok(()),
                }
            }
            Self::AuthenticationFailed { reason } | Self::AccessDenied { reason, .. } => {
                write!(f, "reason={reason:?}")
            }
            Self::HubFailingOver {
                seconds,
                messages,
                feedback,
            } => write!(
                f,
                "seconds={seconds} messages={messages} feedback={feedback}"
            ),
            Self::DeviceMoved { to, .. } => write!(f, "to={to}"),
            Self::HubFailedOver
            | Self::DeviceCreated { .. }
            | Self::DeviceUpdated { .. }
            | Self::DeviceEnabled { .. }
            | Self::DeviceDisabled { .. }
            | Self::DeviceDeleted { .. }
            | Self::ModuleCreated { .. }
            | Self::ModuleUpdated { .. }
            | Self::ModuleDeleted { .. }
            | Self::C2dLockLost { .. } => Ok(()),
            Self::TwinUpdated {
                version,
                tags,
                desired,
                ..
            } => write!(f, "version={version} tags={tags} desired={desired}"),
            Self::TwinReported { version, .. } => write!(f, "version={version}"),
            Self::TelemetryAccepted { bytes, .. } => write!(f, "bytes={bytes}"),
            Self::TelemetryRefused { code, .. } | Self::C2dRefused { code, .. } => {
                write!(f, "code={code}")
            }
            Self::C2dEnqueued { sequence, .. }
            | Self::C2dDelivered { sequence, .. }
            | Self::C2dCompleted { sequence, .. }
            | Self::C2dRejected { sequence, .. }
            | Self::C2dDeliveryCountExceeded { sequence, .. }
            | Self::C2dExpired { sequence, .. }
            | Self::C2dPurged { sequence, .. } => write!(f, "sequence={sequence}"),
            Self::C2dAbandoned {
                sequence,
                delivery_count,
                ..
            } => write!(f, "sequence={sequence} delivery_count={delivery_count}"),
            Self::MethodInvoked { method, .. } | Self::MethodTimedOut { method, .. } => {
                write!(f, "method={method}")
            }
            Self::MethodAnswered { method, status, .. } => {
                write!(f, "method={method} status={status}")
            }
            Self::MethodFailed { method, code, .. } => write!(f, "method={method} code={code}"),
            Self::FileUploadBegun { blob, .. } | Self::FileUploadExpired { blob, .. } => {
                write!(f, "blob={blob:?}")
            }
            Self::FileUploadRefused { code, .. } => write!(f, "code={code}"),
            Self::FileUploadCompleted { blob, bytes, .. } => {
                write!(f, "blob={blob:?} bytes={bytes}")
            }
            Self::FileUploadFailed { blob, status, .. } => {
                write!(f, "blob={blob:?} status={status}")
            }
            Self::FileNotificationEnqueued { number, .. } => write!(f, "number={number}"),
            Self::FileNotificationEnded { number, end, .. } => {
                write!(f, "number={number} end={end:?}")
            }
            Self::RegistrationAssigned {
                registration,
                substatus,
                ..
            } => write!(
                f,
                "registration={registration} substatus={}",
                substatus.as_str()
            ),
            Self::RegistrationRefused { registration, code } => {
                write!(f, "registration={registration} code={code}")
            }
            Self::RegistrationThrottled {
                registration,
                retry_after_s,
            } => write!(
                f,
                "registration={registration} retry_after_s={retry_after_s}"
            ),
            Self::Throttled { class, code, .. } => write!(f, "class={class} code={code}"),
            Self::QuotaExceeded { class, .. } => write!(f, "class={class}"),
        }
    }
}
