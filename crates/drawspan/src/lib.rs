//! Drawspan, a device bridge for Azure IoT Hub: HTTP in, one Azure IoT identity per device out.
//!
//! * [`cli`]: the command line, and what each subcommand runs.
//! * [`import`]: import of the data of the bridge that Drawspan replaces.
// Printing panics if the reader has gone; `cli::say` does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod cli;
pub mod import;
pub mod limits;
