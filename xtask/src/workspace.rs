//! Where things lie, and whether this is CI.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// The repository and its build folder.
pub(crate) struct Workspace {
    /// Folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's build folder; everything that tasks install or write goes below it.
    pub(crate) target: PathBuf,
    /// This program. Taken at the start: later builds may replace the file, which has the same source then.
    pub(crate) this: PathBuf,
    /// Whether nothing may be skipped.
    pub(crate) ci: bool,
    /// The build whose programs are started.
    pub(crate) profile: Profile,
}

/// A build of the workspace's programs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// The one that tests use.
    Dev,
    /// The one that users have.
    Release,
}

impl Profile {
    pub(crate) const fn of(release: bool) -> Self {
        if release { Self::Release } else { Self::Dev }
    }
}

impl Workspace {
    /// Finds the workspace that this task belongs to.
    pub(crate) fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .map(Path::to_path_buf)
            .ok_or_else(|| Error::Unexpected("xtask lies in no workspace".into()))?;
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |folder| root.join(folder));
        let this = env::current_exe().map_err(Error::io("finding", "this program"))?;
        let ci = env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        Ok(Self {
            root,
            target,
            this,
            ci,
            profile: Profile::Dev,
        })
    }

    /// A cargo command in the workspace.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .args(arguments)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        if self.ci {
            command.env("CI", "true");
        }
        command
    }

    /// A program of this workspace.
    pub(crate) fn program(&self, program: &str) -> PathBuf {
        let folder = match self.profile {
            Profile::Dev => "debug",
            Profile::Release => "release",
        };
        self.target.join(folder).join(program)
    }

    /// The folder of the conformance scripts.
    pub(crate) fn scripts(&self) -> PathBuf {
        self.root.join("conformance")
    }

    /// The folder for what the conformance clients need and write.
    pub(crate) fn conformance(&self) -> PathBuf {
        self.target.join("conformance")
    }
}
