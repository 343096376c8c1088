//! When devices connect, as pure functions of (state, input, now).
//!
//! * [`device`]: the life of one device connection. Start reading there.
//! * [`Fleet`]: all devices of a process, their queues and timers.
//! * [`governor`]: who may try to connect now: the pace of one hub, under its [`hub_health`] and its [`credential_breaker`].
//! * [`rate_limiter`], [`paces`]: what a hub takes per second, shared by all who send.
//! * [`send_quota`]: which messages go to a hub whose daily quota is used up.
//! * [`resend`]: when a request that a hub refused is sent again.
//! * [`ledger`]: which AMQP connection takes which device.
//! * [`time`]: how time and chance come in.
//! * [`limits`]: every limit and time.
//!
//! Nothing in here knows a socket, a clock, a random source or an async runtime.

pub mod credential_breaker;
mod credential_scope;
pub mod device;
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

pub use credential_scope::CredentialScope;
pub use device::{Device, Effect, Effects, Epoch, Input, State};
pub use fleet::{
    Action, CallerId, Context, Fleet, FleetConfig, FleetFull, News, ServiceId, StateCounts,
};
pub use governor::Governor;
pub use ledger::{Ledger, LedgerConfig, Left};
pub use paces::Paces;
pub use rate_limiter::RateLimiter;
pub use send_quota::SendQuota;
pub use time::{Chance, Jitter, Now};
