//! Simulation of the production [controller](drawspan_bridge::Controller): thousands of devices on virtual time, faults, invariants
//! after every step. Everything comes from a seed, so a failure is a number.
//!
//! There are four worlds. The first has fleets: `process/` stands where the runtime stands, feeds the controller and does what it
//! wants done; `hub/` and `dps.rs` are models that count for themselves what they are given; `world/` lets time pass, messages travel
//! and things go wrong, and says how long a caller may wait (`liveness.rs`); `check/` has what must be true of paces and budgets.
//! The second, `downlinks/`, has subscriptions, methods, messages and desired properties. The third, `deliveries/`, has the
//! [events' deliveries](drawspan_bridge::delivery) alone, among receivers of all kinds. The fourth, `mass_connect/`, has a fleet that
//! connects all at once to a hub that shapes its traffic.
//!
//! The faults last until a number of events that the seed picks. Then everything is well, and within bounded virtual time
//! every wanted device must be connected and every other one forgotten.

mod agenda;
mod check;
mod deliveries;
mod dice;
mod downlinks;
mod dps;
mod fault;
mod hub;
mod mass_connect;
mod platform;
mod process;
mod run;
mod scenario;
mod tally;
mod words;
mod world;

pub use check::Violation;
pub use deliveries::{DeliveryReport, run_deliveries};
pub use downlinks::run_downlinks;
pub use fault::Fault;
pub use mass_connect::{MassConnect, MassConnectReport, Shaping};
pub use run::{Failed, Report, run};
pub use scenario::{Profile, Scenario};
pub use tally::Tally;
