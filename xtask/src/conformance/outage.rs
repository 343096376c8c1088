//! The emulator dies under load and comes back: every request is answered, and all devices connect again by themselves.
//! That nothing acknowledged is lost, a script checks afterwards from the load's ledger.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::environment::{API_KEY, BRIDGE, DEVICE_PREFIX};
use super::scenario::Program;
use super::servers::Running;
use crate::error::{Error, Result};
use crate::load::{Load, Report};
use crate::process::script;
use crate::workspace::Workspace;

/// The bridge's own deadline of a request, as `serve --help` says.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// By then every request must have been answered; what a busy machine adds is no reason to fail.
const ANSWERED: Duration = REQUEST_TIMEOUT.saturating_add(Duration::from_secs(5));
/// The ledger of the load, in the scenario's folder.
pub(crate) const LEDGER: &str = "load.tsv";

/// An outage of the emulator under load.
pub(crate) struct Outage {
    /// Devices that are connected before.
    pub(crate) devices: u32,
    /// HTTP connections of the load, each with one request in flight.
    pub(crate) connections: u32,
    /// Requests per second.
    pub(crate) rate: u32,
    /// How long the load sends, in seconds.
    pub(crate) load_s: u32,
    /// When the emulator is killed, after the load's start.
    pub(crate) after: Duration,
    /// How long it is away.
    pub(crate) lasts: Duration,
    /// Within this time a working product is connected again; printed next to the measurement.
    pub(crate) floor_s: u64,
}

impl Outage {
    /// The devices that the emulator must have.
    pub(crate) fn emulator_flags(&self) -> Vec<String> {
        let devices = format!("{DEVICE_PREFIX}[1-{}]", self.devices);
        vec!["--device".into(), devices]
    }
}

/// Ends when the hub says that so many devices (an argument) are connected.
pub(crate) const CONNECTED: Program = Program::Python("connected.py", &[]);

/// Runs it. `connected` is the command of [`CONNECTED`], complete.
pub(crate) fn run(
    workspace: &Workspace,
    outage: &Outage,
    running: &mut Running,
    connected: Command,
    folder: &Path,
) -> Result<()> {
    let first_of_each = [("messages", outage.devices)];
    let report = start(workspace, "connect", outage, &first_of_each, folder)?.finish()?;
    report.all_ok("the first message of each device")?;
    say(&format!(
        "{} devices connected by their first message in {:.1} s",
        outage.devices, report.seconds
    ));

    let flags = [("duration", outage.load_s), ("rate", outage.rate)];
    let load = start(workspace, "load", outage, &flags, folder)?;
    sleep(outage.after);
    running.kill_emulator()?;
    sleep(outage.lasts);
    running.start_emulator(workspace, folder)?;
    let ready = Instant::now();
    script("connected", connected, folder)?;
    say(&format!(
        "{} devices connected again {:.1} s after `ready` (floor: {} s)",
        outage.devices,
        ready.elapsed().as_secs_f64(),
        outage.floor_s
    ));
    let report = load.finish()?;
    running.check()?;
    let ledger = folder.join(LEDGER);
    check(
        &report,
        &fs::read_to_string(&ledger).map_err(Error::io("reading", &ledger))?,
    )?;
    say(&format!(
        "all of {} requests answered: {:?}; slowest {:.1} s (deadline: {} s)",
        report.requests,
        report.statuses,
        report.slowest_us as f64 / 1e6,
        REQUEST_TIMEOUT.as_secs()
    ));
    Ok(())
}

/// Starts a load on the bridge.
pub(crate) fn start(
    workspace: &Workspace,
    name: &str,
    outage: &Outage,
    flags: &[(&str, u32)],
    folder: &Path,
) -> Result<Load> {
    let mut all = vec!["--device-prefix".to_owned(), DEVICE_PREFIX.to_owned()];
    let ledger = folder.join(format!("{name}.tsv"));
    all.extend(["--ledger".into(), ledger.display().to_string()]);
    // Longer than the bridge may take: that it answers is what is checked, not that we give up.
    let patience = ("timeout", 2 * REQUEST_TIMEOUT.as_secs() as u32);
    let own = [
        ("devices", outage.devices),
        ("connections", outage.connections),
        patience,
    ];
    for (flag, value) in own.iter().chain(flags) {
        all.extend([format!("--{flag}"), value.to_string()]);
    }
    Load::start(workspace, name, BRIDGE, API_KEY, &all, folder)
}

/// Every request has its line, was answered, and in time; and the load was a load on both sides of the outage.
fn check(report: &Report, ledger: &str) -> Result<()> {
    let (mut requests, mut ok) = (0, 0);
    for line in ledger.lines() {
        let mut fields = line.split('\t').skip(2);
        let status: Option<u16> = fields.next().and_then(|field| field.parse().ok());
        let latency: Option<u64> = fields.next().and_then(|field| field.parse().ok());
        let (Some(status), Some(latency)) = (status, latency) else {
            return Err(Error::Unexpected(format!("the ledger has a line `{line}`")));
        };
        requests += 1;
        ok += u64::from(status == 200);
        if status == 0 {
            return Err(Error::Unexpected(format!("no answer: {line}")));
        }
        if u128::from(latency) > ANSWERED.as_micros() {
            return Err(Error::Unexpected(format!("answered too late: {line}")));
        }
    }
    if (requests, ok) != (report.requests, report.ok) || ok == 0 {
        return Err(Error::Unexpected(format!(
            "the ledger has {requests} requests and {ok} with 200, the load says {} and {}",
            report.requests, report.ok
        )));
    }
    Ok(())
}

pub(crate) fn say(what: &str) {
    println!("           {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_must_have_been_answered_in_time() {
        let check = |ledger: &str, expected: &str| {
            let line = r#"{"requests":2,"ok":1,"no_answer":0,"seconds":1,"ok_per_s":1,
                "latency_us":{"p50":1,"p99":3,"max":4},"slowest_us":5,"statuses":{}}"#;
            let report: Report = serde_json::from_str(line).unwrap();
            let said = check(&report, ledger).err().map(|error| error.to_string());
            let said = said.unwrap_or_default();
            assert!(
                said.contains(expected) && said.is_empty() == expected.is_empty(),
                "{ledger}: {said}"
            );
        };
        check("1\ta\t200\t10\n2\tb\t503\t35000000\n", "");
        check("1\ta\t200\t10\n2\tb\t0\t10\n", "no answer: 2");
        check("1\ta\t200\t10\n2\tb\t503\t35000001\n", "too late: 2");
        check("1\ta\t200\t10\n", "1 requests and 1 with 200");
        check(
            "1\ta\t503\t10\n2\tb\t503\t10\n",
            "2 requests and 0 with 200",
        );
        check("1\ta\n", "a line `1\ta`");
    }
}
