//! Conversion of device errors to problem documents.

use std::borrow::Cow;

use drawspan_gateway::limits::RETRY_AFTER_S;
use drawspan_gateway::{Delay, DeviceError, DeviceLimit};
use drawspan_hub::limits::THROTTLED_WAIT_MIN_S;
use drawspan_hub::{Failure, FailureKind};
use drawspan_store::StoreFault;

use super::problem::{Kind, Problem};

impl From<DeviceError> for Problem {
    fn from(error: DeviceError) -> Self {
        use DeviceError as E;
        let (kind, retry_after_s, detail): (_, _, Cow<'static, str>) = match error {
            E::Refused(failure) => return refused(failure),
            E::RefusedUntil {
                failure,
                retry_after_s,
            } => return refused_until(failure, retry_after_s),
            E::Delayed(delay) => return delayed(delay),
            E::TooLarge => (Kind::TooLarge, None, "This is larger than the hub accepts.".into()),
            E::Throttled { retry_after_s } => {
                (Kind::Throttled, Some(retry_after_s), "The hub throttles requests; send it again later.".into())
            }
            E::OverLimit { limit, retry_after_s } => return over_limit(limit, retry_after_s),
            E::HubUnreachable { retry_after_s, why } => {
                let why = why.map_or_else(String::new, |why| format!(": {why}"));
                let detail = format!("The hub, or DPS, cannot be reached; nothing was sent{why}. GET /readyz lists all faults.");
                (Kind::HubUnreachable, Some(retry_after_s), detail.into())
            }
            E::QueueFull { retry_after_s } => {
                (Kind::QueueFull, Some(retry_after_s), "Too many requests wait for the hub; nothing was sent.".into())
            }
            E::NotReady => {
                (Kind::NotReady, Some(RETRY_AFTER_S), "The bridge is starting or stopping; nothing was sent.".into())
            }
            E::NotSent => {
                (Kind::NotSent, Some(RETRY_AFTER_S), "This could not be sent in time; the hub has received nothing of it.".into())
            }
            E::FateUnknown => (
                Kind::FateUnknown,
                Some(RETRY_AFTER_S),
                "This was sent, and the hub did not answer in time; it may or may not have processed it. Sending it again may duplicate it.".into(),
            ),
            E::IdNotForDps(error) => (
                Kind::InvalidDeviceId,
                None,
                format!("The device cannot be registered at DPS, which assigns devices to hubs: {error}.").into(),
            ),
            E::NotListed => (
                Kind::UnknownDevice,
                None,
                "The device is not in this bridge's list of devices.".into(),
            ),
            E::CallbackRefused(why) => (Kind::CallbackRefused, None, why.into()),
            E::LockLost => (
                Kind::LockLost,
                None,
                "The message is no longer held under this token; if it was not settled, the hub delivers it again.".into(),
            ),
            E::Subscribed => (
                Kind::Subscribed,
                None,
                "The messages of this device go to the callback of its subscription; delete that to poll for them.".into(),
            ),
            E::NoDeadLetter => (Kind::NoDeadLetter, None, "No dead letter has this number.".into()),
            E::NoSubscription => (
                Kind::NoSubscription,
                None,
                "No subscription covers this event of the device any more, so it has no receiver.".into(),
            ),
            E::NotStored(fault) => (
                Kind::NotStored,
                Some(RETRY_AFTER_S),
                format!("This could not be stored{}, so nothing was changed. GET /readyz and the bridge's log say more.", because(fault)).into(),
            ),
            E::NotRead(fault) => (
                Kind::NotRead,
                None,
                format!("Stored data cannot be read{}. GET /readyz and the bridge's log say more.", because(fault)).into(),
            ),
        };
        let problem = Self::new(kind, detail);
        match retry_after_s {
            Some(seconds) => problem.retry_after(seconds),
            None => problem,
        }
    }
}

/// A device that sends more than each device may.
fn over_limit(limit: DeviceLimit, retry_after_s: u64) -> Problem {
    let (kind, when) = match limit {
        DeviceLimit::Rate(_) => (Kind::DeviceRate, "it may send again in"),
        DeviceLimit::DailyBlocks(_) => (
            Kind::DeviceDailyBlocks,
            "the message does not fit into what is left today, and a new day begins at 00:00 UTC, in",
        ),
    };
    let detail = format!(
        "This bridge allows each device {limit}; nothing was sent, and {when} {retry_after_s} s."
    );
    Problem::new(kind, detail).retry_after(retry_after_s)
}

/// A refusal that lasts, and when it is worth another try.
fn refused_until(failure: Failure, retry_after_s: u64) -> Problem {
    let over_quota = failure.kind == FailureKind::QuotaExceeded;
    let problem = refused(failure);
    let wait_s = problem
        .wait_s()
        .map_or(retry_after_s, |s| s.max(retry_after_s));
    let advice = match over_quota {
        true => format!(
            "The hub's daily quota is used up: nothing is sent there until 00:00 UTC, except for occasional attempts, in case units were added; try again in {wait_s} s."
        ),
        false => format!(
            "A request in {wait_s} s makes the device try again; POST /devices/{{id}}/resync makes it try at once."
        ),
    };
    problem.add_sentence(&advice).retry_after(wait_s)
}

/// A refusal of a request that was not sent, with the reason.
fn delayed(delay: Delay) -> Problem {
    let detail =
        format!("This could not be sent in time; the hub has received nothing of it: {delay}.");
    let problem = Problem::new(Kind::NotSent, detail).retry_after(RETRY_AFTER_S);
    match delay {
        Delay::Failing(failure) => {
            problem.from_hub(failure.code.map(|code| code.number()), failure.tracking_id)
        }
        Delay::Turn { .. } | Delay::Dps(_) | Delay::Hub(_) | Delay::Credit => problem,
    }
}

fn because(fault: Option<StoreFault>) -> String {
    fault.map(|fault| format!(": {fault}")).unwrap_or_default()
}

/// The hub's own words, under the status that tells the caller what to do.
fn refused(failure: Failure) -> Problem {
    let (kind, wait_s) = match failure.kind {
        FailureKind::MessageTooLarge => (Kind::TooLarge, None),
        FailureKind::Throttled => (Kind::Throttled, Some(THROTTLED_WAIT_MIN_S.into())),
        FailureKind::HubUnreachable | FailureKind::ConnectionLost | FailureKind::HubMaintenance => {
            (Kind::HubUnreachable, Some(RETRY_AFTER_S))
        }
        FailureKind::Timeout => (Kind::FateUnknown, Some(RETRY_AFTER_S)),
        // Our connections are full: another one is on its way.
        FailureKind::TokenLimit => (Kind::NotReady, Some(RETRY_AFTER_S)),
        FailureKind::ConnectionsFull => (Kind::ConnectionsFull, Some(RETRY_AFTER_S)),
        FailureKind::HubSuspended
        | FailureKind::HubNotFound
        | FailureKind::Unauthorized
        | FailureKind::DeviceNotFound
        | FailureKind::DeviceDisabled
        | FailureKind::LinkStolen
        | FailureKind::QuotaExceeded
        | FailureKind::ResourceLimit
        | FailureKind::QueueFull
        | FailureKind::Forbidden
        | FailureKind::NotFound
        | FailureKind::DeviceNotOnline
        | FailureKind::LockLost
        | FailureKind::InvalidRequest
        | FailureKind::Protocol
        | FailureKind::ServerError
        | FailureKind::Unknown => (Kind::HubRefused, None),
    };
    let asked = failure.retry_after_s.map(u64::from);
    let wait_s = wait_s.map_or(asked, |least| Some(asked.unwrap_or_default().max(least)));
    let problem = Problem::new(kind, failure.message)
        .from_hub(failure.code.map(|code| code.number()), failure.tracking_id);
    match wait_s {
        Some(seconds) => problem.retry_after(seconds),
        None => problem,
    }
}

#[cfg(test)]
mod tests;
