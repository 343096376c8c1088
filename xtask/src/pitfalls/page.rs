//! The page, written from the list.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::list::{Item, List};
use super::tree::Tree;

const HEAD: &str = "\
# What an emulator of IoT Hub may get wrong, and what looks at it

`cargo xtask pitfalls` writes this page from `pitfalls.toml`; a test of `xtask` fails when an item is missing, has neither a test nor a reason, or names a test
that is not there. *Open* says what no test looks at, and why.
";

const PARTS: [(&str, &str); 3] = [
    (
        "Pitfalls of the protocols",
        "Things that an official SDK strictly depends on, or that break without a word.",
    ),
    (
        "What official clients were seen to require",
        "Found by running them and watching the wire.",
    ),
    (
        "Error codes",
        "The hub's codes. `hub/src/failure/tests.rs` is the bridge's side, which must understand what hubs say and the emulator does not.",
    ),
];

/// Writes the page. Fails when a test is not there.
pub(super) fn write(list: &List, tree: &Tree) -> Result<String, String> {
    let mut text = HEAD.to_owned();
    let mut missing = Vec::new();
    for ((heading, about), (_, items)) in PARTS.iter().zip(list.kinds()) {
        let _ = write!(
            text,
            "\n## {heading}\n\n{about}\n\n| | what | looked at by | open |\n|---|---|---|---|\n"
        );
        for (number, item) in in_order(items) {
            let mut tests = Vec::new();
            for id in &item.by {
                match tree.find(id) {
                    Ok(name) => tests.push(format!("`{name}`")),
                    Err(why) => missing.push(format!("{number}: {why}")),
                }
            }
            let open = item.open.as_deref().unwrap_or_default();
            let _ = writeln!(
                text,
                "| {number} | {} | {} | {open} |",
                item.what,
                tests.join("<br>")
            );
        }
    }
    match missing.is_empty() {
        true => Ok(text),
        false => Err(format!("{}:\n  {}", super::LIST, missing.join("\n  "))),
    }
}

fn in_order(items: &BTreeMap<String, Item>) -> Vec<(&String, &Item)> {
    let mut items: Vec<_> = items.iter().collect();
    // By number; families of codes after what begins with them.
    items.sort_by_key(|(key, _)| {
        let first = key.split('-').next().unwrap_or(key).replace("xx", "99");
        first.parse::<u32>().unwrap_or(u32::MAX)
    });
    items
}
