//! All that is wrong with a configuration.

use std::fmt;

/// The mistakes found. Each names where it was made and says what would be right; none holds a secret.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    /// Adds a mistake made at `source`: a flag, a variable, or a line of the file.
    pub fn add(&mut self, source: impl fmt::Display, what: impl fmt::Display) {
        self.0.push(format!("{source}: {what}"));
    }

    /// The value, or a mistake at `source` and `None`.
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
        &self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(
            f,
            "{count} mistake{} in the configuration:",
            if count == 1 { "" } else { "s" }
        )?;
        self.0.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl std::error::Error for Mistakes {}
