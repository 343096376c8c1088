//! The page itself, written from cells and read back into them.

use std::fmt::Write;

use super::columns::{CLIENTS, Client, NOT_RUN};
use super::reasons::reason;
use super::rows::{CAPABILITIES, REFUSALS};
use super::{Cells, Outcome, columns, rows};

const HEAD: &str = "\
# What runs at the emulator

This page is written by `cargo xtask conformance --table`, from what unmodified clients did at the emulator; a run of `cargo xtask conformance` fails when it sees
something else. Nothing here is from a document.

- **passed**: a script drove the client and looked at what came of it, at the other end where there is one.
- A name like `UnauthorizedError`: the client refused by this name, or raised an error of this class. Where it stands for a capability, the client does not have
  it over that transport and says so by itself; where it stands for a refusal, this is what your code will catch.
- **not run**: with the reason beneath the table.

Every row of telemetry was read back by `@azure/event-hubs`, with body, properties, ids and annotations.
";

/// Writes the page. Fails when a cell was not reported and there is no reason why, or was reported and has such a reason.
pub(super) fn write(cells: &Cells) -> Result<String, String> {
    let mut text = HEAD.to_owned();
    for client in CLIENTS {
        text.push_str(&section(client, cells)?);
    }
    text.push_str(
        "\n## Not run here\n\n| client | its transports | why not | instead |\n|---|---|---|---|\n",
    );
    for row in NOT_RUN {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    Ok(text)
}

fn section(client: &Client, cells: &Cells) -> Result<String, String> {
    let mut text = format!("\n## {}\n\n{}", client.name, client.about);
    if !client.locked.0.is_empty() {
        let _ = write!(text, " All versions: `conformance/{}`.", client.locked.0);
    }
    text.push('\n');
    let mut reasons: Vec<&str> = Vec::new();
    for (title, names) in [("capability", CAPABILITIES), ("refusal", REFUSALS)] {
        let transports: Vec<_> = client.columns.iter().map(|it| it.transport).collect();
        let rule = "---|".repeat(transports.len() + 1);
        let _ = write!(
            text,
            "\n| {title} | {} |\n|{rule}\n",
            transports.join(" | ")
        );
        for row in names {
            let _ = write!(text, "| {row} |");
            for column in client.columns {
                let cell = cell(cells, (column.id, row), &mut reasons)?;
                let _ = write!(text, " {cell} |");
            }
            text.push('\n');
        }
    }
    if !reasons.is_empty() {
        text.push('\n');
    }
    for (number, reason) in reasons.iter().enumerate() {
        let _ = writeln!(text, "{}. Not run: {reason}.", number + 1);
    }
    Ok(text)
}

fn cell(
    cells: &Cells,
    place: (&'static str, &'static str),
    reasons: &mut Vec<&'static str>,
) -> Result<String, String> {
    let (column, row) = place;
    match (cells.get(&place), reason(column, row)) {
        (Some(Outcome::Passed), None) => Ok("passed".to_owned()),
        (Some(Outcome::Refused(class)), None) => Ok(format!("`{class}`")),
        (None, Some(why)) => {
            let at = reasons.iter().position(|it| *it == why);
            let number = at.unwrap_or_else(|| {
                reasons.push(why);
                reasons.len() - 1
            });
            Ok(format!("not run ({})", number + 1))
        }
        (None, None) => Err(format!(
            "{column}, {row}: no script has reported it, and reasons.rs has no reason. Scenarios that may do so: {}",
            columns::scenarios(column).join(" ")
        )),
        (Some(_), Some(why)) => Err(format!(
            "{column}, {row}: was reported, though reasons.rs says: {why}"
        )),
    }
}

/// The cells of a page. What it does not understand is left out, so that it shows as a difference.
pub(super) fn read(text: &str) -> Cells {
    let mut cells = Cells::new();
    let mut client: Option<&Client> = None;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            client = CLIENTS.iter().find(|it| it.name == heading);
        }
        let Some((client, line)) = client.zip(line.strip_prefix("| ")) else {
            continue;
        };
        let mut parts = line.trim_end_matches(" |").split(" | ");
        let Some(row) = parts.next().and_then(rows::row) else {
            continue;
        };
        for (column, part) in client.columns.iter().zip(parts) {
            let class = part.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
            let outcome = match (part, class) {
                ("passed", _) => Outcome::Passed,
                (_, Some(class)) => Outcome::Refused(class.to_owned()),
                _ => continue,
            };
            cells.insert((column.id, row), outcome);
        }
    }
    cells
}
