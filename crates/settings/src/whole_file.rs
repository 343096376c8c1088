//! Files that are read whole, up to a limit.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use drawspan_hub::text;
use thiserror::Error;

/// Why a file is not read. Says which.
#[derive(Debug, Error)]
pub enum UnreadFile {
    /// The system refuses.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// The system's error.
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
    /// Not text.
    #[error("{path} is not UTF-8 text, nor UTF-16 with a byte order mark")]
    NotText {
        /// The file.
        path: String,
    },
}

/// Reads a whole file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, UnreadFile> {
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

/// The text of a file of at most `limit` bytes, without its byte order mark.
pub fn read_text(path: &Path, limit: u64) -> Result<String, UnreadFile> {
    let bytes = read(path, limit)?;
    let text = text::decode(&bytes).map_err(|_| UnreadFile::NotText {
        path: path.display().to_string(),
    })?;
    Ok(text.into_owned())
}

/// The contents of a PEM file as its parser takes them: in UTF-8, without a byte order mark. What is not text stays as it is,
/// and is the parser's to refuse.
#[must_use]
pub fn as_pem(bytes: &[u8]) -> Cow<'_, [u8]> {
    match text::decode(bytes) {
        Ok(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
        Ok(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(bytes),
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

    #[test]
    fn a_text_loses_its_byte_order_mark() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let check = |bytes: &[u8], expected: Option<&str>| {
            std::fs::write(file.path(), bytes).unwrap();
            let found = read_text(file.path(), 100).ok();
            assert_eq!(found.as_deref(), expected, "{bytes:x?}");
        };
        check(b"key", Some("key"));
        check(b"\xef\xbb\xbfkey", Some("key"));
        // As PowerShell 5 redirects output.
        check(b"\xff\xfek\0e\0y\0\r\0\n\0", Some("key\r\n"));
        check(b"\xffkey", None);
    }
}
