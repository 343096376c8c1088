//! Logs go to stderr. They hold no keys, tokens or payloads.
//!
//! A thread of its own writes them, from a bounded queue: a terminal or collector that does not read loses lines, and holds
//! up nothing.

use std::io::IsTerminal;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use super::term;

/// Environment variable with a filter like `info` or `drawspan=debug`.
const FILTER: &str = "DRAWSPAN_LOG";
/// Environment variable: `json` for one JSON object per line.
const FORMAT: &str = "DRAWSPAN_LOG_FORMAT";

/// Starts logging, once per process; `default` is the filter unless the environment has another. Lines that wait are
/// written when the result is dropped.
pub(super) fn start(default: &str) -> WorkerGuard {
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(default));
    let colour = term::colour_wanted(std::io::stderr().is_terminal());
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colour);
    // A second start, in a test, is no harm.
    let _ = match std::env::var(FORMAT).as_deref() {
        Ok("json") => builder.json().try_init(),
        _ => builder.compact().try_init(),
    };
    guard
}
