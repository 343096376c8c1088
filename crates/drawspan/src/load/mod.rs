//! A load generator: HTTP/1.1, connections kept alive, one request in flight on each, no retries, and a ledger that says
//! what became of every single request.

pub mod downlink;
pub mod histogram;
pub mod ledger;
pub mod options;
pub mod report;
pub mod run;

mod connection;
mod pace;
mod problem;
mod request;

pub use options::{Load, LoadArgs};
pub use report::Report;
pub use run::run;
