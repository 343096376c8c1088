//! The mistakes in a configuration.

use std::fmt;

use crate::plural::count;

/// The mistakes found. Each names its place and the correct form, and contains no secret.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Mistakes {
    lines: Vec<String>,
    /// A source could not be read: what seems to be missing may be there.
    incomplete: bool,
}

impl Mistakes {
    /// Adds a mistake made at `source`: a flag, a variable, or a line of the file.
    pub fn add(&mut self, source: impl fmt::Display, what: impl fmt::Display) {
        self.lines.push(format!("{source}: {what}"));
    }

    /// A source could not be read: what it may have held is not called missing.
    pub(super) fn mark_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Adds that something is missing, unless it may stand in a source that could not be read.
    pub(super) fn add_missing(&mut self, source: impl fmt::Display, what: impl fmt::Display) {
        if !self.incomplete {
            self.add(source, what);
        }
    }

    /// The value, or `None` after recording a mistake at `source`.
    pub fn keep<T, E: fmt::Display>(
        &mut self,
        source: impl fmt::Display,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.add(source, error)).ok()
    }

    /// The mistakes, each one line.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mistakes = count(self.lines.len(), "mistake", "mistakes");
        writeln!(f, "{mistakes} in the configuration:")?;
        self.lines
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl std::error::Error for Mistakes {}
