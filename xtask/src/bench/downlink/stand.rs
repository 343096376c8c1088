//! Emulator and bridge for messages and methods to devices, and the loads that drive them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bench::process_facts::{
    connections_to, cpu, cpu_of_ended_children, cpu_of_the_machine, peak_bytes, resident_bytes,
};
use crate::bench::stand::{API_KEY, DEVICE_PREFIX, HUB, address, http_address};
use crate::conformance::environment::ConnectionStrings;
use crate::error::{Error, Result};
use crate::load::Load;
use crate::load::downlink::Report;
use crate::process::{Server, bound_to_us};
use crate::workspace::Workspace;

/// Servers that wait for load.
pub(super) struct Stand<'a> {
    workspace: &'a Workspace,
    folder: PathBuf,
    devices: u32,
    emulator: Server,
    bridge: Server,
    bridge_address: String,
    hub: String,
    amqps: SocketAddr,
    https: SocketAddr,
    /// Where the receivers of each load listen, so that subscriptions stay good.
    receivers: [SocketAddr; 2],
    loads: u32,
}

/// CPU time spent while a load ran, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) bridge: f64,
    pub(super) emulator: f64,
    pub(super) load: f64,
    /// Cores that were busy with something else.
    pub(super) cores_of_others: f64,
}

/// The bridge's memory and connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) resident_bytes: u64,
    pub(super) peak_bytes: u64,
    pub(super) connections: usize,
    pub(super) emulator_resident_bytes: u64,
}

impl<'a> Stand<'a> {
    /// Starts both; no device is subscribed yet.
    pub(super) fn start(
        workspace: &'a Workspace,
        name: &str,
        devices: u32,
        folder: &Path,
    ) -> Result<Self> {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).map_err(Error::io("making", &folder))?;
        let mut command = bound_to_us(workspace.program("drawspan"));
        command
            .args(["emulator", "--hub", HUB, "--bind", "127.0.0.1"])
            .args(["--amqps-port", "0", "--https-port", "0"])
            .args(["--device", &format!("{DEVICE_PREFIX}[1-{devices}]")])
            .arg("--state")
            .arg(folder.join("state"));
        let (emulator, said) = Server::start("emulator", command, &folder)?;
        let hub = ConnectionStrings::parse(&said)?.hub;
        let (amqps, https) = (address(&said, "amqps")?, address(&said, "https")?);
        let (bridge, bridge_address) = start_bridge(workspace, &folder, &hub, amqps)?;
        Ok(Self {
            workspace,
            folder,
            devices,
            emulator,
            bridge,
            bridge_address,
            hub,
            amqps,
            https,
            receivers: [free_address()?, free_address()?],
            loads: 0,
        })
    }

    /// Kills the bridge, and starts another one with what it left. Gives when that was.
    pub(super) fn restart_bridge(&mut self) -> Result<Instant> {
        self.bridge.check()?;
        self.bridge.kill();
        let at = Instant::now();
        let started = start_bridge(self.workspace, &self.folder, &self.hub, self.amqps)?;
        (self.bridge, self.bridge_address) = started;
        Ok(at)
    }

    /// One load; nothing of it may be lost, done twice or answered wrongly.
    pub(super) fn load(&mut self, name: &str, flags: &[String]) -> Result<(Report, Spent)> {
        self.loads += 1;
        let name = format!("load-{}-{name}", self.loads);
        let [good, bad] = self.receivers.map(|address| address.to_string());
        let mut all: Vec<String> = [
            ["--device-prefix", DEVICE_PREFIX],
            ["--devices", &self.devices.to_string()],
            ["--hub-connection-string", &self.hub],
            [
                "--ca",
                &self.folder.join("state/ca.pem").display().to_string(),
            ],
            ["--connect", &format!("{HUB}:5671={}", self.amqps)],
            ["--connect", &format!("{HUB}:443={}", self.https)],
            ["--receive", &good],
            ["--bad-receive", &bad],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
        all.extend_from_slice(flags);
        let (at, before) = (Instant::now(), self.clocks()?);
        let address = &self.bridge_address;
        let load = Load::start(self.workspace, &name, address, API_KEY, &all, &self.folder)?;
        let report = load.finish_downlink()?;
        let after = self.clocks()?;
        let spent = |index: usize| {
            let at = |clocks: &[Duration; 4]| clocks.get(index).copied().unwrap_or_default();
            at(&after).saturating_sub(at(&before)).as_secs_f64()
        };
        let (bridge, emulator, load) = (spent(0), spent(1), spent(2));
        let others = (spent(3) - bridge - emulator - load).max(0.0);
        let spent = Spent {
            bridge,
            emulator,
            load,
            cores_of_others: others / at.elapsed().as_secs_f64(),
        };
        Ok((report, spent))
    }

    fn clocks(&self) -> Result<[Duration; 4]> {
        Ok([
            cpu(self.bridge.pid())?,
            cpu(self.emulator.pid())?,
            cpu_of_ended_children()?,
            cpu_of_the_machine()?,
        ])
    }

    /// CPU time of the bridge since it was started, in seconds.
    pub(super) fn bridge_cpu_s(&self) -> Result<f64> {
        Ok(cpu(self.bridge.pid())?.as_secs_f64())
    }

    pub(super) fn held(&self) -> Result<Held> {
        let pid = self.bridge.pid();
        Ok(Held {
            resident_bytes: resident_bytes(pid)?,
            peak_bytes: peak_bytes(pid)?,
            connections: connections_to(pid, self.amqps.port())?,
            emulator_resident_bytes: resident_bytes(self.emulator.pid())?,
        })
    }

    /// Ends both, unless that happened before.
    pub(super) fn end(mut self) -> Result<()> {
        self.emulator.check()?;
        self.bridge.check()
    }
}

fn start_bridge(
    workspace: &Workspace,
    folder: &Path,
    hub: &str,
    amqps: SocketAddr,
) -> Result<(Server, String)> {
    let mut command = bound_to_us(workspace.program("drawspan"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--api-key", API_KEY])
        .args(["--allow-callbacks", "127.0.0.1"])
        .args(["--connect", &format!("{HUB}:5671={amqps}")])
        .args(["--hub-connection-string", hub])
        .arg("--ca")
        .arg(folder.join("state/ca.pem"))
        .arg("--state")
        .arg(folder.join("bridge"));
    let (server, said) = Server::start("bridge", command, folder)?;
    Ok((server, http_address(&said)?))
}

/// An unused address.
fn free_address() -> Result<SocketAddr> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    TcpListener::bind(any)
        .and_then(|listener| listener.local_addr())
        .map_err(Error::io("binding", "a port"))
}
