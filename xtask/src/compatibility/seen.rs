//! What scripts have reported, from their logs.

use std::fs;
use std::path::Path;

use super::{Cells, Outcome, columns, rows};
use crate::conformance::{self, Scenario};
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Columns of clients that not every machine has.
pub(super) const MOSQUITTO: &str = "mosquitto-mqtt";
pub(super) const UAMQP: &str = "uamqp";

/// What a line of a report begins with.
const MARK: &str = "capability: ";

/// Whether that column may have no report.
pub(super) fn may_be_missing(column: &str) -> bool {
    [MOSQUITTO, UAMQP].contains(&column)
}

/// All scenarios that may have something to say.
pub(super) fn all() -> Vec<&'static Scenario> {
    conformance::SCENARIOS.iter().collect()
}

/// What the latest runs of these scenarios have reported.
pub(super) fn of(workspace: &Workspace, scenarios: &[&Scenario]) -> Result<Cells> {
    let mut cells = Cells::new();
    for scenario in scenarios {
        let folder = workspace.conformance().join("logs").join(scenario.name);
        if folder.is_dir() {
            in_folder(&folder, &mut cells)?;
        }
    }
    Ok(cells)
}

fn in_folder(folder: &Path, cells: &mut Cells) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(Error::io("reading", folder))?;
    for entry in entries {
        let path = entry.map_err(Error::io("reading", folder))?.path();
        if path.extension().is_none_or(|it| it != "log") {
            continue;
        }
        let bytes = fs::read(&path).map_err(Error::io("reading", &path))?;
        for line in String::from_utf8_lossy(&bytes).lines() {
            add(line, cells)
                .map_err(|what| Error::Unexpected(format!("{}: {what}", path.display())))?;
        }
    }
    Ok(())
}

/// Adds what a line reports, if it does.
pub(super) fn add(line: &str, cells: &mut Cells) -> std::result::Result<(), String> {
    let Some(report) = line.strip_prefix(MARK) else {
        return Ok(());
    };
    let mut parts = report.splitn(3, ": ");
    let (id, name) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let column = columns::column(id).ok_or_else(|| format!("no column `{id}`: {line}"))?;
    let row = rows::row(name).ok_or_else(|| format!("no row `{name}`: {line}"))?;
    let outcome = parts
        .next()
        .map_or(Outcome::Passed, |class| Outcome::Refused(class.to_owned()));
    match cells.insert((column.id, row), outcome.clone()) {
        Some(before) if before != outcome => Err(format!("{before:?} was reported before: {line}")),
        _ => Ok(()),
    }
}
