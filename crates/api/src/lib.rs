//! The HTTP API and its server.
//!
//! A request passes: host checked → path made canonical → API key → route → handler → response or [`problem::Problem`]. There is no
//! middleware: the telemetry route is the hot path of the product.
// Printing panics if the reader has gone.
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

mod authorization;
mod batch;
mod body;
mod c2d_receive;
mod client_disconnect;
mod connection_stream;
mod counted;
mod counts;
mod date;
mod dead_letter;
mod deadline;
mod device_error;
mod device_list;
mod device_status;
#[cfg(test)]
mod fake;
mod fleet_subscriptions;
mod json_error;
mod json_member;
mod lasting;
mod listeners;
mod operation;
mod path;
mod probes;
mod query;
mod registration;
mod request;
mod routes;
mod state;
mod subscription;
mod telemetry;
mod telemetry_body;
mod twin;
mod uri_check;
mod uri_text;
mod usage;
