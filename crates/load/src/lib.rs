//! A load generator: HTTP/1.1, connections kept alive, one request in flight on each, no retries, and a ledger with the outcome of
//! every request.
// Printing panics if the reader has gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod downlink;
pub mod histogram;
pub mod ledger;
pub mod limits;
pub mod options;
pub mod report;
pub mod run;

mod behavior;
mod connection;
mod problem;
mod rate;
mod request;

pub use behavior::{Behavior, InvalidBehavior};
pub use options::{Load, LoadArgs};
pub use report::Report;
pub use run::run;
