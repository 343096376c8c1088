//! Where a run took place: figures mean nothing without it.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use serde::Serialize;

use super::plan::Plan;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Facts of the machine and the build.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// When it began, UTC.
    pub(crate) at: String,
    /// `full` or `quick`.
    pub(crate) plan: &'static str,
    /// The commit that was built, and whether files differed from it.
    pub(crate) commit: String,
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) memory_mb: u64,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    /// Average number of busy threads in the minute before: what else went on.
    pub(crate) load_before: f64,
}

impl Machine {
    /// Asks the system.
    pub(crate) fn of_this(workspace: &Workspace, plan: &Plan) -> Result<Self> {
        let memory = read("/proc/meminfo")?;
        Ok(Self {
            at: said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?,
            plan: plan.name,
            commit: commit(workspace),
            cores: available_parallelism().map_or(1, usize::from),
            processor: after(&read("/proc/cpuinfo")?, "model name").unwrap_or("unknown".into()),
            memory_mb: after(&memory, "MemTotal")
                .and_then(|text| text.strip_suffix("kB")?.trim().parse::<u64>().ok())
                .unwrap_or_default()
                / 1024,
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            rustc: said(
                Command::new("rustc")
                    .arg("--version")
                    .current_dir(&workspace.root),
            )?,
            load_before: read("/proc/loadavg")?
                .split(' ')
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
        })
    }
}

/// From an archive without a repository there is no commit, and that is no reason not to measure.
fn commit(workspace: &Workspace) -> String {
    let git = |arguments: &[&str]| {
        said(
            Command::new("git")
                .args(arguments)
                .current_dir(&workspace.root),
        )
    };
    let Ok(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".into();
    };
    match git(&["status", "--porcelain", "--", "crates"]) {
        Ok(changes) if changes.is_empty() => commit,
        _ => format!("{commit} and changes"),
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io("reading", path))
}

/// What stands behind `name` and a colon in the first line that begins so.
fn after(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .map_err(Error::io("starting", command.get_program()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(Error::Step(format!("{command:?} ({})", output.status)))
    }
}
