//! Refusals on the wire: an AMQP condition, and the hub's JSON as its description.

use drawspan_amqp::performative::{Error, condition};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator_hub::clock::system_unix_ms;
use drawspan_emulator_hub::hub_error::description;
use drawspan_emulator_hub::throttle_text::throttled_text;
use drawspan_emulator_hub::tracking_id::tracking_id;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::access::Denied;

/// An argument that is not allowed.
pub(super) const ARGUMENT_ERROR: Symbol = Symbol::from_static("com.microsoft:argument-error");
/// A message was settled after its lock.
pub(super) const LOCK_LOST: Symbol = Symbol::from_static("com.microsoft:message-lock-lost");

/// Condition by which services learn that the daily quota is used up.
pub(super) const QUOTA_EXCEEDED: Symbol = Symbol::from_static("com.microsoft:quota-exceeded");
/// Condition of refusals of what exceeds a rate.
pub(super) const THROTTLED: Symbol =
    Symbol::from_static("com.microsoft:device-container-throttled");

const TRACKING_ID: Symbol = Symbol::from_static("com.microsoft:tracking-id");

/// A refusal with the hub's code.
pub(super) fn refusal(condition: Symbol, code: ErrorCode, message: &str) -> Error {
    let now = system_unix_ms() as i64;
    let tracking_id = tracking_id(now);
    let description = description(code, message, &tracking_id, now);
    Error::new(condition, description).with_info(Map(vec![(
        Value::Symbol(TRACKING_ID),
        Value::from(tracking_id.as_str()),
    )]))
}

/// A refusal by a rate, the quota or the tier of the hub.
pub(super) fn throttled(code: ErrorCode) -> Error {
    let condition = match code {
        ErrorCode::QUOTA_EXCEEDED => condition::RESOURCE_LIMIT_EXCEEDED,
        ErrorCode::OPERATION_NOT_AVAILABLE_IN_CURRENT_TIER => condition::NOT_ALLOWED,
        _ => THROTTLED,
    };
    refusal(condition, code, throttled_text(code))
}

/// Why a link is refused to its owner. The text of a [`Denied`] is about a token; here it is about the link.
pub(super) fn denied(denied: Denied) -> Error {
    let unauthorized = condition::UNAUTHORIZED_ACCESS;
    let (condition, code, text) = match denied {
        Denied::UnknownDevice => (
            condition::NOT_FOUND,
            ErrorCode::DEVICE_NOT_FOUND,
            "the device is not registered",
        ),
        Denied::UnknownModule => (
            condition::NOT_FOUND,
            ErrorCode::MODULE_NOT_FOUND,
            "the module is not registered",
        ),
        Denied::DeviceDisabled => (
            unauthorized,
            ErrorCode::DEVICE_DISABLED,
            "the device is disabled",
        ),
        Denied::NoToken => (
            unauthorized,
            ErrorCode::UNAUTHORIZED,
            "no token for this was put on the connection, which has no certificate either",
        ),
        Denied::WrongKey => (
            unauthorized,
            ErrorCode::UNAUTHORIZED,
            "the device's keys or thumbprints have changed since it proved itself by them",
        ),
        Denied::OutOfScope => (
            unauthorized,
            ErrorCode::UNAUTHORIZED_ACCESS,
            "no token on the connection covers this",
        ),
        Denied::MissingRight => (
            unauthorized,
            ErrorCode::UNAUTHORIZED_ACCESS,
            "neither the policy of the connection's token nor its certificate allows this",
        ),
        Denied::CertificateNotTaken
        | Denied::CertificateExpired
        | Denied::CertificateNotYetValid
        | Denied::OtherThumbprint
        | Denied::OtherCommonName
        | Denied::UntrustedCertificate => {
            let text = denied.to_string();
            return refusal(unauthorized, ErrorCode::UNAUTHORIZED, &text);
        }
        Denied::Expired => (
            unauthorized,
            ErrorCode::UNAUTHORIZED,
            "the token has expired",
        ),
        Denied::Malformed | Denied::OtherHost | Denied::UnknownPolicy => (
            unauthorized,
            ErrorCode::UNAUTHORIZED,
            "the token is not one for this hub",
        ),
    };
    refusal(condition, code, text)
}
