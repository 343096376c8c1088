//! What was found wrong. A soak is too long to end at the first failure.

use crate::conformance::outage::say;
use crate::error::{Error, Result};

/// The failures of a soak.
#[derive(Default)]
pub(super) struct Verdicts(Vec<Error>);

impl Verdicts {
    /// Keeps and shows a failure.
    pub(super) fn add(&mut self, result: Result<()>) {
        if let Err(error) = result {
            say(&format!("failed: {error}"));
            self.0.push(error);
        }
    }

    /// An error when there was any failure.
    pub(super) fn finish(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let all: Vec<_> = self.0.iter().map(Error::to_string).collect();
        Err(Error::Unexpected(all.join("; ")))
    }
}
