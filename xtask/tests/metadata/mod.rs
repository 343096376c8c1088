//! What `cargo metadata` says about this workspace.

// Every test program uses a part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(crate) struct Metadata(Value);

impl Metadata {
    /// The workspace's own packages, as their manifests say.
    pub(crate) fn of_workspace() -> Self {
        Self::read(&["--no-deps"])
    }

    /// All packages, those of optional features included, resolved for this machine's platform: those of others need not have
    /// been downloaded.
    pub(crate) fn of_everything() -> Self {
        let version = run(Command::new("rustc").arg("-vV"));
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .expect("rustc names its host")
            .to_owned();
        Self::read(&["--all-features", "--filter-platform", &host])
    }

    fn read(arguments: &[&str]) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(["metadata", "--format-version", "1", "--offline"])
            .args(arguments)
            .current_dir(root());
        Self(serde_json::from_str(&run(&mut command)).expect("cargo metadata is JSON"))
    }

    /// Package -> its dependencies within the workspace, each with whether only tests use it.
    pub(crate) fn own_dependencies(&self) -> BTreeMap<String, Vec<(String, bool)>> {
        let own: BTreeSet<&str> = self
            .packages()
            .map(|package| text(package, "name"))
            .collect();
        let of = |package: &Value| {
            let all = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter();
            let within = all.filter(|dependency| own.contains(text(dependency, "name")));
            within
                .map(|dependency| {
                    (
                        text(dependency, "name").to_owned(),
                        dependency["kind"] == "dev",
                    )
                })
                .collect()
        };
        self.packages()
            .map(|package| (text(package, "name").to_owned(), of(package)))
            .collect()
    }

    /// Names of all packages that `name` builds upon, itself included; those of its tests not.
    pub(crate) fn below(&self, name: &str) -> BTreeSet<String> {
        let names: BTreeMap<&str, &str> = self
            .packages()
            .map(|package| (text(package, "id"), text(package, "name")))
            .collect();
        let nodes = self.0["resolve"]["nodes"]
            .as_array()
            .expect("a resolved graph");
        let uses: BTreeMap<&str, &Value> =
            nodes.iter().map(|node| (text(node, "id"), node)).collect();
        let mut open: Vec<&str> = names
            .iter()
            .filter(|(_, known)| **known == name)
            .map(|(id, _)| *id)
            .collect();
        let mut seen: BTreeSet<&str> = open.iter().copied().collect();
        while let Some(id) = open.pop() {
            for used in uses[id]["deps"].as_array().expect("deps") {
                let only_tests = used["dep_kinds"]
                    .as_array()
                    .expect("kinds")
                    .iter()
                    .all(|kind| kind["kind"] == "dev");
                if !only_tests && seen.insert(text(used, "pkg")) {
                    open.push(text(used, "pkg"));
                }
            }
        }
        seen.iter().map(|id| names[id].to_owned()).collect()
    }

    /// All packages.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &Value> {
        self.0["packages"].as_array().expect("packages").iter()
    }
}

/// A text member of a JSON object.
pub(crate) fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} is text"))
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
        .to_owned()
}

/// The output of a command that must succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("output is UTF-8")
}
