//! The JSON of requests, answers and events, and its schemas, from which the API's description is generated.
// Printing panics if the reader has gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod diagnostics;
mod encoded;

pub mod answers;
pub mod connection_change;
pub mod events;
pub mod model_id;
pub mod requests;
pub mod usage;
pub mod words;
