//! The source of a value.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The value was not given.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A file of a secret, by its name.
    Secret(Arc<Path>),
    /// A secret of the key vault.
    Vault(&'static str),
    /// A flag, without dashes.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Secret(path) => write!(f, "{}", path.display()),
            Self::Vault(name) => write!(f, "KV_URL/{name}"),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// The given value of a setting, unchecked. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) values: Vec<String>,
    pub(super) source: Source,
    /// Whether the values are the name of a file that holds the real ones.
    pub(super) in_file: bool,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({} by {})", self.values.len(), self.source)
    }
}
