//! Starts the servers of a scenario, and makes commands of programs.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use super::environment::{API_KEY, BRIDGE, ConnectionStrings, HUB, POLICY_KEY, authority, state};
use super::scenarios::{self, Program};
use crate::error::{Error, Result};
use crate::process::{Server, bound_to_us};
use crate::workspace::Workspace;

/// What runs during a scenario.
#[derive(Default)]
pub(crate) struct Running {
    servers: Vec<Server>,
    /// Known once an emulator runs.
    pub(crate) strings: Option<ConnectionStrings>,
}

impl Running {
    /// Starts servers in order, each ready before the next.
    pub(crate) fn start(
        workspace: &Workspace,
        servers: &[scenarios::Server],
        folder: &Path,
    ) -> Result<Self> {
        let mut running = Self::default();
        for server in servers {
            match server {
                scenarios::Server::Emulator => running.emulator(workspace, folder)?,
                scenarios::Server::Bridge => running.bridge(workspace, folder)?,
                scenarios::Server::Mirror(program) => {
                    running
                        .servers
                        .push(Server::start("mirror", command(workspace, program), folder)?.0);
                }
            }
        }
        Ok(running)
    }

    fn emulator(&mut self, workspace: &Workspace, folder: &Path) -> Result<()> {
        let mut command = bound_to_us(workspace.release("drawspan"));
        command.args([
            "emulator",
            "--hub",
            HUB,
            "--policy-key",
            POLICY_KEY,
            "--bind",
            "127.0.0.1",
        ]);
        command
            .args(["--amqps-port", "5671", "--https-port", "443", "--state"])
            .arg(state(folder));
        let (server, output) = Server::start("emulator", command, folder)?;
        self.servers.push(server);
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

    fn bridge(&mut self, workspace: &Workspace, folder: &Path) -> Result<()> {
        let strings = self
            .strings
            .as_ref()
            .ok_or_else(|| Error::Unexpected("a bridge needs an emulator before it".into()))?;
        let mut command = bound_to_us(workspace.release("drawspan"));
        command.args([
            "serve",
            "--listen",
            BRIDGE,
            "--api-key",
            API_KEY,
            "--hub-connection-string",
            &strings.hub,
        ]);
        command.arg("--ca").arg(authority(folder));
        self.servers
            .push(Server::start_until("bridge", command, folder, || {
                TcpStream::connect(BRIDGE).is_ok()
            })?);
        Ok(())
    }

    /// Checks that all servers are still well.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.servers.iter_mut().try_for_each(Server::check)
    }
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
            let mut command = bound_to_us(workspace.release("examples/peer"));
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
