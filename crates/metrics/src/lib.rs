//! The content of `GET /metrics`: metrics of the process for Prometheus.
//!
//! [`Metric`] is the table of names; [`Page`] writes the values for one answer. Each component counts its own work: in atomics
//! where requests pass ([`Latency`], [`Counter`]), in plain numbers where a single task does everything. They are read when the
//! page is requested, so counting costs only an addition.
//!
//! No label names a device, a caller or a receiver: their number is unbounded, and the page is open to everyone who reaches the
//! port.
// Printing panics if the reader has gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod counter;
mod latency;
mod page;
mod process;
pub mod reference;
mod table;
#[cfg(test)]
mod tests;

pub use counter::Counter;
pub use latency::Latency;
pub use page::{Format, Page, Sample};
pub use process::process;
pub use table::{Kind, Metric};
