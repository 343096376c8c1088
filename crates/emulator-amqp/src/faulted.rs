//! Refusals that a fault asks for.

use drawspan_amqp::performative::{Error, condition};
use drawspan_amqp::value::Symbol;
use drawspan_hub::ErrorCode;

use super::error::{THROTTLED, refusal};

const TIMEOUT: Symbol = Symbol::from_static("com.microsoft:timeout");

/// A refusal with this code of the hub, by the condition that official clients know it by.
pub(super) fn faulted(code: ErrorCode) -> Error {
    let condition = match code.number() / 1_000 {
        429 => THROTTLED,
        401 => condition::UNAUTHORIZED_ACCESS,
        // A full queue and a used-up quota.
        403 if matches!(
            code,
            ErrorCode::QUOTA_EXCEEDED | ErrorCode::DEVICE_MAXIMUM_QUEUE_DEPTH_EXCEEDED
        ) =>
        {
            condition::RESOURCE_LIMIT_EXCEEDED
        }
        403 => condition::UNAUTHORIZED_ACCESS,
        404 => condition::NOT_FOUND,
        412 => condition::PRECONDITION_FAILED,
        413 => condition::MESSAGE_SIZE_EXCEEDED,
        504 => TIMEOUT,
        400 if code == ErrorCode::CONNECTION_REJECTED_ON_FAULT_INJECTION => {
            // Clients come again after it.
            condition::DETACH_FORCED
        }
        400 => condition::NOT_ALLOWED,
        _ => condition::INTERNAL_ERROR,
    };
    refusal(condition, code, "a fault is asked for")
}
