//! `docs/compatibility.md`: what each official and foreign client was seen to do at the emulator.
//!
//! Scripts of conformance print a line for each thing that they have asserted: `capability: COLUMN: ROW`, or `capability: COLUMN: ROW: CLASS` where
//! the client raised an error of a class. The page is made of these lines; a run fails when it saw something else than the page says.

mod columns;
mod page;
mod reasons;
mod rows;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;

use crate::conformance::Scenario;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Where the page is, from the root.
const PAGE: &str = "docs/compatibility.md";

/// What was seen, by column and row: that it works, or the class of the error that the client raised.
type Cells = BTreeMap<(&'static str, &'static str), Outcome>;

/// What a client did.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// It worked, and the script looked at what came of it.
    Passed,
    /// The client raised an error of this class, as it must.
    Refused(String),
}

/// Writes the page from what the latest runs of all scenarios saw. A client that this machine does not have stays as it is on the page.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let seen = seen::of(workspace, &seen::all())?;
    let path = workspace.root.join(PAGE);
    let old = fs::read_to_string(&path).unwrap_or_default();
    let mut cells = page::read(&old);
    cells.retain(|(column, _), _| seen::may_be_missing(column));
    cells.extend(seen);
    let text = page::write(&cells).map_err(Error::Unexpected)?;
    fs::write(&path, text).map_err(Error::io("writing", &path))?;
    println!("{PAGE}: {} cells", cells.len());
    Ok(())
}

/// Compares the page with what these scenarios have just seen; with all usual scenarios also whether the page claims more.
pub(crate) fn check(workspace: &Workspace, ran: &[&Scenario], is_whole: bool) -> Result<()> {
    let path = workspace.root.join(PAGE);
    let text = fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
    let claimed = page::read(&text);
    let seen = seen::of(workspace, ran)?;
    let mut differences: Vec<String> = seen
        .iter()
        .filter(|(cell, outcome)| claimed.get(*cell) != Some(outcome))
        .map(|((column, row), outcome)| format!("{column}, {row}: {outcome:?} was seen"))
        .collect();
    if is_whole {
        let more = claimed
            .keys()
            .filter(|cell| !seen.contains_key(*cell) && !seen::may_be_missing(cell.0));
        differences.extend(more.map(|(column, row)| format!("{column}, {row}: was not seen")));
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::Unexpected(format!(
        "{PAGE} says something else (cargo xtask conformance --table writes it anew):\n  {}",
        differences.join("\n  ")
    )))
}
