//! The callers of the bridge during a soak, all at the same time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Soak, all_refused};
use crate::conformance::environment::{API_KEY, BRIDGE, authority};
use crate::conformance::outage::say;
use crate::conformance::servers::Running;
use crate::error::{Error, Result};
use crate::load::{Load, Report, downlink};
use crate::workspace::Workspace;

/// Where events of good devices go.
const RECEIVER: &str = "127.0.0.1:9000";
/// Where those of a few go: it takes connections and answers nothing.
const HANGING: &str = "127.0.0.1:9001";
const HANGING_PERCENT: u32 = 4;
/// Events that the other receiver fails, so that some messages must come again.
const FAILING_PERCENT: u32 = 5;
/// Messages and methods to good devices, each per second.
const DOWNLINK_RATE: u32 = 2;
/// Locks of messages that nobody settled last for a minute.
const DRAIN_S: u32 = 90;
/// Longer than the bridge may take: that it answers is what is checked, not that we give up.
const PATIENCE_S: u32 = 60;
/// What ending and draining take at most, after the time is over.
const ENDING: Duration = Duration::from_secs(300);

/// Callers that run.
pub(super) struct Loads {
    folder: PathBuf,
    good: Load,
    churn: Load,
    bad: Load,
    stalled: Load,
    downlink: Load,
}

/// Telemetry of good devices has ended, the rest is ending.
pub(super) struct Ended {
    folder: PathBuf,
    churn: Report,
    bad: Load,
    stalled: Load,
    downlink: Load,
}

/// All has ended.
pub(super) struct Done {
    folder: PathBuf,
}

/// How one of them is started.
struct Start<'a> {
    workspace: &'a Workspace,
    folder: &'a Path,
    limit: Duration,
}

impl Loads {
    /// Subscribes to the good devices, waits until these are connected, and starts all.
    pub(super) fn start(
        soak: &Soak,
        seconds: u32,
        workspace: &Workspace,
        running: &Running,
        folder: &Path,
    ) -> Result<Self> {
        let limit = ENDING + Duration::from_secs(seconds.into());
        let start = Start {
            workspace,
            folder,
            limit,
        };
        let subscribed = start
            .downlink(
                "subscribe",
                soak.good,
                &[("subscribe", "c2d,methods".into())],
            )?
            .finish_downlink()?;
        say(&format!(
            "{} good devices connected in {:.1} s",
            subscribed.devices,
            subscribed.subscribing_s + subscribed.connecting_s
        ));
        let telemetry = |name, devices, rate, connections| {
            start.telemetry(name, devices, rate, connections, seconds)
        };
        Ok(Self {
            folder: folder.to_owned(),
            downlink: start.downlink(
                "downlink",
                soak.good,
                &downlink_flags(running, seconds, folder)?,
            )?,
            // Each connection is used at least twice a minute: the bridge ends one that is idle for a minute.
            good: telemetry("good", soak.good, soak.rate, 256)?,
            churn: telemetry("churn", soak.churn(seconds), soak.churn_rate, 256)?,
            bad: telemetry("bad", soak.bad, soak.bad_rate, 64)?,
            // Each of its requests waits for 30 s.
            stalled: telemetry("stalled", 1, 1, 40)?,
        })
    }

    /// Waits for the end of what good devices send.
    pub(super) fn finish_telemetry(self) -> Result<Ended> {
        let good = self.good.finish()?;
        good.all_answered("good devices")?;
        let churn = self.churn.finish()?;
        churn.all_answered("devices that send once")?;
        Ok(Ended {
            folder: self.folder,
            churn,
            bad: self.bad,
            stalled: self.stalled,
            downlink: self.downlink,
        })
    }
}

impl Ended {
    /// Waits for all others.
    pub(super) fn finish(self) -> Result<Done> {
        say(&show("devices that send once", &self.churn));
        for (name, load) in [
            ("bad devices", self.bad),
            ("the stalled device", self.stalled),
        ] {
            let report = load.finish_refused()?;
            all_refused(name, &report)?;
            say(&show(name, &report));
        }
        check_downlink(&self.downlink.finish_downlink()?)?;
        Ok(Done {
            folder: self.folder,
        })
    }
}

impl Done {
    /// What every message was answered.
    pub(super) fn ledgers(&self) -> [PathBuf; 4] {
        ["good", "churn", "bad", "stalled"].map(|name| self.folder.join(format!("{name}.tsv")))
    }
}

impl Start<'_> {
    fn telemetry(
        &self,
        name: &str,
        devices: u32,
        rate: u32,
        connections: u32,
        seconds: u32,
    ) -> Result<Load> {
        let ledger = self.folder.join(format!("{name}.tsv"));
        let flags = [
            ("rate", rate.to_string()),
            ("connections", connections.to_string()),
            ("duration", seconds.to_string()),
            ("ledger", ledger.display().to_string()),
            ("timeout", PATIENCE_S.to_string()),
        ];
        self.load(name, name, devices, &flags)
    }

    fn downlink(&self, name: &str, devices: u32, flags: &[(&str, String)]) -> Result<Load> {
        let receivers = [
            ("receive", RECEIVER.to_owned()),
            ("bad-receive", HANGING.to_owned()),
            ("bad-share", HANGING_PERCENT.to_string()),
        ];
        let flags: Vec<_> = receivers.iter().chain(flags).cloned().collect();
        self.load(name, "good", devices, &flags)
    }

    fn load(&self, name: &str, kind: &str, devices: u32, flags: &[(&str, String)]) -> Result<Load> {
        let own = [
            ("device-prefix", format!("{kind}-")),
            ("devices", devices.to_string()),
        ];
        let all = own.iter().chain(flags);
        let all = all.flat_map(|(name, value)| [format!("--{name}"), value.clone()]);
        let all: Vec<_> = all.collect();
        let load = Load::start(self.workspace, name, BRIDGE, API_KEY, &all, self.folder)?;
        Ok(load.within(self.limit))
    }
}

fn downlink_flags(
    running: &Running,
    seconds: u32,
    folder: &Path,
) -> Result<[(&'static str, String); 9]> {
    let strings = running.strings.as_ref();
    let strings = strings.ok_or_else(|| Error::Unexpected("there is no emulator".into()))?;
    Ok([
        ("subscribe", "none".to_owned()),
        ("hub-connection-string", strings.hub.clone()),
        ("ca", authority(folder).display().to_string()),
        ("c2d-rate", DOWNLINK_RATE.to_string()),
        ("method-rate", DOWNLINK_RATE.to_string()),
        ("method-timeout", "5".to_owned()),
        ("receiver", format!("status:503@{FAILING_PERCENT}")),
        ("duration", seconds.to_string()),
        ("drain", DRAIN_S.to_string()),
    ])
}

/// The load itself fails for what is lost, done twice, answered wrongly, or came again under another webhook-id.
fn check_downlink(report: &downlink::Report) -> Result<()> {
    let (c2d, methods) = (&report.c2d, &report.methods);
    let wrong = if c2d.accepted == 0 || c2d.again == 0 {
        "no message came, or none came again: this shows nothing"
    } else if c2d.lost > 0 || c2d.taken < c2d.accepted {
        "messages are gone from the hub that the receiver did not answer 2xx"
    } else if methods.answered == 0 {
        "no method was answered"
    } else if methods.twice + methods.wrong > 0 {
        "methods were done twice or answered wrongly"
    } else if report.bad_c2d.arrived == 0 && report.bad_methods.arrived == 0 {
        "nothing came to the receiver that hangs: this shows nothing"
    } else {
        say(&format!(
            "{} messages to devices taken by the hub, all answered 2xx, {} came again; {} of {} methods answered, none done twice",
            c2d.accepted, c2d.again, methods.answered, methods.sent
        ));
        return Ok(());
    };
    Err(Error::Unexpected(format!("{wrong}: {report:?}")))
}

fn show(name: &str, report: &Report) -> String {
    format!(
        "{name}: {} requests, {} with 200, others {:?}",
        report.requests, report.ok, report.statuses
    )
}
