//! All that is wrong with a configuration, in the order of its flags.

use std::fmt;

/// The mistakes found. Each names its flag and says what would be right; none holds a secret.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    /// Adds a mistake in `flag`.
    pub fn add(&mut self, flag: &str, what: impl fmt::Display) {
        self.0.push(format!("{flag}: {what}"));
    }

    /// The value, or a mistake in `flag` and `None`.
    pub fn keep<T, E: fmt::Display>(&mut self, flag: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(flag, error)).ok()
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
