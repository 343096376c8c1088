//! The callers of the bridge during a soak, all at the same time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Soak;
use crate::conformance::environment::{API_KEY, BRIDGE, authority};
use crate::conformance::outage::say;
use crate::conformance::servers::Running;
use crate::error::{Error, Result};
use crate::load::{Load, Report, downlink};
use crate::workspace::Workspace;

/// Where events of good devices go.
const RECEIVER: &str = "127.0.0.1:9000";
/// Where events of one good device in [`HANGING_EVERY`] go: it accepts connections and never answers.
pub(super) const HANGING: &str = "127.0.0.1:9001";
/// The load chooses the devices whose number is a multiple of this.
pub(super) const HANGING_EVERY: u32 = 25;
const HANGING_PERCENT: u32 = 100 / HANGING_EVERY;
/// Share of events that the other receiver fails, so that some messages must come again.
const FAILING_PERCENT: u32 = 5;
/// Messages and methods to good devices, each per second.
const DOWNLINK_RATE: u32 = 2;
/// The hub's lock on a message that was under way in a restart lasts for a minute.
const DRAIN_S: u32 = 90;
/// Longer than the bridge may take, so that a request without an answer is the bridge's fault.
const PATIENCE_S: u32 = 60;
/// Upper bound for ending and draining, after the time is over.
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

/// Callers of which telemetry of good devices and of those that send once has ended.
pub(super) struct Ended {
    folder: PathBuf,
    good: Report,
    churn: Report,
    bad: Load,
    stalled: Load,
    downlink: Load,
}

/// The reports of all callers.
pub(super) struct Done {
    folder: PathBuf,
    good: Report,
    churn: Report,
    bad: Report,
    stalled: Report,
    downlink: downlink::Report,
    /// What that load says is wrong.
    downlink_wrong: String,
}

/// What is needed to start a caller.
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

    /// Waits for the end of telemetry.
    pub(super) fn finish_telemetry(self) -> Result<Ended> {
        Ok(Ended {
            folder: self.folder,
            good: self.good.finish()?,
            churn: self.churn.finish()?,
            bad: self.bad,
            stalled: self.stalled,
            downlink: self.downlink,
        })
    }
}

impl Ended {
    /// Waits for all others.
    pub(super) fn finish(self) -> Result<Done> {
        let (bad, stalled) = (self.bad.finish_refused()?, self.stalled.finish_refused()?);
        let (downlink, downlink_wrong) = self.downlink.finish_downlink_judged()?;
        Ok(Done {
            folder: self.folder,
            good: self.good,
            churn: self.churn,
            bad,
            stalled,
            downlink,
            downlink_wrong,
        })
    }
}

impl Done {
    /// Shows the reports and judges each.
    pub(super) fn check_telemetry(&self) -> [Result<()>; 4] {
        let all = [
            ("good devices", &self.good),
            ("devices that send once", &self.churn),
            ("bad devices", &self.bad),
            ("the stalled device", &self.stalled),
        ];
        for (name, report) in all {
            say(&format!(
                "{name}: {} requests, by status {:?}",
                report.requests, report.statuses
            ));
        }
        let [good, churn, bad, stalled] = all;
        [
            good.1.all_answered(good.0),
            churn.1.all_answered(churn.0),
            all_refused(bad.0, bad.1),
            all_refused(stalled.0, stalled.1),
        ]
    }

    /// What became of messages and methods to devices.
    pub(super) fn downlink(&self) -> &downlink::Report {
        &self.downlink
    }

    /// An error when the load of messages and methods found something wrong itself.
    pub(super) fn check_downlink(&self) -> Result<()> {
        match self.downlink_wrong.as_str() {
            "" => Ok(()),
            wrong => Err(Error::Unexpected(wrong.to_owned())),
        }
    }

    /// The files with the answer to each message.
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

/// An error unless every request was refused, with an answer.
fn all_refused(name: &str, report: &Report) -> Result<()> {
    if report.requests > 0 && report.ok == 0 && report.no_answer == 0 {
        return Ok(());
    }
    Err(Error::Unexpected(format!(
        "{name}: {} of {} requests were accepted, {} had no answer; statuses {:?}",
        report.ok, report.requests, report.no_answer, report.statuses
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_of_which_something_succeeded_was_not_refused() {
        let report = |requests: u64, ok: u64, no_answer: u64| {
            let line = format!(
                r#"{{"requests":{requests},"ok":{ok},"no_answer":{no_answer},"seconds":1,"ok_per_s":1,
                "latency_us":{{"p50":1,"p99":3,"max":4}},"slowest_us":5,"statuses":{{}}}}"#
            );
            serde_json::from_str::<Report>(&line).unwrap()
        };
        assert!(all_refused("bad", &report(3, 0, 0)).is_ok());
        for report in [report(0, 0, 0), report(3, 1, 0), report(3, 0, 1)] {
            assert!(all_refused("bad", &report).is_err());
        }
    }
}
