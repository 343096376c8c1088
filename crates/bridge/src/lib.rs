//! What a device connection *is*, as pure functions of (state, input, now).
//!
//! * [`device`]: the life of one device connection. Start reading there.
//! * [`fleet`]: all devices of a process, their queues and timers.
//! * [`controller`]: every decision, as one value that hears what happens and says what to do.
//! * [`subscriptions`], [`events`]: what callers want to hear of, and what they are sent.
//! * [`governor`]: who may try to connect now: the pace of one hub, under its [`hub_state`] and its [`breaker`].
//! * [`bucket`]: what a hub takes per second, shared by all who send.
//! * [`delivery`]: events on their way to callers, which is tried when.
//! * [`ledger`]: which AMQP connection takes which device.
//! * [`time`]: how time and chance come in.
//! * [`limits`]: every figure.
//!
//! Nothing in here knows a socket, a clock, a random source or an async runtime.

pub mod breaker;
pub mod bucket;
pub mod controller;
pub mod delivery;
pub mod device;
pub mod events;
pub mod fleet;
pub mod governor;
pub mod hub_state;
pub mod ledger;
pub mod limits;
#[doc(hidden)]
pub mod mutation;
pub mod paces;
pub mod resend;
pub mod subscriptions;
pub mod time;
mod wall_clock;

pub use bucket::Bucket;
pub use controller::Controller;
pub use device::{Device, Effect, Effects, Epoch, Input, State};
pub use fleet::Fleet;
pub use governor::Governor;
pub use ledger::{Ledger, LedgerConfig, Left};
pub use paces::Paces;
pub use time::{Chance, Jitter, Now};
