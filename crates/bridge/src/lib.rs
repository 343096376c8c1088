//! Every decision about devices, connections, subscriptions and events, as pure functions of (state, input, now).
//!
//! * [`controller`]: one value that hears what happens and says what to do. Start reading there. When devices connect is decided
//!   by [`drawspan_fleet`].
//! * [`subscriptions`], [`events`]: what callers want to hear of, and what they are sent.
//! * [`delivery`]: events on their way to callers, which is tried when.
//! * [`limits`]: every limit and time.
//!
//! Nothing in here knows a socket, a clock, a random source or an async runtime.

pub mod controller;
pub mod delivery;
pub mod events;
pub mod limits;
pub mod subscriptions;
mod wall_clock;

pub use controller::Controller;
