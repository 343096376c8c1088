//! PEM files that are written completely or not at all.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use drawspan_state::private;

use super::CaError;

/// The permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    OwnerOnly,
    Everyone,
}

/// The file's text, or `None` if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<String>, CaError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(CaError::Io {
            doing: "read",
            path: path.to_path_buf(),
            cause,
        }),
    }
}

pub(super) fn write(path: &Path, text: &str, access: Access) -> Result<(), CaError> {
    let new = path.with_extension("new");
    let mut options = match access {
        Access::OwnerOnly => private::options(),
        Access::Everyone => OpenOptions::new(),
    };
    options.write(true).create(true).truncate(true);
    options
        .open(&new)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .and_then(|()| fs::rename(&new, path))
        .map_err(|cause| CaError::Io {
            doing: "write",
            path: path.to_path_buf(),
            cause,
        })
}
