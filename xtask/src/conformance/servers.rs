//! Starts the servers of a scenario, and makes commands of programs.

use std::ffi::OsString;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::environment::{
    API_KEY, BRIDGE, ConnectionStrings, DPS, GROUP_KEY, GROUP_SECONDARY_KEY, HUB, ID_SCOPE,
    INDIVIDUAL_KEY, POLICY_KEY, authority, state,
};
use super::scenario::{self, Program};
use crate::error::{Error, Result};
use crate::process::{Server, bound_to_us};
use crate::workspace::Workspace;

/// The file of enrollments of single devices.
fn enrollments(folder: &Path) -> PathBuf {
    folder.join("enrollments.json")
}

/// One device with an enrollment of its own.
fn individual() -> String {
    format!(
        r#"{{"enrollments":[{{"registrationId":"single","deviceId":"single-device","attestation":{{"type":"symmetricKey",
            "symmetricKey":{{"primaryKey":"{INDIVIDUAL_KEY}","secondaryKey":"{GROUP_KEY}"}}}}}}]}}"#
    )
}

/// What runs during a scenario.
#[derive(Default)]
pub(crate) struct Running {
    emulator: Option<Server>,
    /// One that may be killed.
    bridge: Option<Server>,
    /// Flags of the emulator, in addition to its fixed ones.
    emulator_flags: Vec<String>,
    others: Vec<Server>,
    /// Known once an emulator runs.
    pub(crate) strings: Option<ConnectionStrings>,
    /// The emulator's command line, where scripts start it.
    pub(crate) handed_over: Option<Vec<OsString>>,
}

impl Running {
    /// Starts servers in order, each ready before the next; an emulator with these flags besides.
    pub(crate) fn start(
        workspace: &Workspace,
        servers: &[scenario::Server],
        emulator_flags: Vec<String>,
        folder: &Path,
    ) -> Result<Self> {
        let mut running = Self {
            emulator_flags,
            ..Self::default()
        };
        for server in servers {
            match server {
                scenario::Server::Emulator => {
                    running.start_emulator(workspace, folder)?;
                }
                scenario::Server::ByScripts => {
                    // Once, for what it leaves: the authority, which clients read when they start, and its connection strings.
                    running.start_emulator(workspace, folder)?;
                    running.kill_emulator()?;
                    running.handed_over = Some(running.emulator_arguments(folder));
                }
                scenario::Server::BridgeByDps => running.start_bridge_by_dps(workspace, folder)?,
                scenario::Server::Bridge => running.bridge(workspace, folder)?,
                scenario::Server::Mirror(program) => {
                    running
                        .others
                        .push(Server::start("mirror", command(workspace, program), folder)?.0);
                }
            }
        }
        Ok(running)
    }

    /// Starts the emulator, with the state that an earlier one left.
    pub(crate) fn start_emulator(&mut self, workspace: &Workspace, folder: &Path) -> Result<()> {
        let enrollments = enrollments(folder);
        fs::write(&enrollments, individual()).map_err(Error::io("writing", &enrollments))?;
        let mut command = bound_to_us(workspace.program("drawspan"));
        command.args(self.emulator_arguments(folder));
        let (server, output) = Server::start("emulator", command, folder)?;
        self.emulator = Some(server);
        self.strings = Some(ConnectionStrings::parse(&output)?);
        let ca = authority(folder);
        if ca.is_file() {
            Ok(())
        } else {
            Err(Error::Unexpected(format!(
                "the emulator left no {}",
                ca.display()
            )))
        }
    }

    fn emulator_arguments(&self, folder: &Path) -> Vec<OsString> {
        let group = format!("conformance={GROUP_KEY},{GROUP_SECONDARY_KEY}");
        let flags = [
            ["--hub", HUB],
            ["--policy-key", POLICY_KEY],
            ["--bind", "127.0.0.1"],
            ["--dps", DPS],
            ["--id-scope", ID_SCOPE],
            ["--dps-retry-after", "1"],
            ["--enrollment-group", &group],
            ["--x509-enrollment-group", "conformance-x509"],
            ["--amqps-port", "5671"],
            ["--https-port", "443"],
        ];
        let mut arguments = vec![OsString::from("emulator")];
        arguments.extend(flags.concat().into_iter().map(OsString::from));
        arguments.extend(["--state".into(), state(folder).into()]);
        arguments.extend(["--dps-enrollments".into(), enrollments(folder).into()]);
        arguments.extend(self.emulator_flags.iter().map(OsString::from));
        arguments
    }

    fn bridge(&mut self, workspace: &Workspace, folder: &Path) -> Result<()> {
        let strings = self
            .strings
            .as_ref()
            .ok_or_else(|| Error::Unexpected("a bridge needs an emulator before it".into()))?;
        let mut command = serve(workspace, folder);
        command.args(["--hub-connection-string", &strings.hub]);
        self.others
            .push(Server::start_until("bridge", command, folder, || {
                TcpStream::connect(BRIDGE).is_ok()
            })?);
        Ok(())
    }

    /// Starts a bridge that learns from DPS where devices belong, with the state that an earlier one left.
    pub(crate) fn start_bridge_by_dps(
        &mut self,
        workspace: &Workspace,
        folder: &Path,
    ) -> Result<()> {
        let mut command = serve(workspace, folder);
        command
            .args(["--id-scope", ID_SCOPE, "--group-key", GROUP_KEY])
            .args(["--allow-callbacks", "127.0.0.1"])
            .args(["--dps-endpoint", DPS, "--dps-rate", "0"]);
        self.start_bridge(command, folder)
    }

    /// Starts a bridge of the devices that a file lists, whose tokens live so long.
    pub(crate) fn start_bridge_by_file(
        &mut self,
        workspace: &Workspace,
        devices: &Path,
        token_life_s: u32,
        folder: &Path,
    ) -> Result<()> {
        let mut command = serve(workspace, folder);
        command
            .arg("--devices-file")
            .arg(devices)
            .args(["--token-life", &token_life_s.to_string()])
            // What a receiver fails goes back to the hub at once, and comes again from there.
            .args(["--http-retry-limit", "0"])
            .args(["--allow-callbacks", "127.0.0.1"]);
        self.start_bridge(command, folder)
    }

    fn start_bridge(&mut self, command: Command, folder: &Path) -> Result<()> {
        let there = || TcpStream::connect(BRIDGE).is_ok();
        self.bridge = Some(Server::start_until("bridge", command, folder, there)?);
        Ok(())
    }

    /// Ends the bridge with SIGKILL.
    pub(crate) fn kill_bridge(&mut self) -> Result<()> {
        let bridge = self.bridge.take();
        let none = || Error::Unexpected("there is no bridge to kill".into());
        bridge.ok_or_else(none)?.check()
    }

    /// Process id of the bridge that may be killed.
    pub(crate) fn bridge_pid(&self) -> Result<u32> {
        let none = || Error::Unexpected("there is no bridge".into());
        self.bridge.as_ref().map(Server::pid).ok_or_else(none)
    }

    /// Ends the emulator with SIGKILL: it can write nothing more.
    pub(crate) fn kill_emulator(&mut self) -> Result<()> {
        let mut emulator = self
            .emulator
            .take()
            .ok_or_else(|| Error::Unexpected("there is no emulator to kill".into()))?;
        // It must have run until now, or this proves nothing.
        emulator.check()
    }

    /// Checks that all servers are still well.
    pub(crate) fn check(&mut self) -> Result<()> {
        let mut all = self
            .emulator
            .iter_mut()
            .chain(&mut self.bridge)
            .chain(&mut self.others);
        all.try_for_each(Server::check)
    }
}

/// A bridge that lacks its devices.
fn serve(workspace: &Workspace, folder: &Path) -> Command {
    let mut command = bound_to_us(workspace.program("drawspan"));
    command
        .args(["serve", "--listen", BRIDGE, "--api-key", API_KEY, "--ca"])
        .arg(authority(folder))
        .arg("--state")
        .arg(folder.join("bridge"));
    command
}

/// The command of a program.
pub(crate) fn command(workspace: &Workspace, program: &Program) -> Command {
    let clients = workspace.conformance();
    match program {
        Program::Node(file, arguments) => {
            let mut command = bound_to_us("node");
            command.env("NODE_PATH", clients.join("node/node_modules"));
            command
                .arg(workspace.scripts().join("node").join(file))
                .args(*arguments);
            command
        }
        Program::Python(file, arguments) => {
            let mut command = bound_to_us(clients.join("python/bin/python"));
            // No caches of compiled scripts in the repository.
            command
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env("PYTHONUNBUFFERED", "1");
            command
                .arg(workspace.scripts().join("python").join(file))
                .args(*arguments);
            command
        }
        Program::Engine(arguments) => {
            let mut command = bound_to_us(workspace.program("examples/peer"));
            command.args(*arguments);
            command
        }
    }
}

/// What a program is called in logs and messages.
pub(crate) fn name(program: &Program) -> &'static str {
    match program {
        Program::Node(file, _) | Program::Python(file, _) => file,
        Program::Engine(_) => "engine",
    }
}
