//! What was given for one setting.

use std::fmt;
use std::path::{Path, PathBuf};

use super::provenance::Source;

/// A value with where it came from; secrets have been read from their files.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) values: Vec<Text>,
    pub(super) source: Source,
    /// Where each value stands in the file that holds them; empty if there is no such file.
    pub(super) places: Vec<Source>,
}

/// A text that may be secret. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Value {
    /// Where the value of that index was given, to the line if it was read from a file.
    pub(super) fn place(&self, index: usize) -> &Source {
        self.places.get(index).unwrap_or(&self.source)
    }

    /// The value of a setting that takes one.
    pub(super) fn text(&self) -> &str {
        self.values.first().map_or("", |text| text.0.as_str())
    }
}

/// A path as it is meant: in the file, relative to its folder.
pub(super) fn relative_to(folder: Option<&Path>, text: &str, source: &Source) -> PathBuf {
    match (source, folder) {
        (Source::File { .. }, Some(folder)) => folder.join(text),
        _ => PathBuf::from(text),
    }
}
