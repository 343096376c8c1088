//! What `GET /metrics` tells: figures of the whole process, for Prometheus.
//!
//! [`Metric`] is the one table of names; [`Page`] writes what was gathered for one answer. Whoever does a thing counts it, in numbers of
//! his own: atomic ones where requests pass ([`Latency`], [`Counter`]), plain ones where a single task does everything. They are read when
//! somebody asks, so nothing but an addition is paid for before that.
//!
//! No label names a device, a caller or a receiver: their number has no bound, and the page is open to all who reach the port.
// They panic where nobody reads.
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
