//! Installs the clients from the committed lock files. An installation is kept while its lock files are the same.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Written last, with everything that the installation depends on: its presence means a complete installation of just that.
const STAMP: &str = "installed-from";

/// Folder of the clients of an old generation, whose dependencies are others than those of today's.
pub(crate) const OLD_NODE: &str = "node-old";

/// Installs what is not installed yet.
pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    for folder in ["node", OLD_NODE] {
        node(
            &workspace.scripts().join(folder),
            &workspace.conformance().join(folder),
        )?;
    }
    install_python(workspace)
}

/// Installs those in Python only.
pub(crate) fn install_python(workspace: &Workspace) -> Result<()> {
    python(
        &workspace.scripts().join("python"),
        &workspace.conformance().join("python"),
    )
}

fn node(from: &Path, to: &Path) -> Result<()> {
    let files = ["package.json", "package-lock.json", ".npmrc"];
    let stamp = stamp(from, &files, &["node", "--version"])?;
    if is_installed(to, &stamp) {
        return Ok(());
    }
    start_over(to)?;
    for file in files {
        fs::copy(from.join(file), to.join(file)).map_err(Error::io("copying", from.join(file)))?;
    }
    command(
        "npm ci",
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(to),
    )?;
    finish(to, &stamp)
}

fn python(from: &Path, to: &Path) -> Result<()> {
    let files = ["requirements-build.txt", "requirements.txt"];
    let stamp = stamp(
        from,
        &files,
        &[
            "python3",
            "-c",
            "import sys; print(sys.version, sys.executable)",
        ],
    )?;
    if is_installed(to, &stamp) {
        return Ok(());
    }
    start_over(to)?;
    command(
        "python3 -m venv",
        Command::new("python3").args(["-m", "venv"]).arg(to),
    )?;
    // First what the second needs to be built: without build isolation every package comes from these two lists.
    for file in files {
        let mut pip = Command::new(to.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "--no-build-isolation",
        ]);
        command(
            &format!("pip install, {file}"),
            pip.arg("--requirement").arg(from.join(file)),
        )?;
    }
    finish(to, &stamp)
}

/// What an installation depends on: the lock files and the version of the runtime.
fn stamp(from: &Path, files: &[&str], version: &[&str]) -> Result<String> {
    let mut stamp = String::new();
    if let Some((program, arguments)) = version.split_first() {
        let output = Command::new(program)
            .args(arguments)
            .output()
            .map_err(Error::io("starting", *program))?;
        stamp.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    for file in files {
        let path = from.join(file);
        stamp.push_str(&fs::read_to_string(&path).map_err(Error::io("reading", path))?);
    }
    Ok(stamp)
}

fn is_installed(to: &Path, stamp: &str) -> bool {
    fs::read_to_string(to.join(STAMP)).is_ok_and(|found| found == stamp)
}

fn start_over(to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).map_err(Error::io("removing", to))?;
    }
    fs::create_dir_all(to).map_err(Error::io("making", to))
}

fn finish(to: &Path, stamp: &str) -> Result<()> {
    fs::write(to.join(STAMP), stamp).map_err(Error::io("writing", to.join(STAMP)))
}

fn command(name: &str, command: &mut Command) -> Result<()> {
    println!("   {name}");
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(Error::io("starting", command.get_program()))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Step(format!("{name} ({status})")))
    }
}
