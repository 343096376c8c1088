//! Everything that can go wrong goes wrong at once and for long: bad devices that are asked for again and again, a receiver
//! that hangs, a session that the hub stalls, renewals that fail, restarts of the hub, and devices that come and never come
//! again. Good devices must not notice, but for the restarts.

mod api;
mod latency;
mod loads;
mod memory;
mod states;

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};

use super::outage::say;
use super::scenarios::Program;
use super::servers::Running;
use crate::bench::resident_bytes;
use crate::error::{Error, Result};
use crate::load::Report;
use crate::process::{Script, script};
use crate::workspace::Workspace;
use latency::{Ledger, Window};
use loads::Loads;
use memory::Memory;

/// A soak.
pub(crate) struct Soak {
    /// Devices that work: subscribed to, so always connected, with steady telemetry.
    good: u32,
    /// Their telemetry, messages per second.
    rate: u32,
    /// Devices with a wrong key, or that the hub does not know, that are asked for all the time.
    bad: u32,
    /// Requests to these, per second.
    bad_rate: u32,
    /// Devices per second that send once.
    churn_rate: u32,
    minutes: Minutes,
    token_life_s: u32,
    /// When the hub is killed, in thousandths of the run. The gaps leave room for tokens to be renewed, and the first is
    /// before memory is measured.
    restarts: [u32; 3],
    /// Whether latency and memory are judged. In CI they are only shown.
    is_judged: bool,
}

/// How long it takes.
#[derive(Clone, Copy)]
enum Minutes {
    Fixed(u32),
    /// `SOAK_MINUTES` in the environment, else so many.
    Asked(u32),
}

/// Variable of the environment that sets how long the long form takes.
const MINUTES: &str = "SOAK_MINUTES";
/// With less, no token would be renewed between two restarts.
const MINUTES_ALLOWED: std::ops::RangeInclusive<u32> = 45..=1_440;
/// The device whose session the hub stalls.
const STALLED: &str = "stalled-1";
/// Devices that send once come round again after so long, which bounds the hub's registry. They are idle by then: the bridge keeps
/// a device connected for 9 to 11 minutes.
const CHURN_ROUND_S: u32 = 900;
/// How long the hub is away.
const AWAY: Duration = Duration::from_secs(4);
/// By then the bridge must be ready again.
const READY: Duration = Duration::from_secs(60);
/// What comes in so long after that still counts as part of the restart.
const SETTLING: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_secs(1);
/// Of good devices' telemetry, outside of restarts.
const P99_MS: f64 = 100.0;

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
        minutes: Minutes::Fixed(2),
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
        minutes: Minutes::Asked(60),
        token_life_s: 900,
        restarts: [90, 420, 750],
        is_judged: true,
    };

    /// What the hub must have and do.
    pub(crate) fn emulator_flags(&self) -> Result<Vec<String>> {
        let devices = [
            format!("good-[1-{}]", self.good),
            // The others are as if deleted.
            format!("bad-[1-{}]", self.wrong_keys()),
            format!("churn-[1-{}]", self.churn(self.seconds()?)),
            STALLED.to_owned(),
        ];
        let faults = ["renewals=10%".to_owned(), format!("stall={STALLED}")];
        let devices = devices.map(|id| ["--device".to_owned(), id]);
        let faults = faults.map(|fault| ["--fault".to_owned(), fault]);
        Ok(devices.into_iter().chain(faults).flatten().collect())
    }

    /// Runs it. `command_of` makes complete commands of programs.
    pub(crate) fn run(
        &self,
        workspace: &Workspace,
        running: &mut Running,
        command_of: &dyn Fn(&Program) -> Command,
        folder: &Path,
    ) -> Result<()> {
        let seconds = self.seconds()?;
        let devices = folder.join("devices.txt");
        let mut list = command_of(&DEVICE_FILE);
        list.arg(&devices).args(self.listed(seconds));
        script("device_file", list, folder)?;
        running.start_bridge_by_file(workspace, &devices, self.token_life_s, folder)?;

        let loads = Loads::start(self, seconds, workspace, running, folder)?;
        let (windows, memory) = self.hold(seconds, workspace, running, folder)?;
        let ended = loads.finish_telemetry()?;
        states::check(self.good)?;
        let done = ended.finish()?;
        running.check()?;
        check_renewals(folder)?;

        let ledgers = done.ledgers();
        let mut read = command_of(&READ_IDS);
        // Reading goes at thousands per second; far more than half of what was sent in a second.
        let limit = Duration::from_secs(u64::from(seconds).max(120));
        read.arg(limit.as_secs().to_string()).args(&ledgers);
        Script::start("read_ids", read, folder)?
            .within(limit + READY)
            .finish()?;
        say("every message that was answered 200 is at the hub, none that was answered 503");

        let good = Ledger::read(&folder.join("good.tsv"))?;
        let p99_ms = self.show_latency(&good, &windows)?;
        let flat = memory.show();
        if self.is_judged && p99_ms > P99_MS {
            let text = format!("p99 outside of restarts: {p99_ms:.1} ms, {P99_MS} ms are allowed");
            return Err(Error::Unexpected(text));
        }
        if self.is_judged { flat } else { Ok(()) }
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

    fn show_latency(&self, good: &Ledger, windows: &[Window]) -> Result<f64> {
        let outside = good.outside(windows)?;
        say(&format!(
            "telemetry of good devices: {} messages, {} of them outside of restarts, p50 {:.1} ms, p99 {:.1} ms, slowest {:.1} ms",
            good.len(),
            outside.messages,
            outside.p50_ms,
            outside.p99_ms,
            outside.slowest_ms
        ));
        Ok(outside.p99_ms)
    }

    fn seconds(&self) -> Result<u32> {
        let minutes = match self.minutes {
            Minutes::Fixed(minutes) => minutes,
            Minutes::Asked(usual) => match std::env::var(MINUTES) {
                Err(_) => usual,
                Ok(text) => minutes(&text)?,
            },
        };
        Ok(minutes * 60)
    }

    /// Devices with a wrong key. As many again are unknown.
    fn wrong_keys(&self) -> u32 {
        self.bad / 2
    }

    /// Different devices that send once.
    fn churn(&self, seconds: u32) -> u32 {
        self.churn_rate * seconds.min(CHURN_ROUND_S)
    }

    /// All devices, as `device_file.py` takes them.
    fn listed(&self, seconds: u32) -> [String; 5] {
        [
            format!("good-:1:{}", self.good),
            format!("bad-:1:{}:wrong", self.wrong_keys()),
            format!("bad-:{}:{}", self.wrong_keys() + 1, self.bad),
            format!("churn-:1:{}", self.churn(seconds)),
            "stalled-:1:1".to_owned(),
        ]
    }
}

fn minutes(text: &str) -> Result<u32> {
    let minutes = text.parse().ok();
    let wrong = || {
        let (least, most) = MINUTES_ALLOWED.into_inner();
        Error::Unexpected(format!(
            "{MINUTES}={text}: a number from {least} to {most} is wanted"
        ))
    };
    minutes
        .filter(|minutes| MINUTES_ALLOWED.contains(minutes))
        .ok_or_else(wrong)
}

/// Kills the hub and starts it again, and waits until the bridge has it back.
fn restart(workspace: &Workspace, running: &mut Running, folder: &Path) -> Result<Window> {
    let killed = Instant::now();
    let from_ms = unix_ms();
    running.kill_emulator()?;
    let mut noticed = false;
    while killed.elapsed() < AWAY {
        sleep(TICK / 4);
        noticed |= !api::is_ready()?;
    }
    running.start_emulator(workspace, folder)?;
    let started = Instant::now();
    while !api::is_ready()? {
        noticed = true;
        if started.elapsed() > READY {
            let text = format!(
                "not ready {} s after the hub was there again",
                READY.as_secs()
            );
            return Err(Error::Unexpected(text));
        }
        sleep(TICK / 10);
    }
    if !noticed {
        let text = "/readyz said that all is well while the hub was away: it does not tell when it is back";
        return Err(Error::Unexpected(text.into()));
    }
    Ok(Window {
        from_ms,
        until_ms: unix_ms() + SETTLING.as_millis() as u64,
    })
}

/// The hub must have refused renewals, or that they may fail shows nothing.
fn check_renewals(folder: &Path) -> Result<()> {
    let log = folder.join("emulator.log");
    let text = std::fs::read_to_string(&log).map_err(Error::io("reading", &log))?;
    let lines = refused_renewals(&text);
    if lines == 0 {
        let text = "no renewal was refused: this shows nothing";
        return Err(Error::Unexpected(text.into()));
    }
    say(&format!(
        "the hub refused renewals; {lines} lines of its log are about that"
    ));
    Ok(())
}

/// Lines of the hub's log about renewals that it was asked to refuse. Tokens of bad devices are refused, too.
fn refused_renewals(log: &str) -> usize {
    let refused = |line: &&str| line.contains("token refused") && line.contains("--fault");
    log.lines().filter(refused).count()
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

fn bar(seconds: u32) -> ProgressBar {
    let bar = ProgressBar::new(seconds.into());
    let style = ProgressStyle::with_template("           {bar:40} {pos} of {len} s  {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_read_strictly() {
        assert_eq!(minutes("60").ok(), Some(60));
        for text in ["", "0", "44", "1441", "-60", "60s", "1.5"] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_that_is_refused_for_its_key_is_no_renewal() {
        let log = r#"WARN drawspan_emulator::emulator: this goes wrong, as asked for fault=renewals=10%
INFO drawspan_emulator::refusals: token refused code="401003" reason="the token is signed with another key" what="bad-1"
"#;
        assert_eq!(refused_renewals(log), 0);
        let refused = r#"INFO drawspan_emulator::refusals: token refused code="500001" reason="the hub failed, as it was asked to by --fault""#;
        assert_eq!(refused_renewals(&format!("{log}{refused}\n")), 1);
    }

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
