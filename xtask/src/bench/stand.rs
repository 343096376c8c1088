//! What is measured: emulator in directory mode, bridge and ceiling, each a process of its own on ports of the system's choice.

use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::plan::{Identity, Scale};
use super::process_facts::{
    connections_to, cpu, cpu_of_ended_children, cpu_of_the_machine, peak_bytes, resident_bytes,
};
use super::read_back::{Endpoint, Reader};
use super::report::{Costs, Idle, Run, Target};
use crate::conformance::environment::{ConnectionStrings, GROUP_KEY, ID_SCOPE};
use crate::error::{Error, Result};
use crate::load::Load;
use crate::process::{Server, bound_to_us};
use crate::workspace::Workspace;

pub(super) const HUB: &str = "hub.localtest";
const DPS: &str = "dps.localtest";
pub(super) const API_KEY: &str = "bench-api-key";
pub(super) const DEVICE_PREFIX: &str = "load-";
/// How long nothing happens before memory is looked at, so that buffers of the load are given back.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// Servers that wait for load.
pub(crate) struct Stand<'a> {
    workspace: &'a Workspace,
    folder: PathBuf,
    devices: u32,
    emulator: Server,
    bridge: Server,
    ceiling: Server,
    bridge_address: String,
    ceiling_address: String,
    serve: Serve,
    strings: ConnectionStrings,
    loads: Cell<u32>,
}

impl<'a> Stand<'a> {
    /// Starts everything; no device is connected yet.
    pub(crate) fn start(workspace: &'a Workspace, scale: &Scale, folder: &Path) -> Result<Self> {
        let folder = folder.join(match scale.identity {
            Identity::Policy => scale.devices.to_string(),
            Identity::Enrolled => format!("{}-enrolled", scale.devices),
        });
        fs::create_dir_all(&folder).map_err(Error::io("making", &folder))?;
        let state = folder.join("state");

        let mut command = bound_to_us(workspace.program("drawspan"));
        command
            .args(["emulator", "--hub", HUB, "--bind", "127.0.0.1"])
            .args(["--amqps-port", "0", "--https-port", "0"])
            .args(["--dps", DPS, "--id-scope", ID_SCOPE])
            .args(["--dps-retry-after", "1"])
            .args(["--enrollment-group", &format!("bench={GROUP_KEY}")])
            .arg("--state")
            .arg(&state);
        if scale.identity == Identity::Policy {
            command.args(["--device", &format!("{DEVICE_PREFIX}[1-{}]", scale.devices)]);
        }
        let (emulator, said) = Server::start("emulator", command, &folder)?;
        let strings = ConnectionStrings::parse(&said)?;
        let amqps = address(&said, "amqps")?;
        let serve = Serve {
            identity: scale.identity,
            hub: strings.hub.clone(),
            amqps,
            https: address(&said, "https")?,
        };
        let (bridge, bridge_address) = serve.start(workspace, &folder)?;

        let mut command = bound_to_us(workspace.program("drawspan-ceiling"));
        command.arg(API_KEY);
        let (ceiling, said) = Server::start("ceiling", command, &folder)?;
        Ok(Self {
            workspace,
            folder,
            devices: scale.devices,
            emulator,
            bridge,
            ceiling,
            bridge_address,
            ceiling_address: http_address(&said)?,
            serve,
            strings,
            loads: Cell::new(0),
        })
    }

    /// Kills the bridge, and starts another one with what it left.
    pub(crate) fn restart_bridge(&mut self) -> Result<()> {
        self.bridge.check()?;
        self.bridge.kill();
        (self.bridge, self.bridge_address) = self.serve.start(self.workspace, &self.folder)?;
        Ok(())
    }

    /// One load; every request of it must get 200.
    pub(crate) fn load(&self, target: Target, flags: &[String]) -> Result<Run> {
        let (address, server) = match target {
            Target::Ceiling => (&self.ceiling_address, &self.ceiling),
            Target::Bridge => (&self.bridge_address, &self.bridge),
        };
        let number = self.loads.get() + 1;
        self.loads.set(number);
        let name = format!("load-{number}-{}", target.name());
        let mut all = vec!["--device-prefix".into(), DEVICE_PREFIX.into()];
        all.extend(["--devices".into(), self.devices.to_string()]);
        all.extend_from_slice(flags);
        let clocks = || -> Result<Clocks> {
            Ok(Clocks {
                at: Instant::now(),
                machine: cpu_of_the_machine()?,
                server: cpu(server.pid())?,
                emulator: cpu(self.emulator.pid())?,
                load: cpu_of_ended_children()?,
            })
        };
        let before = clocks()?;
        let load = Load::start(self.workspace, &name, address, API_KEY, &all, &self.folder)?;
        let load = load.finish()?;
        let spent = clocks()?.since(&before);
        load.all_ok(&format!("{} devices, {name}", self.devices))?;
        Ok(Run {
            target,
            cpu_us_per_message: spent.by_message(load.ok),
            cores_of_others: spent.cores_of_others(),
            load,
        })
    }

    /// The bridge's resident bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        resident_bytes(self.bridge.pid())
    }

    /// The bridge when nothing has happened for a while; `empty` is what it had before the first device.
    pub(crate) fn idle(&self, after: &str, empty: u64) -> Result<Idle> {
        sleep(SETTLE);
        let pid = self.bridge.pid();
        let resident = self.resident_bytes()?;
        Ok(Idle {
            after: after.into(),
            resident_bytes: resident,
            bytes_per_device: (resident as f64 - empty as f64) / f64::from(self.devices),
            peak_bytes: peak_bytes(pid)?,
            connections: connections_to(pid, self.serve.amqps.port())?,
            emulator_resident_bytes: resident_bytes(self.emulator.pid())?,
        })
    }

    /// Number of messages at the hub, see [`Reader::count`].
    pub(crate) fn read_back(&self, reader: &Reader) -> Result<Option<u64>> {
        let endpoint = Endpoint {
            connection_string: &self.strings.event_hub,
            address: &self.serve.amqps.to_string(),
            ca: &self.folder.join("state/ca.pem"),
        };
        reader.count("read-back", &endpoint, &self.folder)
    }

    /// Ends everything, if nobody ended or panicked before. Hundreds of megabytes of messages go; the logs stay.
    pub(crate) fn end(mut self) -> Result<()> {
        let mut all = [&mut self.emulator, &mut self.bridge, &mut self.ceiling];
        all.iter_mut().try_for_each(|server| server.check())?;
        let state = self.folder.join("state");
        drop(self);
        fs::remove_dir_all(&state).map_err(Error::io("removing", &state))
    }
}

/// How the bridge is started.
struct Serve {
    identity: Identity,
    /// Connection string of the hub.
    hub: String,
    amqps: SocketAddr,
    https: SocketAddr,
}

impl Serve {
    /// The bridge, and where it listens.
    fn start(&self, workspace: &Workspace, folder: &Path) -> Result<(Server, String)> {
        let mut command = bound_to_us(workspace.program("drawspan"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--api-key", API_KEY])
            .args(["--connect-rate", "0", "--ca"])
            .arg(folder.join("state/ca.pem"))
            .args(["--connect", &format!("{HUB}:5671={}", self.amqps)]);
        match self.identity {
            Identity::Policy => command.args(["--hub-connection-string", &self.hub]),
            Identity::Enrolled => command
                .args(["--connect", &format!("{DPS}:443={}", self.https)])
                .args(["--dps-endpoint", DPS, "--dps-rate", "0"])
                .args(["--id-scope", ID_SCOPE, "--group-key", GROUP_KEY])
                .arg("--state")
                .arg(folder.join("bridge")),
        };
        let (server, said) = Server::start("bridge", command, folder)?;
        Ok((server, http_address(&said)?))
    }
}

/// CPU time spent until an instant.
struct Clocks {
    at: Instant,
    machine: Duration,
    server: Duration,
    emulator: Duration,
    load: Duration,
}

/// CPU time spent between two instants.
struct Spent {
    seconds: f64,
    machine: f64,
    server: f64,
    emulator: f64,
    load: f64,
}

impl Clocks {
    fn since(&self, before: &Self) -> Spent {
        let seconds =
            |after: Duration, before: Duration| after.saturating_sub(before).as_secs_f64();
        Spent {
            seconds: self.at.duration_since(before.at).as_secs_f64(),
            machine: seconds(self.machine, before.machine),
            server: seconds(self.server, before.server),
            emulator: seconds(self.emulator, before.emulator),
            load: seconds(self.load, before.load),
        }
    }
}

impl Spent {
    fn by_message(&self, messages: u64) -> Costs {
        let us = |seconds: f64| seconds * 1e6 / messages.max(1) as f64;
        Costs {
            server: us(self.server),
            emulator: us(self.emulator),
            load: us(self.load),
        }
    }

    fn cores_of_others(&self) -> f64 {
        let others = self.machine - self.server - self.emulator - self.load;
        // The clocks are not read at the same instant.
        others.max(0.0) / self.seconds
    }
}

/// The address in `listening on http://ADDRESS, …`.
pub(super) fn http_address(said: &str) -> Result<String> {
    let word = word_after(said, "listening on")?;
    let address = word.trim_end_matches(',').strip_prefix("http://");
    address
        .map(str::to_owned)
        .ok_or_else(|| Error::Unexpected(format!("no address in `{said}`")))
}

/// An address that the emulator printed behind `name`.
pub(super) fn address(said: &str, name: &str) -> Result<SocketAddr> {
    let none = |_| Error::Unexpected(format!("the emulator printed no address of {name}"));
    word_after(said, name)?.parse().map_err(none)
}

/// The word behind `start`, in the line that begins so.
fn word_after<'a>(said: &'a str, start: &str) -> Result<&'a str> {
    said.lines()
        .find_map(|line| line.strip_prefix(start)?.split_whitespace().next())
        .ok_or_else(|| Error::Unexpected(format!("no line `{start} …` in `{said}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_servers_print() {
        let said = "listening on http://127.0.0.1:40001, devices on hub.localtest\n";
        assert_eq!(http_address(said).unwrap(), "127.0.0.1:40001");
        let said = "listening on http://127.0.0.1:40001\n";
        assert_eq!(http_address(said).unwrap(), "127.0.0.1:40001");
        let said = "IoT hub a\namqps  127.0.0.1:5\n";
        assert_eq!(word_after(said, "amqps").unwrap(), "127.0.0.1:5");
        assert!(http_address("ready\n").is_err());
    }
}
