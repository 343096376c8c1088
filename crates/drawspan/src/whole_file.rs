//! Files that are read whole, up to a bound.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use thiserror::Error;

/// Why a file is not read. Says which.
#[derive(Debug, Error)]
pub enum UnreadFile {
    /// The system refuses.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// Longer than any such file.
    #[error("{path} is over {limit} bytes")]
    TooLarge {
        /// The file.
        path: String,
        /// Bytes that it may have.
        limit: u64,
    },
}

/// All of a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, UnreadFile> {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(UnreadFile::Read {
            path: name(),
            error,
        }),
        Ok(length) if length as u64 > limit => Err(UnreadFile::TooLarge {
            path: name(),
            limit,
        }),
        Ok(_) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "1234").unwrap();
        assert_eq!(read(file.path(), 4).unwrap(), b"1234");
        let error = read(file.path(), 3).unwrap_err().to_string();
        assert!(error.ends_with(" is over 3 bytes"), "{error}");
        let error = read(Path::new("/nowhere/x"), 3).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nowhere/x: "), "{error}");
    }
}
