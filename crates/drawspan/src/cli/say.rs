//! Output for the user of a command.
//!
//! `println!` and similar macros are not used, since they panic if the reader has gone or the disk is full.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use tracing::Level;

use super::{failed, log};

/// Writes what was asked for to stdout.
pub(super) fn out(text: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}

/// Writes to stdout what a command is there to write, and succeeds if that did, or its reader has seen enough.
pub(super) fn result(text: impl Display) -> ExitCode {
    match out(text) {
        Err(error) if !is_enough(&error) => failed(format_args!("cannot print: {error}")),
        _ => ExitCode::SUCCESS,
    }
}

/// Whether the reader of stdout has gone, as `head` does: that is not a failure, and needs no message.
pub(super) fn is_enough(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Writes a remark to stderr. A failure to write is ignored: there is no other place to report it.
pub(super) fn aside(text: impl Display) {
    to_stderr(Level::INFO, text);
}

/// Writes a warning to stderr.
pub(super) fn warning(text: impl Display) {
    to_stderr(Level::WARN, text);
}

/// Writes to stderr why the command fails.
pub(super) fn error(text: impl Display) {
    to_stderr(Level::ERROR, text);
}

fn to_stderr(level: Level, text: impl Display) {
    if log::is_json() {
        return log::json_line(level, &text.to_string());
    }
    let _ = writeln!(io::stderr(), "drawspan: {text}");
}

/// Prints what the shutdown waits for.
pub(super) fn stopping(requests: usize) {
    let what = drawspan_settings::plural::count(requests, "request is", "requests are");
    aside(format_args!(
        "stopping: {what} under way; press Ctrl-C again to end at once"
    ));
}
