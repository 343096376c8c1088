//! Faults that a device asks for by properties of a message, as the end-to-end suites of official SDKs do.
//!
//! The properties are not documented; names, values and what is expected of each are those of the suites in azure-iot-sdk-csharp
//! (`e2e/test`, `FaultInjection`), azure-iot-sdk-node (`e2etests`), azure-iot-sdk-c and azure-iot-sdk-java. The message is a message as
//! any other. The fault begins after the delay. What cuts happens once; what refuses goes on for the duration.

use std::time::Duration;

use drawspan_amqp::value::{Map, Value};
use drawspan_hub::ErrorCode;
use drawspan_hub_model::event::Protocol;

use crate::connections::{CutHow, Part};
use crate::limits::{INJECTED_DURATION_S, INJECTED_SECONDS_MAX};

const TYPE: &str = "AzIoTHub_FaultOperationType";
const DELAY: &str = "AzIoTHub_FaultOperationDelayInSecs";
const DURATION: &str = "AzIoTHub_FaultOperationDurationInSecs";

/// The value of the type, and what it asks for.
const TYPES: &[(&str, Injected)] = &[
    ("KillTcp", Injected::Sever),
    ("KillAmqpConnection", Injected::SeverAmqp),
    ("KillAmqpSession", Injected::Amqp(CutHow::Session)),
    (
        "KillAmqpCBSLinkReq",
        Injected::Amqp(CutHow::Link(Part::CbsRequests)),
    ),
    (
        "KillAmqpCBSLinkResp",
        Injected::Amqp(CutHow::Link(Part::CbsAnswers)),
    ),
    (
        "KillAmqpD2CLink",
        Injected::Amqp(CutHow::Link(Part::Telemetry)),
    ),
    ("KillAmqpC2DLink", Injected::Amqp(CutHow::Link(Part::C2d))),
    (
        "KillAmqpTwinLinkReq",
        Injected::Amqp(CutHow::Link(Part::TwinRequests)),
    ),
    (
        "KillAmqpTwinLinkResp",
        Injected::Amqp(CutHow::Link(Part::TwinAnswers)),
    ),
    (
        "KillAmqpMethodReqLink",
        Injected::Amqp(CutHow::Link(Part::MethodCalls)),
    ),
    (
        "KillAmqpMethodRespLink",
        Injected::Amqp(CutHow::Link(Part::MethodAnswers)),
    ),
    ("ShutDownAmqp", Injected::Amqp(CutHow::ShutDown)),
    ("ShutDownMqtt", Injected::Mqtt(CutHow::ShutDown)),
    (
        "InvokeThrottling",
        Injected::Refuse(ErrorCode::THROTTLING_EXCEPTION),
    ),
    (
        "InvokeMaxMessageQuota",
        Injected::Refuse(ErrorCode::QUOTA_EXCEEDED),
    ),
    ("InvokeAuthError", Injected::Refuse(ErrorCode::UNAUTHORIZED)),
];

/// A fault that a device asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// As the device named it.
    pub name: &'static str,
    /// What happens.
    pub(super) what: Injected,
    /// When it begins.
    pub(super) delay: Duration,
    /// How long it goes on, if it goes on.
    pub(super) duration: Duration,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Injected {
    /// The TCP connection ends without a word.
    Sever,
    /// The same, of an AMQP connection. With a close, Node's client would not come again, as the suites want it to.
    SeverAmqp,
    /// A part of an AMQP connection ends.
    Amqp(CutHow),
    /// An MQTT connection ends.
    Mqtt(CutHow),
    /// Messages of the device are refused. Over MQTT, which cannot refuse one, the connection is closed instead.
    Refuse(ErrorCode),
}

impl Injection {
    /// The fault that the application properties of an AMQP message ask for, if it is one that is known.
    pub fn of_properties(properties: &Map) -> Option<Self> {
        // Node's client sends numbers.
        Self::of(|name| match properties.get(name)? {
            Value::Double(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            value => match (value.as_str(), value.as_i64()) {
                (Some(text), _) => Some(text.to_owned()),
                (None, number) => Some(number?.to_string()),
            },
        })
    }

    /// The fault in a message whose properties `get` reads, if there is one that is known.
    pub fn of(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let named = get(TYPE)?;
        let Some((name, what)) = TYPES.iter().find(|(name, _)| *name == named) else {
            tracing::warn!(name = %named.escape_debug(), "a device asks for a fault that is not known");
            return None;
        };
        let seconds = |name, otherwise: f64| {
            let given = get(name).and_then(|text| text.trim().parse::<f64>().ok());
            let seconds = given.filter(|seconds| *seconds >= 0.0).unwrap_or(otherwise);
            Duration::from_secs_f64(seconds.min(INJECTED_SECONDS_MAX))
        };
        Some(Self {
            name,
            what: *what,
            delay: seconds(DELAY, 0.0),
            duration: seconds(DURATION, INJECTED_DURATION_S),
        })
    }

    /// The refusal that a message over HTTPS gets at once: there is no connection that could be cut, and no later.
    pub const fn https_refusal(&self) -> Option<ErrorCode> {
        match self.what {
            Injected::Refuse(code) => Some(code),
            Injected::Sever | Injected::SeverAmqp | Injected::Amqp(_) | Injected::Mqtt(_) => None,
        }
    }
}

/// Whether a protocol is AMQP.
pub(super) const fn is_amqp(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Amqps | Protocol::AmqpsWebSocket)
}
