//! Messages and methods to devices, through the bridge to a receiver of events.

mod stand;
pub(super) mod subscribed;
pub(super) mod table;

use std::path::Path;

use serde::Serialize;

use super::plan;
use super::spread::Spread;
use crate::error::{Error, Result};
use crate::load::downlink::{Calls, Messages, Report};
use crate::workspace::Workspace;
use stand::{Spent, Stand};

/// What was measured.
#[derive(Serialize)]
pub(crate) struct Downlinks {
    pub(crate) devices: u32,
    /// Of each of both, per second.
    pub(crate) rate: u32,
    pub(crate) runs: Vec<Run>,
    /// While one receiver misbehaves.
    pub(crate) beside_bad: BesideBad,
}

/// One load.
#[derive(Serialize)]
pub(crate) struct Run {
    pub(crate) load: Report,
    /// CPU time per event, in microseconds: of the bridge, the emulator, and the load with its receiver.
    pub(crate) cpu_us_per_event: [f64; 3],
    /// Cores that were busy with something else.
    pub(crate) cores_of_others: f64,
    /// CPU time of the bridge, warm-up included.
    pub(crate) bridge_cpu_s: f64,
}

/// Two bridges at the same time, each with its own emulator and load, so that disturbances of the machine affect both. One of them
/// has a second receiver that misbehaves.
#[derive(Serialize)]
pub(crate) struct BesideBad {
    pub(crate) rate: u32,
    pub(crate) percent: u32,
    /// How often each manner was tried.
    pub(crate) rounds: u32,
    pub(crate) pairs: Vec<Pair>,
}

/// One of these.
#[derive(Serialize)]
pub(crate) struct Pair {
    pub(crate) manner: Manner,
    /// Where both receivers are good.
    pub(crate) good: Run,
    /// Where the second one has this manner.
    pub(crate) beside: Run,
}

/// What the second receiver does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) enum Manner {
    Good,
    Hangs,
    Fails,
}

/// Nothing is measured for so long, so that what an earlier run left at a bad receiver is gone.
const WARM_UP_S: u32 = 6;

/// Measures all of it.
pub(crate) fn measure(
    workspace: &Workspace,
    plan: &plan::Downlinks,
    folder: &Path,
) -> Result<Downlinks> {
    println!("   messages and methods to {} devices", plan.devices);
    let mut stand = Stand::start(workspace, "downlinks", plan.devices, folder)?;
    stand.load("subscribe", &flags(&[("subscribe", "c2d,methods")]))?;
    let mut runs = Vec::new();
    for number in 1..=plan.runs {
        let load = flags(&[
            ("subscribe", "none"),
            ("c2d-rate", &plan.rate.to_string()),
            ("method-rate", &plan.rate.to_string()),
            ("duration", &plan.seconds.to_string()),
        ]);
        let run = Run::of(stand.load("both", &load)?);
        check(&run.load)?;
        println!("   run {number} of {}: {}", plan.runs, line(&run));
        runs.push(run);
    }
    stand.end()?;
    let beside_bad = beside_bad(workspace, plan, folder)?;
    Ok(Downlinks {
        devices: plan.devices,
        rate: plan.rate,
        runs,
        beside_bad,
    })
}

fn beside_bad(workspace: &Workspace, plan: &plan::Downlinks, folder: &Path) -> Result<BesideBad> {
    let start = |name| Stand::start(workspace, name, plan.devices, folder);
    let mut stands = [start("beside-1")?, start("beside-2")?];
    let mut pairs = Vec::new();
    for _ in 0..plan.rounds {
        for manner in Manner::ALL {
            let [one, other] = &mut stands;
            let (good, beside) = std::thread::scope(|scope| {
                let good = scope.spawn(|| beside_load(one, plan, Manner::Good));
                let beside = beside_load(other, plan, manner);
                (good.join(), beside)
            });
            let good = good.map_err(|_| Error::Unexpected("a load panicked".to_owned()))??;
            let pair = Pair {
                manner,
                good,
                beside: beside?,
            };
            println!("   good: {}", line(&pair.good));
            println!(
                "   beside one that {}: {}",
                manner.name(),
                line(&pair.beside)
            );
            pairs.push(pair);
            // Neither is always the same.
            stands.reverse();
        }
    }
    let [one, other] = stands;
    one.end().and(other.end())?;
    Ok(BesideBad {
        rate: plan.beside_bad_rate,
        percent: plan.bad_percent,
        rounds: plan.rounds,
        pairs,
    })
}

fn beside_load(stand: &mut Stand<'_>, plan: &plan::Downlinks, manner: Manner) -> Result<Run> {
    let rate = plan.beside_bad_rate.to_string();
    let load = flags(&[
        ("subscribe", "c2d,methods"),
        ("c2d-rate", &rate),
        ("method-rate", &rate),
        ("duration", &plan.round_seconds.to_string()),
        ("bad-share", &plan.bad_percent.to_string()),
        ("bad-receiver", manner.flag()),
        ("method-timeout", "5"),
        ("warm-up", &WARM_UP_S.to_string()),
    ]);
    let run = Run::of(stand.load(manner.name(), &load)?);
    check(&run.load)?;
    Ok(run)
}

impl Manner {
    /// The first is for comparison.
    pub(super) const ALL: [Self; 3] = [Self::Good, Self::Hangs, Self::Fails];

    const fn flag(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Hangs => "hang",
            Self::Fails => "status:503",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Good => "answers",
            Self::Hangs => "hangs",
            Self::Fails => "fails",
        }
    }
}

impl Run {
    fn of((load, spent): (Report, Spent)) -> Self {
        let events = load.events().max(1) as f64;
        let us = |seconds: f64| seconds * 1e6 / events;
        Self {
            cpu_us_per_event: [us(spent.bridge), us(spent.emulator), us(spent.load)],
            cores_of_others: spent.cores_of_others,
            bridge_cpu_s: spent.bridge,
            load,
        }
    }
}

impl Report {
    /// Requests that a receiver got.
    fn events(&self) -> u64 {
        let messages = |all: &Messages| all.arrived + all.again;
        let calls = |all: &Calls| all.arrived + all.again;
        messages(&self.c2d)
            + messages(&self.bad_c2d)
            + calls(&self.methods)
            + calls(&self.bad_methods)
    }
}

impl BesideBad {
    /// The ratio of a measurement with a misbehaving receiver to one with a good receiver, at the same time.
    pub(crate) fn slowed(&self, manner: Manner, figure: impl Fn(&Run) -> f64) -> Spread {
        let pairs = self.pairs.iter().filter(|pair| pair.manner == manner);
        Spread::of(pairs.map(|pair| figure(&pair.beside) / figure(&pair.good).max(1e-9)))
    }
}

/// `drawspan load` fails by itself for what is lost or done twice; here everything of the first receiver must have arrived.
fn check(report: &Report) -> Result<()> {
    let (c2d, methods) = (&report.c2d, &report.methods);
    let all = c2d.sent == c2d.accepted && c2d.taken == c2d.sent && methods.answered == methods.sent;
    if all && c2d.sent > 0 && methods.sent > 0 {
        return Ok(());
    }
    Err(Error::Unexpected(format!(
        "not everything arrived: messages {c2d:?}, methods {methods:?}"
    )))
}

fn line(run: &Run) -> String {
    let ms = |us: u64| us as f64 / 1e3;
    let (c2d, methods) = (&run.load.c2d.latency_us, &run.load.methods.latency_us);
    format!(
        "messages mean {:.2} p50 {:.2} p99 {:.2} ms, methods mean {:.2} p50 {:.2} p99 {:.2} ms",
        ms(c2d.mean),
        ms(c2d.p50),
        ms(c2d.p99),
        ms(methods.mean),
        ms(methods.p50),
        ms(methods.p99)
    )
}

fn flags(values: &[(&str, &str)]) -> Vec<String> {
    let flag = |(name, value): &(&str, &str)| [format!("--{name}"), (*value).to_owned()];
    values.iter().flat_map(flag).collect()
}
