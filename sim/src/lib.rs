//! Simulation of the production cores: thousands of devices on virtual time, faults, invariants after every step.
//!
//! The [fleet](drawspan_bridge::fleet) with its machines and governors and the [ledger](drawspan_bridge::Ledger) are the
//! production ones. Around them stand a model of the shell (`shell/`), of hubs (`hub/`) and of DPS (`dps.rs`), which
//! count for themselves what they are given; `world/` lets time pass, messages travel and things go wrong; `check/` and
//! the shell say what must be true. Everything comes from a seed, so a failure is a number.
//!
//! `deliveries/` does the same to the [events' deliveries](drawspan_bridge::delivery), among receivers of all kinds.
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
pub use run::{Failed, Report, run};
pub use scenario::{Profile, Scenario};
pub use tally::Tally;
