//! The command line of this program, for lines to paste in any folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::text::quoted;

const NAME: &str = "drawspan";

/// By its name where the search path leads to this very program, else by its path.
pub(super) fn of_this_program() -> String {
    let program = std::env::current_exe().ok();
    let path = std::env::var_os("PATH").unwrap_or_default();
    of(program.as_deref(), &path)
}

fn of(program: Option<&Path>, path: &OsStr) -> String {
    let Some(program) = program else {
        return NAME.to_owned();
    };
    let found = std::env::split_paths(path)
        .map(|folder| folder.join(NAME))
        .find(|candidate| candidate.is_file());
    let same = |found: PathBuf| {
        let (found, program) = (found.canonicalize(), program.canonicalize());
        matches!((found, program), (Ok(found), Ok(program)) if found == program)
    };
    match found.is_some_and(same) {
        true => NAME.to_owned(),
        false => quoted(&program.to_string_lossy()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_name_where_it_leads_here_else_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (folder.path().join("it's here"), folder.path().join("other"));
        for folder in [&ours, &other] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join(NAME), "").unwrap();
        }
        let program = ours.join(NAME);
        let path = |folders: &[&PathBuf]| std::env::join_paths(folders).unwrap();
        assert_eq!(of(Some(&program), &path(&[&ours, &other])), "drawspan");
        let by_path = quoted(&program.to_string_lossy());
        assert_eq!(of(Some(&program), &path(&[&other, &ours])), by_path);
        assert_eq!(of(Some(&program), &path(&[])), by_path);
        assert!(by_path.starts_with('\'') && by_path.contains(r"it'\''s here/drawspan"));
        assert_eq!(of(None, &path(&[])), "drawspan");
    }
}
