//! The HTTP API and the server that carries it.
//!
//! A request passes: path made canonical → API key → route → handler → response or [`problem::Problem`]. There is no
//! middleware: the telemetry route is the hot path of the product.

pub mod api;
pub mod auth;
#[cfg(test)]
mod failure_table;
pub mod problem;
pub mod server;

mod access;
mod body;
mod connection;
mod envelope;
#[cfg(test)]
mod fake;
mod member;
mod model_id;
mod path;
mod probes;
mod refusal;
mod registration;
mod request;
mod telemetry;
mod twin;
