//! Files that others must not read.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

/// Creates the file if there is none, for its owner only.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    keep_private(&mut options);
    options.open(path).map(drop)
}

/// A file created with `options` will be for its owner only. Where there are no such permissions, the folder's hold.
pub(crate) fn keep_private(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}
