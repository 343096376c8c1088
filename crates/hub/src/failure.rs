//! The meaning of refusals for a device connection, from any source, and their remedies.
//!
//! Two tables make one decision: (condition | status | code) → [`FailureKind`] (in `failure/kind.rs`), and [`FailureKind`] →
//! [`Remedy`] (here). The hub's own code takes precedence over the AMQP condition, which is coarser. Unknown failures are retried
//! slowly.
//!
//! Source: Azure articles "troubleshoot IoT Hub error codes" and "manage device reconnections"; the conditions are those
//! that the official SDKs know.

mod ending;
mod kind;

use std::fmt;

use crate::error_body::ErrorDescription;
use crate::error_code::ErrorCode;
use crate::limits::{CONDITION_MAX_CHARS, FAILURE_MESSAGE_MAX_CHARS, THROTTLED_WAIT_MIN_S};
use crate::status::ConnectionStatusReason;

pub use ending::Ending;
pub use kind::FailureKind;

/// How long a hub that is being upgraded, restored or failed over is left alone: it takes minutes.
const MAINTENANCE_WAIT_S: u32 = 60;

/// Something that went wrong with a device, its connection or its hub. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The hub's code, if it gave one.
    pub code: Option<ErrorCode>,
    /// The kind of failure.
    pub kind: FailureKind,
    /// Id by which the provider finds the failure in its logs.
    pub tracking_id: Option<String>,
    /// The description, one line.
    pub message: String,
    /// How long the hub asks to wait.
    pub retry_after_s: Option<u32>,
    /// The AMQP condition, if the hub named one.
    pub condition: Option<Box<str>>,
    /// Who ended what, as far as the kind does not say it.
    pub ending: Ending,
}

/// The remedy of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Quick attempts for about five minutes, then slowly growing waits, for ever.
    SlowRetry,
    /// The hub's state, not the device's: the hub is probed, devices wait, and no failure is counted.
    HubDown,
    /// Wait until then, since earlier attempts are useless. An existing connection is kept.
    WaitUntil(Until),
    /// A new token, once, after a look at the clock; if that does not help, [`Remedy::Reprovision`].
    Reauthenticate,
    /// Ask DPS which hub the device belongs to.
    Reprovision,
    /// Open on another connection to the same hub: this one is full.
    OtherConnection,
    /// Another client holds the device: step back.
    Yield,
}

/// When it makes sense to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The next 00:00 UTC, when daily quotas start again.
    MidnightUtc,
    /// After this many seconds.
    After {
        /// Seconds.
        seconds: u32,
    },
}

impl Failure {
    /// A failure found on this side, for instance [`FailureKind::HubUnreachable`].
    #[must_use]
    pub fn local(kind: FailureKind, message: &str) -> Self {
        Self {
            code: None,
            kind,
            tracking_id: None,
            message: crate::error_body::clean(message, FAILURE_MESSAGE_MAX_CHARS),
            retry_after_s: None,
            condition: None,
            ending: Ending::Found,
        }
    }

    /// A failure that is the result of a rule of this side.
    #[must_use]
    pub fn own(kind: FailureKind, message: &str) -> Self {
        Self::local(kind, message).with_ending(Ending::Own)
    }

    /// The same, ended in another way.
    #[must_use]
    pub fn with_ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// An AMQP error of a connection, session or link.
    #[must_use]
    pub fn from_amqp(condition: &str, description: Option<&str>) -> Self {
        Self::from_condition(condition, description, kind::of_condition)
    }

    /// An AMQP error with which telemetry was rejected. A limit that the hub does not name is the daily quota here.
    #[must_use]
    pub fn from_outcome(condition: &str, description: Option<&str>) -> Self {
        Self::from_condition(condition, description, kind::of_outcome)
    }

    fn from_condition(
        condition: &str,
        description: Option<&str>,
        of_condition: fn(&str) -> Option<FailureKind>,
    ) -> Self {
        let said = ErrorDescription::parse(description.unwrap_or_default());
        let kind = kind::of_code(said.code)
            .or_else(|| kind::of_text(&said.message))
            .or_else(|| of_condition(condition));
        let mut failure = Self::new(kind, said);
        let condition = crate::error_body::clean(condition, CONDITION_MAX_CHARS);
        if failure.message.is_empty() {
            failure.message.clone_from(&condition);
        }
        failure.condition = Some(condition.into());
        failure
    }

    /// A CBS answer other than 2xx.
    #[must_use]
    pub fn from_cbs(status: i32, description: &str) -> Self {
        let said = ErrorDescription::parse(description);
        let kind = kind::of_code(said.code)
            .or_else(|| kind::of_text(&said.message))
            .or_else(|| kind::of_cbs_status(status));
        Self::new(kind, said).or_message(|| format!("put-token was answered {status}"))
    }

    /// An HTTP answer other than 2xx. `error_code` is header `iothub-errorcode`, `retry_after_s` header `Retry-After`.
    #[must_use]
    pub fn from_http(
        status: u16,
        error_code: Option<&str>,
        body: &str,
        retry_after_s: Option<u32>,
    ) -> Self {
        let mut said = ErrorDescription::parse(body);
        said.code = said.code.or(error_code.and_then(ErrorCode::from_name));
        let kind = kind::of_code(said.code).or_else(|| kind::of_status(i32::from(status)));
        Self {
            retry_after_s,
            ..Self::new(kind, said).or_message(|| format!("HTTP status {status}"))
        }
    }

    /// The remedy.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        use FailureKind as Kind;
        match self.kind {
            Kind::HubUnreachable => Remedy::HubDown,
            Kind::Unauthorized => Remedy::Reauthenticate,
            Kind::DeviceNotFound | Kind::DeviceDisabled => Remedy::Reprovision,
            Kind::LinkStolen => Remedy::Yield,
            Kind::TokenLimit => Remedy::OtherConnection,
            Kind::QuotaExceeded => Remedy::WaitUntil(Until::MidnightUtc),
            Kind::Throttled => self.wait_at_least(THROTTLED_WAIT_MIN_S),
            Kind::HubMaintenance => self.wait_at_least(MAINTENANCE_WAIT_S),
            Kind::ConnectionLost
            | Kind::Timeout
            | Kind::ServerError
            | Kind::ResourceLimit
            | Kind::HubSuspended
            | Kind::HubNotFound
            | Kind::Forbidden
            | Kind::NotFound
            | Kind::DeviceNotOnline
            | Kind::ConnectionsFull
            | Kind::QueueFull
            | Kind::LockLost
            | Kind::MessageTooLarge
            | Kind::InvalidRequest
            | Kind::Protocol
            | Kind::Unknown => Remedy::SlowRetry,
        }
    }

    /// Whether repeated failures of this kind may mean that the device has moved to another hub. Not where the hub
    /// speaks of itself or of load: asking DPS then would turn one overload into another.
    #[must_use]
    pub const fn may_mean_moved(&self) -> bool {
        use FailureKind as Kind;
        !matches!(
            self.kind,
            Kind::HubUnreachable
                | Kind::HubMaintenance
                | Kind::HubSuspended
                | Kind::QuotaExceeded
                | Kind::ResourceLimit
                | Kind::ConnectionsFull
                | Kind::QueueFull
                | Kind::TokenLimit
                | Kind::Throttled
                | Kind::DeviceNotOnline
                | Kind::LinkStolen
        )
    }

    /// The public word for it.
    #[must_use]
    pub const fn status_reason(&self) -> ConnectionStatusReason {
        match self.kind {
            FailureKind::Unauthorized => ConnectionStatusReason::BadCredential,
            FailureKind::DeviceNotFound | FailureKind::DeviceDisabled => {
                ConnectionStatusReason::DeviceDisabled
            }
            _ => ConnectionStatusReason::CommunicationError,
        }
    }

    fn new(kind: Option<FailureKind>, said: ErrorDescription) -> Self {
        Self {
            code: said.code,
            kind: kind.unwrap_or(FailureKind::Unknown),
            tracking_id: said.tracking_id,
            message: said.message,
            retry_after_s: None,
            condition: None,
            ending: Ending::Told,
        }
    }

    fn or_message(mut self, message: impl FnOnce() -> String) -> Self {
        if self.message.is_empty() {
            self.message = message();
        }
        self
    }

    fn wait_at_least(&self, least_s: u32) -> Remedy {
        let seconds = self.retry_after_s.unwrap_or(least_s).max(least_s);
        Remedy::WaitUntil(Until::After { seconds })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match (self.code, &self.tracking_id) {
            (Some(code), Some(id)) => write!(f, " (code {code}, tracking id {id})"),
            (Some(code), None) => write!(f, " (code {code})"),
            (None, Some(id)) => write!(f, " (tracking id {id})"),
            (None, None) => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests;
