//! What can go wrong in a task, said so that the reader knows what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Result of a task.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a task failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// Tools that a step needs are not on this machine; each line names one and says how to get it.
    Missing(Vec<String>),
    /// A step's command ended badly; its output says why.
    Step(String),
    /// Reading, writing or starting something failed.
    Io(String, io::Error),
    /// A file or a program's output is not as expected.
    Unexpected(String),
    /// The clients said no: number of passed and failed scenarios.
    Conformance { passed: usize, failed: usize },
    /// No scenarios of these names.
    UnknownScenario(String),
}

impl Error {
    /// An I/O error with what was being done to which path.
    pub(crate) fn io(doing: &str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{doing} {}", path.into().display());
        move |error| Self::Io(what, error)
    }

    /// The exit status of the whole command.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::UnknownScenario(_) => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(tools) => {
                write!(f, "missing on this machine:")?;
                tools.iter().try_for_each(|tool| write!(f, "\n  {tool}"))
            }
            Self::Step(name) => write!(f, "failed: {name}"),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
            Self::Unexpected(what) => f.write_str(what),
            Self::Conformance { passed, failed } => write!(
                f,
                "conformance: {failed} of {} scenarios failed",
                passed + failed
            ),
            Self::UnknownScenario(name) => {
                write!(
                    f,
                    "no scenario `{name}`; cargo xtask conformance --list names them"
                )
            }
        }
    }
}

impl std::error::Error for Error {}
