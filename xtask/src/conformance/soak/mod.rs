//! Many faults at once and for long: bad devices that are asked for again and again, a receiver that hangs, a session that the
//! hub stalls, renewals that fail, restarts of the hub, and devices that send once and never again. Good devices must not
//! notice any of it but the restarts.

mod api;
mod devices;
mod downlinks;
mod faults;
mod latency;
mod length;
mod loads;
mod memory;
mod restart;
mod states;
mod verdicts;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::outage::say;
use super::scenario::Program;
use super::servers::Running;
use crate::bench::resident_bytes;
use crate::error::{Error, Result};
use crate::process::{Script, script};
use crate::workspace::Workspace;
use latency::{Ledger, Window};
use length::Length;
use loads::Loads;
use memory::Memory;
use restart::restart;
use verdicts::Verdicts;

/// A soak.
pub(crate) struct Soak {
    /// Devices that work: subscribed to, so always connected, with steady telemetry.
    good: u32,
    /// Messages per second of all good devices.
    rate: u32,
    /// Devices with a wrong key, or that the hub does not know, that are asked for all the time.
    bad: u32,
    /// Requests to these, per second.
    bad_rate: u32,
    /// Devices per second that send once.
    churn_rate: u32,
    length: Length,
    /// Life of a token, unless the soak is too short to renew it between two restarts.
    token_life_s: u32,
    /// When the hub is killed, in thousandths of the run. The gaps leave room for tokens to be renewed, and the first restart is
    /// over before memory is measured.
    restarts: [u32; 3],
    /// Whether latency and memory are judged. Otherwise they are only shown.
    is_judged: bool,
}

/// The device whose session the hub stalls.
const STALLED: &str = "stalled-1";
/// Memory is judged in runs of at least this length. In shorter ones devices that send once have not begun to leave again after the
/// first quarter, so that memory has to grow.
const MEMORY_JUDGED_FROM_S: u32 = 45 * 60;
/// The shortest life that the bridge gives a token.
const MIN_TOKEN_LIFE_S: u32 = 60;
const TICK: Duration = Duration::from_secs(1);
/// Allowed for telemetry of good devices, outside of restarts.
const P99_MS: f64 = 100.0;
/// Time that reading back may take in addition to its own time-out.
const SCRIPT_END: Duration = Duration::from_secs(60);

/// Writes the list of devices for the bridge.
const DEVICE_FILE: Program = Program::Python("device_file.py", &[]);
/// Looks for every acknowledged message at the hub.
const READ_IDS: Program = Program::Python("read_ids.py", &[]);

impl Soak {
    /// Two minutes, for every run of the suite.
    pub(crate) const SHORT: Self = Self {
        good: 200,
        rate: 100,
        bad: 10,
        bad_rate: 5,
        churn_rate: 10,
        length: Length::Fixed(2),
        token_life_s: 60,
        restarts: [70, 620, 800],
        is_judged: false,
    };
    /// An hour, on request.
    pub(crate) const HOUR: Self = Self {
        good: 500,
        rate: 200,
        bad: 25,
        bad_rate: 5,
        churn_rate: 10,
        length: Length::Asked(60),
        token_life_s: 900,
        restarts: [90, 420, 750],
        is_judged: true,
    };

    /// Runs it. `command_of` makes complete commands of programs.
    pub(crate) fn run(
        &self,
        workspace: &Workspace,
        running: &mut Running,
        command_of: &dyn Fn(&Program) -> Command,
        folder: &Path,
    ) -> Result<()> {
        let seconds = self.length.seconds()?;
        let devices = folder.join("devices.txt");
        let mut list = command_of(&DEVICE_FILE);
        list.arg(&devices).args(self.listed(seconds));
        script("device_file", list, folder)?;
        let token_life_s = self.token_life_s(seconds);
        running.start_bridge_by_file(workspace, &devices, token_life_s, folder)?;

        let loads = Loads::start(self, seconds, workspace, running, folder)?;
        let (windows, memory) = self.hold(seconds, workspace, running, folder)?;
        let ended = loads.finish_telemetry()?;
        let mut verdicts = Verdicts::default();
        verdicts.add(states::check(self));
        let done = ended.finish()?;
        running.check()?;

        verdicts.add(self.check_restarts(&windows));
        verdicts.add(faults::check(self, folder));
        done.check_telemetry()
            .into_iter()
            .for_each(|it| verdicts.add(it));
        verdicts.add(self.read_back(seconds, command_of(&READ_IDS), &done.ledgers(), folder));
        verdicts.add(done.check_downlink());
        verdicts.add(downlinks::check(done.downlink()));
        verdicts.add(downlinks::check_hanging(
            done.downlink(),
            self,
            seconds,
            command_of(&downlinks::WAITING),
            folder,
        ));
        verdicts.add(self.check_latency(&windows, seconds, folder));
        let flat = memory.check();
        if self.is_judged && seconds >= MEMORY_JUDGED_FROM_S {
            verdicts.add(flat);
        }
        verdicts.finish()
    }

    /// Looks for what was sent at the hub.
    fn read_back(
        &self,
        seconds: u32,
        mut command: Command,
        ledgers: &[PathBuf],
        folder: &Path,
    ) -> Result<()> {
        // Thousands of messages are read per second, far more than were sent.
        let limit = Duration::from_secs(seconds.max(120).into());
        command.arg(limit.as_secs().to_string()).args(ledgers);
        Script::start("read_ids", command, folder)?
            .within(limit + SCRIPT_END)
            .finish()?;
        say("every message that was answered 200 is at the hub, and none that was answered 503");
        Ok(())
    }

    /// Waits until the time is over, while the hub is restarted and memory is measured.
    fn hold(
        &self,
        seconds: u32,
        workspace: &Workspace,
        running: &mut Running,
        folder: &Path,
    ) -> Result<(Vec<Window>, Memory)> {
        let bar = bar(seconds);
        let length = Duration::from_secs(seconds.into());
        let (start, mut windows, mut memory) = (Instant::now(), Vec::new(), Memory::default());
        let mut restarts = self.restarts.iter().map(|part| length * *part / 1_000);
        let mut next = restarts.next();
        while start.elapsed() < length {
            sleep(TICK);
            bar.set_position(start.elapsed().as_secs());
            running.check()?;
            let part = start.elapsed().as_secs_f64() / length.as_secs_f64();
            memory.add(part, resident_bytes(running.bridge_pid()?)?);
            if next.is_some_and(|at| start.elapsed() >= at) {
                next = restarts.next();
                bar.set_message("the hub is killed");
                let window = restart(workspace, running, folder)?;
                bar.suspend(|| say(&format!("the hub was killed and started again: {window}")));
                bar.set_message("");
                windows.push(window);
            }
        }
        bar.finish_and_clear();
        Ok((windows, memory))
    }

    fn check_restarts(&self, windows: &[Window]) -> Result<()> {
        let (wanted, found) = (self.restarts.len(), windows.len());
        if wanted == found {
            return Ok(());
        }
        let text = format!("the hub was restarted {found} times instead of {wanted} times");
        Err(Error::Unexpected(text))
    }

    /// Judges the telemetry of good devices: almost all that was planned was sent, and outside of restarts each message was answered
    /// 200, and in time.
    fn check_latency(&self, windows: &[Window], seconds: u32, folder: &Path) -> Result<()> {
        let good = Ledger::read(&folder.join("good.tsv"))?;
        let (sent, planned) = (good.len() as u64, u64::from(self.rate * seconds));
        if sent * 10 < planned * 9 {
            let text = format!("good devices sent {sent} messages, {planned} were planned");
            return Err(Error::Unexpected(text));
        }
        let outside = good.outside(windows)?;
        say(&format!(
            "latency of good devices: {} messages outside of restarts, p50 {:.1} ms, p99 {:.1} ms, slowest {:.1} ms",
            outside.messages, outside.p50_ms, outside.p99_ms, outside.slowest_ms
        ));
        if self.is_judged && outside.p99_ms > P99_MS {
            let text = format!(
                "p99 outside of restarts: {:.1} ms, {P99_MS} ms are allowed",
                outside.p99_ms
            );
            return Err(Error::Unexpected(text));
        }
        Ok(())
    }

    fn token_life_s(&self, seconds: u32) -> u32 {
        self.token_life_s.min(seconds / 4).max(MIN_TOKEN_LIFE_S)
    }
}

fn bar(seconds: u32) -> ProgressBar {
    let bar = ProgressBar::new(seconds.into());
    let style = ProgressStyle::with_template("           {bar:40} {pos} of {len} s  {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_between_two_restarts() {
        for (soak, minutes, expected_s) in [
            (Soak::SHORT, 2, 60),
            (Soak::HOUR, 4, 60),
            (Soak::HOUR, 6, 90),
            (Soak::HOUR, 60, 900),
            (Soak::HOUR, 720, 900),
        ] {
            let seconds = minutes * 60;
            let life_s = soak.token_life_s(seconds);
            assert_eq!(life_s, expected_s, "{minutes}");
            let [first, second, third] = soak.restarts;
            let gap = (second - first).max(third - second);
            // The bridge renews a token after at most 85 % of its life.
            assert!(seconds * gap / 1_000 > life_s * 85 / 100 + 10, "{minutes}");
        }
    }
}
