//! The traits between the API and the runtime, and the values that pass through them.
//!
//! The API calls these traits and the runtime implements them, so that neither knows the other. [`DeviceGateway`] has the
//! operations of one device; [`Subscriptions`], [`Downlink`], [`Listing`], [`DeadLetters`] and [`UsageReports`] have the others. [`log_limit`] limits
//! log lines that both sides write.
// Printing panics if the reader has gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod callback;
mod connection_feed;
mod dead_letters;
mod device_list;
mod downlink;
mod effect;
pub mod limits;
pub mod log_limit;
mod readiness;
mod subscriptions;
mod usage;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use drawspan_hub::failure::{Failure, FailureKind};
use drawspan_hub::telemetry::Telemetry;
use drawspan_hub::{
    ConnectionStatus, ConnectionStatusReason, DeviceId, ErrorCode, HostName, InvalidId,
    SubscriptionType, UtcTime,
};
use drawspan_metrics::Page;
use drawspan_store::StoreFault;
use tokio::time::Instant;

pub use callback::{CallbackUrl, InvalidCallback};
pub use connection_feed::{ConnectionFeed, ConnectionListener};
pub use dead_letters::{DeadLetter, DeadLetterQuery, DeadLetters};
pub use device_list::{ListPage, ListQuery, Listed, Listing};
pub use downlink::{Downlink, Held};
pub use drawspan_bridge::history::{Change, Published};
pub use effect::{Effect, Presence};
pub use readiness::{Readiness, ServiceFault, Unready};
pub use subscriptions::{
    Prefix, Scope, Subscribe, Subscribed, Subscription, SubscriptionStatus, Subscriptions,
};
pub use usage::{
    DeviceLimit, DeviceUsage, HubUsage, Usage, UsageOrder, UsageQuery, UsageReports, Used,
};

/// All traits that the HTTP side needs.
pub trait Gateway:
    DeviceGateway + Subscriptions + Downlink + Listing + DeadLetters + UsageReports
{
}

impl<T: DeviceGateway + Subscriptions + Downlink + Listing + DeadLetters + UsageReports> Gateway
    for T
{
}

/// The devices behind the HTTP side. Two implementors: the runtime, and the ceiling of benchmarks, which answers at once.
///
/// A method with a `deadline` resolves by then at the latest.
pub trait DeviceGateway: Clone + Send + Sync + 'static {
    /// Sends one message under the device's own identity; `Ok` when the hub accepted it.
    fn send(
        &self,
        device: DeviceId,
        message: Telemetry,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;

    /// Reads the twin: a JSON object with the members `desired` and `reported`, as the hub sent it.
    fn twin(
        &self,
        device: DeviceId,
        deadline: Instant,
    ) -> impl Future<Output = Result<Bytes, DeviceError>> + Send;

    /// Changes reported properties. `patch` is a JSON object; `Ok` when the hub took it.
    fn report(
        &self,
        device: DeviceId,
        patch: Bytes,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;

    /// Registers the device at DPS, with its model if one is given, and remembers its hub. Where there is no DPS there is
    /// nothing to do.
    fn register(
        &self,
        device: DeviceId,
        model_id: Option<String>,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;

    /// The public status of the device's connection; `None` if it never tried to connect.
    fn connection_status(
        &self,
        device: DeviceId,
    ) -> impl Future<
        Output = Result<Option<(ConnectionStatus, ConnectionStatusReason)>, DeviceError>,
    > + Send;

    /// Reads again what is wanted of the device and, if its connection failed, tries once more. Does not wait for it.
    ///
    /// # Errors
    /// When the order cannot be taken.
    fn resync(&self, device: DeviceId) -> Result<(), DeviceError>;

    /// The diagnostics of the device's connection; `None` if the device is not known.
    fn diagnostics(
        &self,
        device: DeviceId,
    ) -> impl Future<Output = Result<Option<Diagnostics>, DeviceError>> + Send;

    /// Forgets the device: closes its connection, and removes it from the hub cache. Nothing changes at the hub or at DPS.
    fn forget(
        &self,
        device: DeviceId,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;

    /// Whether the device, whose id begins with `within`, does so by its id at the hub, too: DPS compares ids without case and
    /// may have another spelling. `ask`: the device is about to be reached, so DPS is asked if it was not yet.
    fn standing(
        &self,
        device: DeviceId,
        within: Prefix,
        ask: bool,
        deadline: Instant,
    ) -> impl Future<Output = Result<Standing, DeviceError>> + Send;

    /// The id that requests for a device share: it is the same for all spellings of one device.
    fn identity(&self, device: &DeviceId) -> DeviceId;

    /// The changes of devices' connections, for those who follow them.
    fn connection_feed(&self) -> Arc<ConnectionFeed>;

    /// Whether requests make sense now.
    fn readiness(&self) -> Readiness;

    /// Adds figures of the devices to a page of metrics, as far as they are to be had soon.
    fn measure(&self, page: &mut Page) -> impl Future<Output = ()> + Send;
}

/// Whether a device is among those whose ids begin alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is, as far as is known.
    Within,
    /// It is not: this is its id at the hub.
    Outside(DeviceId),
}

/// Why something was not done for a device.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DeviceError {
    /// The hub (or DPS) answered, and said no.
    #[error("the hub refused: {0}")]
    Refused(Failure),
    /// The hub (or DPS) refuses the device, and is asked again in a while.
    #[error("the hub refused: {failure}; it is asked again in {retry_after_s} s")]
    RefusedUntil {
        /// The hub's answer.
        failure: Failure,
        /// When a request makes the device try again, in seconds from now.
        retry_after_s: u64,
    },
    /// The message or patch is over the hub's limit.
    #[error("the message is larger than the hub accepts")]
    TooLarge,
    /// The hub has too much to do for this device or for everybody.
    #[error("throttled, try again in {retry_after_s} s")]
    Throttled {
        /// When to try again, in seconds from now.
        retry_after_s: u64,
    },
    /// The device sends more than the bridge allows each device. Nothing was sent.
    #[error("the device has {limit}, try again in {retry_after_s} s")]
    OverLimit {
        /// The limit.
        limit: DeviceLimit,
        /// When to try again, in seconds from now.
        retry_after_s: u64,
    },
    /// No connection to the hub, or to DPS, could be had.
    #[error("the hub, or DPS, cannot be reached, try again in {retry_after_s} s")]
    HubUnreachable {
        /// When to try again, in seconds from now.
        retry_after_s: u64,
        /// Which, and why, as far as known.
        why: Option<String>,
    },
    /// Too many requests wait already.
    #[error("too many requests wait, try again in {retry_after_s} s")]
    QueueFull {
        /// When to try again, in seconds from now.
        retry_after_s: u64,
    },
    /// This process is starting, or on its way out.
    #[error("not ready")]
    NotReady,
    /// The deadline passed before anything was written: it is certainly not at the hub.
    #[error("not sent before the deadline")]
    NotSent,
    /// The same, and what the device was waiting for.
    #[error("not sent before the deadline: {0}")]
    Delayed(Delay),
    /// It was written and the hub's answer did not come in time: it may or may not be at the hub.
    #[error("the hub did not answer in time")]
    FateUnknown,
    /// The id is valid, but not at DPS, which is used here.
    #[error("not for DPS: {0}")]
    IdNotForDps(InvalidId),
    /// Devices are listed one by one, and this one is not among them.
    #[error("the device is not listed")]
    NotListed,
    /// Events may not be sent there; why, and what to do.
    #[error("the callback URL is refused: {0}")]
    CallbackRefused(String),
    /// The message is not held for the device any more, or never was.
    #[error("the message is not held any more")]
    LockLost,
    /// The device's messages go to its subscription.
    #[error("the device's messages go to its subscription")]
    Subscribed,
    /// The dead letter does not exist.
    #[error("there is no such dead letter")]
    NoDeadLetter,
    /// Such events have no subscription any more.
    #[error("this has no subscription")]
    NoSubscription,
    /// A change that must survive the end of the process could not be written.
    #[error("it could not be stored")]
    NotStored(Option<StoreFault>),
    /// Stored data cannot be read.
    #[error("stored data cannot be read")]
    NotRead(Option<StoreFault>),
}

/// The reason why a request was not sent in time.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Delay {
    /// Other devices connect before it.
    #[error("the device waits for its turn at {host}, where {queue} wait to connect")]
    Turn {
        /// The hub, or DPS.
        host: HostName,
        /// How many wait there.
        queue: usize,
    },
    /// DPS has not said which hub the device belongs to.
    #[error("DPS at {0} has not assigned the device to a hub yet")]
    Dps(HostName),
    /// The hub has not answered the device's connection.
    #[error("hub {0} has not answered the device's connection yet")]
    Hub(HostName),
    /// The hub took nothing on a connection that stands.
    #[error("the hub accepts no message of the device at the moment")]
    Credit,
    /// One attempt to connect after the other fails.
    #[error("the device could not be connected: {0}")]
    Failing(Failure),
}

impl DeviceError {
    /// Whether the request's time ran out.
    #[must_use]
    pub const fn is_out_of_time(&self) -> bool {
        matches!(self, Self::NotSent | Self::Delayed(_) | Self::FateUnknown)
    }
}

/// The diagnostics of a device's connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostics {
    /// The state of the device.
    pub state: DeviceState,
    /// Since when.
    pub since: Option<UtcTime>,
    /// The public status; `None` if it never tried to connect.
    pub status: Option<(ConnectionStatus, ConnectionStatusReason)>,
    /// Its hub, as far as known.
    pub hub: Option<HostName>,
    /// Its name at the hub, when DPS gave it another one than it has here.
    pub assigned_device_id: Option<DeviceId>,
    /// The last thing that went wrong.
    pub last_failure: Option<LastFailure>,
    /// Attempts that failed since the last good connection.
    pub failures: u32,
    /// When the next attempt is due, if one is.
    pub next_attempt_at: Option<UtcTime>,
    /// Whether it stays connected because of its subscriptions.
    pub permanent: bool,
    /// How long it stays connected because of its last use.
    pub wanted_until: Option<UtcTime>,
    /// Number of the device's AMQP connection.
    pub connection: Option<u64>,
    /// Number of the device's token slot on the connection; `None` if one token serves the whole connection.
    pub token_slot: Option<u32>,
    /// Kinds of events that the device should receive, because of subscriptions or polls.
    pub wanted: Vec<SubscriptionType>,
    /// Kinds of these that the hub refuses; the last failure says why.
    pub refused: Vec<SubscriptionType>,
    /// The last changes of its connection, the newest first.
    pub history: Vec<Change>,
}

/// The state of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// Not in memory; its hub is remembered.
    Remembered,
    /// Nothing: nothing wants it.
    Idle,
    /// Waiting for its turn to connect.
    Queued,
    /// Asking DPS for its hub.
    Provisioning,
    /// Opening.
    Connecting,
    /// Connected.
    Connected,
    /// Waiting for the next attempt.
    Waiting,
    /// Another client holds the device at the hub.
    Yielded,
    /// Closing, since nothing wants it any more.
    Closing,
}

/// The last thing that went wrong with a device.
#[derive(Debug, Clone, PartialEq)]
pub struct LastFailure {
    /// The hub's own code, e.g. 401003.
    pub code: Option<ErrorCode>,
    /// The kind of failure.
    pub kind: FailureKind,
    /// Id by which the hub's operators find the case.
    pub tracking_id: Option<String>,
    /// The description, one line.
    pub message: String,
    /// When.
    pub at: UtcTime,
}

impl DeviceState {
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::Remembered,
        Self::Idle,
        Self::Queued,
        Self::Provisioning,
        Self::Connecting,
        Self::Connected,
        Self::Waiting,
        Self::Yielded,
        Self::Closing,
    ];

    /// The public word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Remembered => "remembered",
            Self::Idle => "idle",
            Self::Queued => "queued",
            Self::Provisioning => "provisioning",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Waiting => "waiting",
            Self::Yielded => "yielded",
            Self::Closing => "closing",
        }
    }
}
