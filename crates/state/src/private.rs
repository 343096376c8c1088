//! Directories and files that only their owner can access. Where the system has no such permissions, those of the parent directory
//! apply.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Creates a directory for its owner only. One that is there and open to others is closed to them, unless it holds entries that
/// `is_ours` does not know: then it has another purpose as well, and a warning says so.
///
/// # Errors
/// When it cannot be created or listed.
pub fn directory(path: &Path, is_ours: impl Fn(&str) -> bool) -> io::Result<()> {
    if !path.is_dir() {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    close(path, is_ours)
}

/// Creates a directory within a private one. An existing one is fine.
///
/// # Errors
/// When it cannot be created.
pub fn folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    mode(&mut builder);
    builder.create(path)
}

/// Files opened with these options are created for their owner only.
#[must_use]
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates the file if there is none, and makes an existing one private.
///
/// # Errors
/// When it cannot be created.
pub fn file(path: &Path) -> io::Result<File> {
    let file = options().append(true).create(true).open(path)?;
    close_file(path);
    Ok(file)
}

/// Takes a file's permissions from all but its owner. A file that is not there, or belongs to somebody else, stays as it is.
pub fn close_file(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let Ok(metadata) = fs::symlink_metadata(path) else {
            return;
        };
        let mode = metadata.permissions().mode();
        if metadata.is_file() && mode & 0o077 != 0 {
            let closed = fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o600));
            match closed {
                Ok(()) => tracing::info!(file = %path.display(), "closed to others"),
                Err(error) => {
                    tracing::warn!(%error, file = %path.display(), "others may read it; `chmod 600` it");
                }
            }
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

fn create(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    mode(&mut builder);
    builder.create(path)
}

fn mode(builder: &mut DirBuilder) {
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(builder, 0o700);
    #[cfg(not(unix))]
    let _ = builder;
}

#[cfg(unix)]
fn close(path: &Path, is_ours: impl Fn(&str) -> bool) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if !name.to_str().is_some_and(&is_ours) {
            tracing::warn!(
                directory = %path.display(), other = ?name,
                "the state directory is open to others and holds other files; use a dedicated directory for the state"
            );
            return Ok(());
        }
    }
    match fs::set_permissions(path, fs::Permissions::from_mode(0o700)) {
        Ok(()) => {
            tracing::info!(directory = %path.display(), "the state directory is closed to others")
        }
        Err(error) => {
            tracing::warn!(%error, directory = %path.display(), "others may enter the state directory; `chmod 700` it");
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn close(_: &Path, _: impl Fn(&str) -> bool) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_directory_of_our_own_is_closed_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let ours = |name: &str| name == "a.db";
        let path = folder.path().join("made/here");
        directory(&path, ours).unwrap();
        assert_eq!(mode_of(&path), 0o700);
        let check = |entry: &str, expected: u32| {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            fs::write(path.join(entry), "").unwrap();
            directory(&path, ours).unwrap();
            assert_eq!(mode_of(&path), expected, "{entry}");
        };
        check("a.db", 0o700);
        check("letters.txt", 0o755);
    }

    #[test]
    fn a_file_that_was_open_to_others_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        drop(file(&path).unwrap());
        assert_eq!(mode_of(&path), 0o600);
        close_file(&folder.path().join("not there"));
    }
}
