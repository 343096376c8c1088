//! Every decision about devices, connections, subscriptions and events, as pure functions of (state, input, now).
//!
//! * [`controller`]: one value that takes inputs and returns actions. Start reading there. [`drawspan_fleet`] decides when devices
//!   connect.
//! * [`subscriptions`], [`events`]: subscriptions of callers, and the events that they get.
//! * [`delivery`]: when events are delivered to callers.
//! * [`history`]: the last changes of devices' connections, and their causes.
//! * [`limits`]: every limit and time.
//!
//! The crate has no sockets, clocks, random sources or async runtime.

pub mod controller;
pub mod delivery;
pub mod events;
pub mod history;
pub mod limits;
pub mod subscriptions;
mod wall_clock;

pub use controller::Controller;
