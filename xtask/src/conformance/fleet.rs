//! A fleet of unknown devices: it registers by itself, and from then on DPS is not needed, whichever process dies.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::outage::{self, Outage, say};
use super::scenario::Program;
use super::servers::Running;
use crate::bench::connections_to;
use crate::error::{Error, Result};
use crate::process::script;
use crate::workspace::Workspace;

/// Devices that one connection carries at most.
const DEVICES_PER_CONNECTION: u32 = 995;
/// Within this time a working product has all devices back; printed next to the measurements.
const FLOOR_S: u64 = 40;
/// HTTP connections while devices register: each waits for DPS.
const REGISTERING: u32 = 2_048;
/// HTTP connections when nothing waits for DPS.
const CONNECTING: u32 = 256;

/// Unknown devices.
pub(crate) struct Fleet {
    pub(crate) devices: u32,
}

/// Ends when DPS has registered just as many devices (an argument), each once.
pub(crate) const REGISTERED: Program = Program::Python("registered.py", &[]);

impl Fleet {
    /// Runs it. `connected` and `registered` are complete commands.
    pub(crate) fn run(
        &self,
        workspace: &Workspace,
        running: &mut Running,
        connected: Command,
        registered: impl Fn(u32) -> Command,
        folder: &Path,
    ) -> Result<()> {
        self.one_of_each(workspace, "register", REGISTERING, folder)?;
        script("registered", registered(self.devices), folder)?;
        self.check_connections(running)?;

        running.kill_bridge()?;
        let start = Instant::now();
        running.start_bridge_by_dps(workspace, folder)?;
        self.one_of_each(workspace, "restart", CONNECTING, folder)?;
        say(&format!(
            "{} devices connected {:.1} s after the bridge was started again (floor: {FLOOR_S} s)",
            self.devices,
            start.elapsed().as_secs_f64()
        ));
        script("registered", registered(self.devices), folder)?;

        outage::run(workspace, &self.outage(), running, connected, folder)?;
        // The restarted emulator counts from zero.
        script("registered", registered(0), folder)?;
        self.check_connections(running)
    }

    fn one_of_each(
        &self,
        workspace: &Workspace,
        name: &str,
        connections: u32,
        folder: &Path,
    ) -> Result<()> {
        let outage = Outage {
            connections: connections.min(self.devices),
            ..self.outage()
        };
        let first_of_each = [("messages", self.devices)];
        let report = outage::start(workspace, name, &outage, &first_of_each, folder)?.finish()?;
        report.all_ok(name)?;
        let rate = f64::from(self.devices) / report.seconds;
        say(&format!(
            "{name}: the first message of each of {} devices in {:.1} s, {rate:.0}/s",
            self.devices, report.seconds
        ));
        Ok(())
    }

    fn check_connections(&self, running: &Running) -> Result<()> {
        let expected = self.devices.div_ceil(DEVICES_PER_CONNECTION) as usize;
        let found = connections_to(running.bridge_pid()?, 5671)?;
        if found == expected {
            return Ok(());
        }
        Err(Error::Unexpected(format!(
            "{found} connections to the hub, {expected} expected"
        )))
    }

    fn outage(&self) -> Outage {
        Outage {
            devices: self.devices,
            connections: CONNECTING,
            rate: 2_000,
            load_s: 20,
            after: Duration::from_secs(5),
            lasts: Duration::from_secs(2),
            floor_s: FLOOR_S,
        }
    }
}
