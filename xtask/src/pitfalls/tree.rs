//! The tests of the tree, found by their text.

use std::fs;
use std::io;
use std::path::Path;

use crate::conformance::{ON_REQUEST, SCENARIOS};

/// Where Rust tests lie, from the root.
const FOLDERS: &[&str] = &["crates", "sim", "xtask"];

/// Every Rust file that has tests: its path from the root, and its text.
pub(super) struct Tree {
    files: Vec<(String, String)>,
}

impl Tree {
    pub(super) fn of(root: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for folder in FOLDERS {
            collect(&root.join(folder), root, &mut files)?;
        }
        files.sort();
        Ok(Self { files })
    }

    #[cfg(test)]
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self {
            files: files.iter().map(own).collect(),
        }
    }

    /// The whole name of a test: its file's whole path for a Rust test. Fails when there is none, or more than one.
    pub(super) fn find(&self, id: &str) -> Result<String, String> {
        if let Some(name) = id.strip_prefix("scenario ") {
            let is_there = SCENARIOS.iter().any(|scenario| scenario.name == name);
            return match is_there && !ON_REQUEST.contains(&name) {
                true => Ok(id.to_owned()),
                false => Err(format!("{id}: no usual scenario has that name")),
            };
        }
        let (end, name) = id
            .split_once("::")
            .ok_or_else(|| format!("{id}: neither `path.rs::name` nor `scenario NAME`"))?;
        let ends_so = |path: &str| path == end || path.ends_with(&format!("/{end}"));
        let found: Vec<&str> = self
            .files
            .iter()
            .filter(|(path, text)| ends_so(path) && has_test(text, name))
            .map(|(path, _)| path.as_str())
            .collect();
        match found[..] {
            [path] => Ok(format!("{path}::{name}")),
            [] => Err(self.elsewhere(id, name)),
            _ => Err(format!("{id} may be any of {}", found.join(", "))),
        }
    }

    fn elsewhere(&self, id: &str, name: &str) -> String {
        let files = self.files.iter().filter(|(_, text)| has_test(text, name));
        let files: Vec<&str> = files.map(|(path, _)| path.as_str()).collect();
        match files.is_empty() {
            true => format!("{id}: there is no such test"),
            false => format!("{id}: not there, but in {}", files.join(", ")),
        }
    }
}

/// Whether a text has a test of that name: a function below an attribute that ends in `test]`, or one in `proptest!`.
fn has_test(text: &str, name: &str) -> bool {
    let is_it = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    let lines: Vec<&str> = text.lines().collect();
    let Some(at) = lines.iter().position(|line| is_it(line)) else {
        return false;
    };
    let attributes = lines[..at].iter().rev().map(|line| line.trim());
    let mut attributes =
        attributes.take_while(|line| line.starts_with('#') || line.starts_with("//"));
    attributes.any(|line| line.contains("test")) || text.contains("proptest!")
}

fn collect(folder: &Path, root: &Path, files: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, root, files)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path)?;
            if text.contains("test]") || text.contains("test(") || text.contains("proptest!") {
                let name = path.strip_prefix(root).unwrap_or(&path);
                files.push((name.to_string_lossy().into_owned(), text));
            }
        }
    }
    Ok(())
}
