//! The files of blobs and blocks.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use drawspan_hub_model::blobs::Contents;
use tokio::fs::File;

use crate::limits::BLOB_FILE_NAME_CHARS;

/// Digits in front of a file's name.
const DIGITS: usize = 16;
const BLOCK: &str = ".block";

/// A folder of files that begin with their numbers.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The path of a file.
    pub(super) fn path(&self, contents: &Contents) -> PathBuf {
        let number = format!("{:0DIGITS$}", contents.file);
        let rest = match &contents.blob {
            Some(name) => format!("-{}", readable(name)),
            None => BLOCK.to_owned(),
        };
        self.0.join(number + &rest)
    }

    /// A new file, readable by its owner only.
    pub(super) async fn create(&self, contents: &Contents) -> io::Result<File> {
        let mut folder = tokio::fs::DirBuilder::new();
        folder.recursive(true);
        #[cfg(unix)]
        folder.mode(0o700);
        folder.create(&self.0).await?;
        let mut file = File::options();
        file.write(true).create(true).truncate(true);
        #[cfg(unix)]
        file.mode(0o600);
        file.open(self.path(contents)).await
    }

    /// Removes files. What cannot be removed now is at the next start.
    pub(super) async fn remove(&self, all: Vec<Contents>) {
        for contents in all {
            let path = self.path(&contents);
            if let Err(error) = tokio::fs::remove_file(&path).await {
                tracing::debug!(path = %path.display(), %error, "an uploaded file could not be removed");
            }
        }
    }

    /// Removes numbered files that are not among `known`: what was being written when the process ended, and what was being
    /// removed. Other files stay.
    pub(super) fn remove_others(&self, known: &HashSet<u64>) {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return;
        };
        let mut removed = 0_usize;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(number);
            if number.is_some_and(|number| !known.contains(&number))
                && fs::remove_file(entry.path()).is_ok()
            {
                removed += 1;
            }
        }
        if removed > 0 {
            tracing::debug!(folder = %self.0.display(), removed, "files of uploads that did not end are removed");
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let (digits, rest) = name.split_at_checked(DIGITS)?;
    let is_ours = rest == BLOCK || rest.starts_with('-');
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_ours && is_number {
        digits.parse().ok()
    } else {
        None
    }
}

/// What every file system takes of a blob's name. Its end has the extension.
fn readable(name: &str) -> String {
    let plain = |char: char| match char {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => char,
        _ => '_',
    };
    let all: Vec<char> = name.chars().map(plain).collect();
    let from = all.len().saturating_sub(BLOB_FILE_NAME_CHARS);
    all.iter().skip(from).collect()
}
