//! `cargo xtask bench`: speed beside a ceiling in the same run.

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// Refuses: there is no benchmark yet.
pub(crate) fn run(_workspace: &Workspace, _arguments: &Arguments) -> Result<()> {
    Err(Error::NotThereYet("bench"))
}
