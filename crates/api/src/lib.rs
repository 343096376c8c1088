//! The HTTP API and the server that carries it.
//!
//! A request passes: host checked → path made canonical → API key → route → handler → response or [`problem::Problem`]. There is no
//! middleware: the telemetry route is the hot path of the product.
// They panic where nobody reads.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod api;
pub mod auth;
#[cfg(test)]
mod failure_table;
pub mod host;
pub mod idempotency;
pub mod limits;
pub mod openapi;
pub mod problem;
pub mod server;

mod access;
mod batch;
mod body;
mod connection;
mod counts;
mod date;
mod dead_letter;
mod downlink;
mod encoding;
mod envelope;
#[cfg(test)]
mod fake;
mod fleet;
mod json_error;
mod listing;
mod member;
mod operation;
mod path;
mod patience;
mod probes;
mod query;
mod refusal;
mod registration;
mod request;
mod routes;
mod subscription;
mod telemetry;
mod twin;
