//! A user, mount and network namespace of our own: every port is free, and a private hosts file gives the hub a name.
//! Nothing outside is changed, and an ordinary user may do it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::{self, Command};

use super::environment::{DPS, HUB, OTHER_HUB};
use crate::error::{Error, Result};
use crate::tools::succeeds;
use crate::workspace::{Profile, Workspace};

/// Ways to get there: as anybody; and, where user namespaces are switched off, as root.
const WAYS: &[&[&str]] = &[
    &["--user", "--map-root-user", "--mount", "--net"],
    &["--mount", "--net"],
];

/// The arguments of `unshare` that work on this machine.
pub(crate) fn find() -> Result<&'static [&'static str]> {
    let works = |way: &&&[&str]| {
        let mut command = vec!["unshare"];
        command.extend_from_slice(way);
        command.extend_from_slice(&["mount", "--bind", "/etc/hosts", "/etc/hosts"]);
        succeeds(&command)
    };
    WAYS.iter().find(works).copied().ok_or_else(|| {
        let hint = "user namespaces: permit them (sysctl kernel.unprivileged_userns_clone=1 or \
                    kernel.apparmor_restrict_unprivileged_userns=0; in a container, a seccomp profile that allows unshare)";
        Error::Missing(vec![hint.into()])
    })
}

/// A command that runs one scenario in its own namespace. It is killed when the thread that starts it ends. (A new user namespace
/// makes the kernel forget that setting, so it is made inside.)
pub(crate) fn command(workspace: &Workspace, way: &[&str], scenario: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(way)
        .args(["setpriv", "--pdeathsig", "KILL", "--"])
        .arg(&workspace.this)
        .args(["conformance-inside", scenario])
        .args(match workspace.profile {
            Profile::Dev => None,
            Profile::Release => Some("--release"),
        })
        .env("CARGO_MANIFEST_DIR", workspace.root.join("xtask"))
        .env("CARGO_TARGET_DIR", &workspace.target);
    command
}

/// Inside: brings the loopback device up, puts the private hosts file in place and checks both.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    let hosts = hosts_file(workspace)?;
    run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    run(Command::new("mount")
        .arg("--bind")
        .arg(&hosts)
        .arg("/etc/hosts"))?;
    for name in [HUB, DPS] {
        let found: Vec<IpAddr> = (name, 443)
            .to_socket_addrs()
            .map_err(Error::io("looking up", name))?
            .map(|address| address.ip())
            .collect();
        if found != [IpAddr::V4(Ipv4Addr::LOCALHOST)] {
            return Err(Error::Unexpected(format!(
                "{name} means {found:?} here, not loopback: /etc/hosts is not asked"
            )));
        }
    }
    Ok(())
}

/// Makes the private hosts file, or leaves it as it is: others may have put it in place.
fn hosts_file(workspace: &Workspace) -> Result<PathBuf> {
    let hosts = workspace.conformance().join("hosts");
    let text = format!("127.0.0.1 localhost {HUB} {OTHER_HUB} {DPS}\n::1 localhost\n");
    if fs::read_to_string(&hosts).is_ok_and(|found| found == text) {
        return Ok(hosts);
    }
    let new = hosts.with_extension(process::id().to_string());
    fs::write(&new, text).map_err(Error::io("writing", &new))?;
    fs::rename(&new, &hosts).map_err(Error::io("writing", &hosts))?;
    Ok(hosts)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(Error::io("starting", command.get_program()))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Step(format!("{command:?} ({status})")))
    }
}
