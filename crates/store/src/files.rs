//! Names and folders.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The file whose name is this one's and `ending`.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Flushes the directory, so that a renamed or created file is on disk.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        // Elsewhere folders cannot be opened, and need not.
        false => Ok(()),
    }
}
