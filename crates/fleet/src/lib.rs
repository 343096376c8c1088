//! When devices connect, as pure functions of (state, input, now).
//!
//! * [`device`]: the life of one device connection. Start reading there.
//! * [`Fleet`]: all devices of a process, their queues and timers.
//! * [`governor`]: permits to connect, at the pace of one hub, under its [`hub_health`] and its [`credential_breaker`].
//! * [`rate_limiter`], [`paces`]: the rates that a hub accepts, shared by all senders; [`fair_limiter`], [`fair_queue`]: fairly.
//! * [`send_quota`]: the messages that are sent to a hub whose daily quota is used up.
//! * [`usage`]: what each device has used today, and its limits.
//! * [`resend`]: when a refused request is sent again.
//! * [`ledger`]: the assignment of devices to AMQP connections.
//! * [`time`]: time and chance as arguments.
//! * [`limits`]: every limit and time.
//!
//! The crate has no sockets, clocks, random sources or async runtime.

pub mod credential_breaker;
mod credential_scope;
pub mod device;
pub mod fair_limiter;
pub mod fair_queue;
mod fleet;
pub mod governor;
pub mod hub_health;
pub mod ledger;
pub mod limits;
#[doc(hidden)]
pub mod mutation;
pub mod paces;
pub mod rate_limiter;
pub mod resend;
pub mod send_quota;
pub mod time;
pub mod usage;

pub use credential_scope::CredentialScope;
pub use device::{Act, Device, Effect, Effects, Epoch, Input, State, Why};
pub use fair_limiter::FairLimiter;
pub use fleet::{
    Action, CallerId, Context, Fleet, FleetConfig, FleetFull, News, ServiceId, StateCounts,
};
pub use governor::Governor;
pub use ledger::{Ledger, LedgerConfig, Left};
pub use paces::Paces;
pub use rate_limiter::RateLimiter;
pub use send_quota::SendQuota;
pub use time::{Chance, Jitter, Now};
