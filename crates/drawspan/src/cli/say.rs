//! Text for whoever runs a command.
//!
//! Not by `println!` and its like: those panic where nobody reads any more, or the disk behind a file is full.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use super::failed;

/// Writes what was asked for to stdout.
pub(super) fn out(text: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}

/// Writes to stdout what a command is there to write, and succeeds if that did.
pub(super) fn result(text: impl Display) -> ExitCode {
    match out(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(format_args!("cannot print: {error}")),
    }
}

/// Writes a line to stderr. If nobody can read that, nobody can be told so.
pub(super) fn aside(text: impl Display) {
    let _ = writeln!(io::stderr(), "drawspan: {text}");
}
