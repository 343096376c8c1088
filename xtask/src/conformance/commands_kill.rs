//! The bridge dies again and again while messages and methods to devices are under way: the hub forgets no message that its
//! receiver did not take, and what comes again comes under the same webhook-id.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::environment::{API_KEY, BRIDGE, DEVICE_PREFIX, authority};
use super::outage::say;
use super::scenario::Program;
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

/// Where the load receives, each time.
const RECEIVER: &str = "127.0.0.1:9000";
/// The load needs so long until it sends and its receiver fails.
const BEGINNING: Duration = Duration::from_secs(4);
/// For every start of a bridge.
const STARTING: Duration = Duration::from_secs(2);
/// Time to wait for the rest: locks of unsettled messages last for a minute.
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
        let subscribe = [("subscribe", "c2d,methods".to_owned())];
        self.start(workspace, "subscribe", &subscribe, folder)?
            .finish_downlink()?;
        let load = self.start(workspace, "load", &self.traffic(running, folder)?, folder)?;
        sleep(BEGINNING);
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

    fn traffic(&self, running: &Running, folder: &Path) -> Result<[(&'static str, String); 9]> {
        let strings = running.strings.as_ref();
        let strings = strings.ok_or_else(|| Error::Unexpected("there is no emulator".into()))?;
        let starting = STARTING * self.lives.len() as u32;
        let seconds = BEGINNING + self.lives.iter().sum::<Duration>() + starting;
        let rate = self.rate.to_string();
        Ok([
            ("subscribe", "none".to_owned()),
            ("hub-connection-string", strings.hub.clone()),
            ("ca", authority(folder).display().to_string()),
            ("c2d-rate", rate.clone()),
            ("method-rate", rate),
            ("method-timeout", "5".to_owned()),
            ("receiver", format!("status:503@{}", self.failing_percent)),
            ("duration", seconds.as_secs().to_string()),
            ("drain", DRAIN_S.to_string()),
        ])
    }

    fn start(
        &self,
        workspace: &Workspace,
        name: &str,
        flags: &[(&str, String)],
        folder: &Path,
    ) -> Result<Load> {
        let own = [
            ("device-prefix", DEVICE_PREFIX.to_owned()),
            ("devices", self.devices.to_string()),
            ("receive", RECEIVER.to_owned()),
        ];
        let all = own.iter().chain(flags);
        let all = all.flat_map(|(name, value)| [format!("--{name}"), value.clone()]);
        Load::start(
            workspace,
            name,
            BRIDGE,
            API_KEY,
            &all.collect::<Vec<_>>(),
            folder,
        )
    }

    /// The load itself fails for what is lost, done twice, or came again under another webhook-id.
    fn check(&self, report: &Report) -> Result<()> {
        let c2d = &report.c2d;
        // One delivery at a time and device can have been answered without the hub's knowledge.
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
