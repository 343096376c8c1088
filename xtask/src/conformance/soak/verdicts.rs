//! What was found wrong. A soak is too long to end at the first failure.

use crate::conformance::outage::say;
use crate::error::{Error, Result};

/// Counts the failures of a soak.
#[derive(Default)]
pub(super) struct Verdicts {
    failures: usize,
}

impl Verdicts {
    /// Counts and shows a failure.
    pub(super) fn add(&mut self, result: Result<()>) {
        if let Err(error) = result {
            say(&format!("failed: {error}"));
            self.failures += 1;
        }
    }

    /// An error when there was any failure.
    pub(super) fn finish(self) -> Result<()> {
        match self.failures {
            0 => Ok(()),
            failures => Err(Error::Unexpected(format!(
                "{failures} checks failed, see above"
            ))),
        }
    }
}
