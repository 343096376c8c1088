//! `cargo xtask bench`: speed compared with a ceiling in the same run. `BENCHMARKS.md` describes what is measured and how.

mod downlink;
mod machine;
mod plan;
mod process_facts;
mod read_back;
mod report;
mod scale;
mod spread;
mod stand;
mod storm;
mod table;

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::step::step;
use crate::workspace::Workspace;
use machine::Machine;
use plan::{Part, Plan};
use read_back::Reader;
use report::Results;

pub(crate) use process_facts::{connections_to, resident_bytes};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Shorter and fewer runs, and fewer devices: shows that all of it works, not figures to quote
    #[arg(long)]
    quick: bool,
    /// Which part of it
    #[arg(long, value_enum, default_value = "all")]
    only: Part,
}

/// Builds, measures, prints a table and writes `target/bench/result.json`. Fails when something did not work, never because
/// of a figure.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let plan = if arguments.quick {
        Plan::QUICK
    } else {
        Plan::FULL
    };
    // One by one, so that neither is built with features that only the other asks for.
    for package in ["drawspan", "drawspan-ceiling"] {
        step(
            &format!("build: {package}"),
            &mut workspace.cargo(&["build", "--release", "--quiet", "--package", package]),
        )?;
    }
    let only = arguments.only;
    let has = |part| only == Part::All || only == part;
    let folder = workspace.target.join("bench");
    fresh(&folder)?;
    let machine = Machine::of_this(workspace, &plan)?;
    println!("── bench: {} (about {} s)", machine.at, plan.about_s(only));
    let scales = match has(Part::Telemetry) {
        true => {
            let reader = Reader::find(workspace)?;
            let measure = |scale| scale::measure(workspace, scale, &reader, &folder);
            plan.scales
                .iter()
                .map(measure)
                .collect::<Result<Vec<_>>>()?
        }
        false => Vec::new(),
    };
    let downlinks = has(Part::Downlinks)
        .then(|| downlink::measure(workspace, &plan.downlinks, &folder))
        .transpose()?;
    let subscribed = has(Part::Subscribed)
        .then(|| downlink::subscribed::measure(workspace, &plan.subscribed, &folder))
        .transpose()?;
    let storms = has(Part::Storm)
        .then(|| storm::measure(workspace, &plan.storm, &folder))
        .transpose()?;
    let results = Results {
        machine,
        scales,
        downlinks,
        subscribed,
        storms,
    };
    let json = results.to_json()?;
    let path = folder.join("result.json");
    fs::write(&path, json).map_err(Error::io("writing", &path))?;
    println!("\n{}", table::of(&results));
    println!("All of it: {}", path.display());
    Ok(())
}

fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::io("removing", folder))?;
    }
    fs::create_dir_all(folder).map_err(Error::io("making", folder))
}
