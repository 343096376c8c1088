//! Names the commit that is built, for `drawspan --version`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Set by builds without the repository; named here, since it takes precedence over git.
const COMMIT: &str = "DRAWSPAN_COMMIT";
const HASH_CHARS: usize = 10;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={COMMIT}");
    let given = std::env::var(COMMIT).ok().filter(|given| !given.is_empty());
    let commit = given
        .or_else(of_git)
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env={COMMIT}={commit}");
}

/// The commit that is checked out, if these sources are its repository's own.
fn of_git() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if root.canonicalize().ok()? != top.canonicalize().ok()? {
        return None;
    }
    watch();
    let hash = git(&["rev-parse", "HEAD"])?;
    hash.get(..HASH_CHARS).map(str::to_owned)
}

/// Has this run again when another commit is checked out or made. Only files that are there: one that is not would have it run
/// each time.
fn watch() {
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    let names = ["HEAD", "logs/HEAD", "packed-refs"]
        .into_iter()
        .chain(branch.as_deref());
    let paths = names.filter_map(|name| git(&["rev-parse", "--git-path", name]));
    for path in paths.map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path)) {
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = git.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
