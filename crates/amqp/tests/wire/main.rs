//! The codec from outside: against recordings, against damage, against itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests, helpers included"
)]

mod footprint;
mod mutations;
mod recorded;
mod recordings;
mod round_trips;
mod strategies;
