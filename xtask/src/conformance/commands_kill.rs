//! The bridge dies again and again while messages and methods to devices are under way: the hub forgets no message that its
//! receiver did not take, and what comes again comes under the same webhook-id.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::environment::{API_KEY, BRIDGE, DEVICE_PREFIX, authority};
use super::outage::say;
use super::scenarios::Program;
use super::servers::Running;
use crate::error::{Error, Result};
use crate::load::Load;
use crate::load::downlink::Report;
use crate::process::script;
use crate::workspace::Workspace;

/// Kills under traffic.
pub(crate) struct CommandsKill {
    pub(crate) devices: u32,
    /// Of each of both, per second.
    pub(crate) rate: u32,
    /// Share of requests that the receiver fails, so that some wait for their next attempt when the bridge dies.
    pub(crate) failing_percent: u32,
    /// How long each bridge lives under traffic. The moments are odd, so that they do not fall in step with anything.
    pub(crate) lives: &'static [Duration],
}

/// The load needs so long until it sends: it subscribes all devices first.
const SUBSCRIBING: Duration = Duration::from_secs(8);
/// What is left is waited for so long: locks of messages that nobody settled last for a minute.
const DRAIN_S: u64 = 90;

/// Ends when the hub says that so many devices (an argument) have nothing waiting.
pub(crate) const EMPTIED: Program = Program::Python("emptied.py", &[]);

impl CommandsKill {
    /// Runs it. `emptied` is the command of [`EMPTIED`], complete.
    pub(crate) fn run(
        &self,
        workspace: &Workspace,
        running: &mut Running,
        emptied: Command,
        folder: &Path,
    ) -> Result<()> {
        let load = self.start(workspace, running, folder)?;
        sleep(SUBSCRIBING);
        for life in self.lives {
            sleep(*life);
            running.kill_bridge()?;
            running.start_bridge_by_dps(workspace, folder)?;
        }
        let report = load.finish_downlink()?;
        running.check()?;
        self.check(&report)?;
        script("emptied", emptied, folder)?;
        let (c2d, methods) = (&report.c2d, &report.methods);
        say(&format!(
            "killed {} times: {} messages taken by the hub, all answered 2xx, {} came again ({} of these had been answered 2xx)",
            self.lives.len(),
            c2d.accepted,
            c2d.again,
            c2d.twice
        ));
        say(&format!(
            "{} of {} methods answered, {} failed while there was no bridge or with it, none done twice",
            methods.answered, methods.sent, methods.failed
        ));
        Ok(())
    }

    fn start(&self, workspace: &Workspace, running: &Running, folder: &Path) -> Result<Load> {
        let strings = running.strings.as_ref();
        let strings = strings.ok_or_else(|| Error::Unexpected("there is no emulator".into()))?;
        let lives: Duration = self.lives.iter().sum();
        let seconds = (SUBSCRIBING + lives).as_secs() + 5 * self.lives.len() as u64;
        let rate = self.rate.to_string();
        let flags = [
            ("device-prefix", DEVICE_PREFIX.to_owned()),
            ("devices", self.devices.to_string()),
            ("hub-connection-string", strings.hub.clone()),
            ("ca", authority(folder).display().to_string()),
            ("c2d-rate", rate.clone()),
            ("method-rate", rate),
            ("method-timeout", "5".to_owned()),
            ("receiver", format!("status:503@{}", self.failing_percent)),
            ("duration", seconds.to_string()),
            ("drain", DRAIN_S.to_string()),
        ];
        let flags = flags
            .iter()
            .flat_map(|(name, value)| [format!("--{name}"), value.clone()]);
        Load::start(
            workspace,
            "load",
            BRIDGE,
            API_KEY,
            &flags.collect::<Vec<_>>(),
            folder,
        )
    }

    /// The load itself fails for what is lost, done twice, or came again under another webhook-id.
    fn check(&self, report: &Report) -> Result<()> {
        let c2d = &report.c2d;
        // One delivery at a time and device can have been answered without the hub having heard of it.
        let most = u64::from(self.devices) * self.lives.len() as u64;
        let wrong = if c2d.accepted == 0 || c2d.taken < c2d.accepted {
            "not all messages were taken"
        } else if c2d.again == 0 {
            "nothing came again: this shows nothing"
        } else if c2d.twice > most {
            "more came again than was under way"
        } else if report.methods.answered == 0 {
            "no method was answered"
        } else {
            return Ok(());
        };
        Err(Error::Unexpected(format!("{wrong}: {c2d:?}")))
    }
}
