//! The list, read and looked through.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::numbers::{CODES, FAMILIES, FINDINGS, PITFALLS};

/// All items, by number. Codes may stand together as `400007-400010`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    pub(super) pitfalls: BTreeMap<String, Item>,
    pub(super) findings: BTreeMap<String, Item>,
    pub(super) codes: BTreeMap<String, Item>,
}

/// One of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    /// What it is, in a few words.
    pub(super) what: String,
    /// Tests that look at it: `end/of/path.rs::name`, or `scenario NAME`.
    #[serde(default)]
    pub(super) by: Vec<String>,
    /// What no test looks at, and why.
    pub(super) open: Option<String>,
}

impl List {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| format!("{}: {error}", super::LIST))
    }

    /// Whether nothing is missing.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut wrong = numbered("pitfall", &self.pitfalls, PITFALLS);
        wrong.extend(numbered("finding", &self.findings, FINDINGS));
        wrong.extend(self.missing_codes());
        for (kind, items) in self.kinds() {
            for (number, item) in items {
                if item.what.is_empty() {
                    wrong.push(format!("{kind} {number} does not say what it is"));
                }
                let is_open = item.open.as_deref().is_some_and(|why| !why.is_empty());
                if item.by.is_empty() && !is_open {
                    wrong.push(format!("{kind} {number} has neither a test nor a reason"));
                }
            }
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(format!("{}:\n  {}", super::LIST, wrong.join("\n  "))),
        }
    }

    /// Its three parts, with what their items are called.
    pub(super) fn kinds(&self) -> [(&'static str, &BTreeMap<String, Item>); 3] {
        [
            ("pitfall", &self.pitfalls),
            ("finding", &self.findings),
            ("code", &self.codes),
        ]
    }

    fn missing_codes(&self) -> Vec<String> {
        let mut listed = BTreeSet::new();
        let mut wrong = Vec::new();
        for key in self.codes.keys() {
            if FAMILIES.contains(&key.as_str()) {
                continue;
            }
            let (first, last) = key.split_once('-').unwrap_or((key, key));
            match (first.parse::<u32>(), last.parse::<u32>()) {
                (Ok(first), Ok(last)) if first <= last && last - first < 100 => {
                    wrong.extend(
                        (first..=last)
                            .filter(|code| !listed.insert(*code))
                            .map(|code| format!("code {code} is there twice")),
                    );
                }
                _ => wrong.push(format!("`{key}` is no code")),
            }
        }
        let needed: BTreeSet<u32> = CODES.iter().cloned().flatten().collect();
        let missing = needed.difference(&listed);
        wrong.extend(missing.map(|code| format!("code {code} is missing")));
        let families = FAMILIES.iter().filter(|it| !self.codes.contains_key(**it));
        wrong.extend(families.map(|family| format!("codes {family} are missing")));
        wrong
    }
}

fn numbered(
    kind: &str,
    items: &BTreeMap<String, Item>,
    numbers: std::ops::RangeInclusive<u32>,
) -> Vec<String> {
    let known = |key: &str| key.parse().is_ok_and(|number| numbers.contains(&number));
    let unknown = items.keys().filter(|key| !known(key));
    let mut wrong: Vec<String> = unknown.map(|key| format!("no {kind} {key}")).collect();
    let missing = numbers
        .clone()
        .filter(|it| !items.contains_key(&it.to_string()));
    wrong.extend(missing.map(|number| format!("{kind} {number} is missing")));
    wrong
}
