//! The list of allowed differences.

use std::fmt;

/// A field that the two clients do not fill in alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    pub(crate) frame: String,
    pub(crate) field: String,
    pub(crate) node: String,
    pub(crate) ours: String,
}

/// A difference that may be, and why. In a value `*` stands for what changes from run to run.
#[derive(Debug)]
pub(crate) struct Allowed {
    pub(crate) difference: Difference,
    pub(crate) why: String,
}

/// Reads the list: a line `frame  field` at the margin, then `node`, `ours` and `why`, indented; a reason may go on over
/// further lines, indented more.
pub(crate) fn read(text: &str) -> Vec<Allowed> {
    let mut entries: Vec<Allowed> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if !line.starts_with(' ') {
            entries.push(heading(line));
            continue;
        }
        let entry = entries
            .last_mut()
            .unwrap_or_else(|| panic!("belongs to nothing: {line}"));
        if line.starts_with("    ") {
            entry.why = format!("{} {}", entry.why, line.trim());
            continue;
        }
        let (word, value) = line
            .trim()
            .split_once(' ')
            .unwrap_or_else(|| panic!("no value: {line}"));
        let place = match word {
            "node" => &mut entry.difference.node,
            "ours" => &mut entry.difference.ours,
            "why" => &mut entry.why,
            _ => panic!("node, ours or why is expected: {line}"),
        };
        value.trim().clone_into(place);
    }
    for Allowed { difference, why } in &entries {
        let whole = [&difference.node, &difference.ours, why]
            .iter()
            .all(|part| !part.is_empty());
        assert!(whole, "not whole:\n{difference}");
    }
    entries
}

fn heading(line: &str) -> Allowed {
    let (frame, field) = line
        .rsplit_once(' ')
        .unwrap_or_else(|| panic!("no field: {line}"));
    Allowed {
        difference: Difference {
            frame: frame.trim().to_owned(),
            field: field.to_owned(),
            node: String::new(),
            ours: String::new(),
        },
        why: String::new(),
    }
}

impl Allowed {
    pub(crate) fn allows(&self, found: &Difference) -> bool {
        let listed = &self.difference;
        listed.frame == found.frame
            && listed.field == found.field
            && matches(&listed.node, &found.node)
            && matches(&listed.ours, &found.ours)
    }
}

fn matches(pattern: &str, value: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == value,
        Some((start, end)) => {
            value.len() >= start.len() + end.len()
                && value.starts_with(start)
                && value.ends_with(end)
        }
    }
}

/// As it would stand in the list.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            frame,
            field,
            node,
            ours,
        } = self;
        write!(f, "{frame}  {field}\n  node  {node}\n  ours  {ours}")
    }
}
