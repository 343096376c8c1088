//! What every file of the repository keeps to.

// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::expect_used, clippy::panic)]

mod metadata;

use std::fs;
use std::process::Command;

use metadata::{Metadata, root, run, text};

/// Longest Rust file.
const MAX_LINES: usize = 500;

/// Files that may be longer, each with its reason.
const MAY_BE_LONGER: &[(&str, &str)] = &[];

/// Files that people do not write.
const GENERATED: &[&str] = &[
    "Cargo.lock",
    "conformance/node-old/package-lock.json",
    "conformance/node/package-lock.json",
];

/// Path and text of every file under version control; files that are not text are left out.
fn files() -> Vec<(String, String)> {
    let list = run(Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root()));
    let names = list.split('\0').filter(|name| !name.is_empty());
    let read = |name: &str| {
        fs::read(root().join(name))
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let files: Vec<_> = names
        .filter_map(|name| Some((name.to_owned(), read(name)?)))
        .collect();
    assert!(
        files.len() > 20,
        "git ls-files names the repository's files"
    );
    files
}

#[test]
fn rust_files_are_short() {
    let files = files();
    let rust = || files.iter().filter(|(name, _)| name.ends_with(".rs"));
    let excused = |name: &str| MAY_BE_LONGER.iter().any(|(path, _)| *path == name);
    let long: Vec<String> = rust()
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(name, lines)| *lines > MAX_LINES && !excused(name))
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "split these: {long:#?}");
    for (path, reason) in MAY_BE_LONGER {
        let needed = rust().any(|(name, text)| name == path && text.lines().count() > MAX_LINES);
        assert!(
            needed && !reason.is_empty(),
            "{path} needs no exception any more"
        );
    }
}

#[test]
fn every_crate_says_what_it_is() {
    let metadata = Metadata::of_workspace();
    for target in metadata
        .packages()
        .flat_map(|package| package["targets"].as_array().expect("targets"))
    {
        let path = text(target, "src_path");
        let source = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(source.starts_with("//!"), "{path} begins with no `//!`");
    }
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    let places = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("/Us", "ers/"),
    ];
    let mut found = Vec::new();
    for (name, text) in files() {
        for (number, line) in text.lines().enumerate() {
            // A route with such a word in its middle is no place: the slash must begin a path.
            let begins = |at: usize| {
                !line[..at].ends_with(|before: char| {
                    before.is_alphanumeric() || before == '.' || before == '}'
                })
            };
            let is_place = |place: &&str| line.match_indices(*place).any(|(at, _)| begins(at));
            if places.iter().any(is_place) {
                found.push(format!("{name}:{}: {line}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_is_left_over() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
        concat!("<<<<", "<<<"),
        concat!(">>>>", ">>>"),
    ];
    let mut found = Vec::new();
    for (name, text) in files()
        .into_iter()
        .filter(|(name, _)| !GENERATED.contains(&name.as_str()))
    {
        for (number, line) in text.lines().enumerate() {
            let is_marked = |mark: &&str| {
                line.match_indices(*mark)
                    .any(|(at, _)| stands_alone(line, at, mark.len()))
            };
            if marks.iter().any(is_marked) {
                found.push(format!("{name}:{}: {line}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn stands_alone(line: &str, at: usize, length: usize) -> bool {
    let is_word =
        |neighbour: Option<char>| neighbour.is_some_and(|c| c.is_alphanumeric() || c == '_');
    !is_word(line[..at].chars().next_back()) && !is_word(line[at + length..].chars().next())
}

#[test]
fn lock_files_name_no_registry() {
    for (name, text) in files() {
        if name.ends_with("package-lock.json") {
            assert!(
                !text.contains("\"resolved\""),
                "{name}: install with omit-lockfile-registry-resolved"
            );
        }
        if name.contains("requirements") && name.ends_with(".txt") {
            let wrong: Vec<&str> = text
                .lines()
                .filter(|line| {
                    line.contains("://") || line.trim_start().starts_with("--find-links")
                })
                .collect();
            assert!(wrong.is_empty(), "{name}: {wrong:?}");
        }
    }
}
