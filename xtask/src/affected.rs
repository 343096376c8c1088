//! What a change may have broken: crates whose files changed, those that depend on them, and the scenarios that run them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::Command;

use serde::Deserialize;

use crate::conformance::{self, Scenario};
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Changes outside of crates that cannot be attributed to one of them: everything is affected.
const EVERYTHING: &[&str] = &["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"];

/// Crates and scenarios that a change may have broken.
pub(crate) struct Affected {
    changed: BTreeSet<String>,
    packages: Vec<String>,
    scripts: bool,
}

/// The packages of the workspace: by name, where they lie, and which others of them each depends on.
type Packages = BTreeMap<String, Package>;

struct Package {
    folder: String,
    dependencies: BTreeSet<String>,
}

impl Affected {
    /// What has changed since a commit, committed or not.
    pub(crate) fn since(workspace: &Workspace, base: &str) -> Result<Self> {
        let git = |arguments: &[&str]| {
            lines(
                Command::new("git")
                    .args(arguments)
                    .current_dir(&workspace.root),
            )
        };
        let mut files = git(&["diff", "--name-only", "--no-renames", base, "--"])?;
        files.extend(git(&["ls-files", "--others", "--exclude-standard"])?);
        let packages = packages(workspace)?;
        Ok(Self::by(&files, &packages))
    }

    fn by(files: &[String], packages: &Packages) -> Self {
        let everything = files.iter().any(|file| EVERYTHING.contains(&file.as_str()));
        let changed: BTreeSet<String> = packages
            .iter()
            .filter(|(_, package)| {
                let prefix = format!("{}/", package.folder);
                everything || files.iter().any(|file| file.starts_with(&prefix))
            })
            .map(|(name, _)| name.clone())
            .collect();
        let mut affected = changed.clone();
        loop {
            let before = affected.len();
            let depends =
                |package: &Package| package.dependencies.iter().any(|it| affected.contains(it));
            let more: Vec<_> = packages
                .iter()
                .filter(|(_, package)| depends(package))
                .map(|(name, _)| name.clone())
                .collect();
            affected.extend(more);
            if affected.len() == before {
                break;
            }
        }
        Self {
            changed,
            packages: affected.into_iter().collect(),
            scripts: files.iter().any(|file| file.starts_with("conformance/")),
        }
    }

    /// Names of the crates that changed, and of those that depend on them.
    pub(crate) fn packages(&self) -> &[String] {
        &self.packages
    }

    /// The scenarios that run any of them and do not take minutes.
    pub(crate) fn scenarios(&self) -> Vec<&'static Scenario> {
        let has = |name: &str| self.packages.iter().any(|it| it == name);
        let runs = |scenario: &&Scenario| {
            let product = scenario.runs_product() && (self.scripts || has("drawspan"));
            let engine = scenario.runs_engine() && (self.scripts || has("drawspan-net"));
            product || engine
        };
        let mut scenarios = conformance::short();
        scenarios.retain(runs);
        scenarios
    }
}

impl fmt::Display for Affected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changed.is_empty() {
            return f.write_str("no crate");
        }
        let changed: Vec<&str> = self.changed.iter().map(String::as_str).collect();
        write!(f, "{}", changed.join(", "))?;
        let others = self.packages.len() - self.changed.len();
        write!(f, " ({others} more depend on that)")
    }
}

fn packages(workspace: &Workspace) -> Result<Packages> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Found>,
    }
    #[derive(Deserialize)]
    struct Found {
        name: String,
        manifest_path: String,
        dependencies: Vec<Dependency>,
    }
    #[derive(Deserialize)]
    struct Dependency {
        name: String,
        path: Option<String>,
    }
    let mut command = workspace.cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let text = lines(&mut command)?.join("\n");
    let metadata: Metadata = serde_json::from_str(&text)
        .map_err(|error| Error::Unexpected(format!("cargo metadata: {error}")))?;
    let root = format!("{}/", workspace.root.display());
    let package = |found: Found| {
        let folder = found.manifest_path.trim_end_matches("/Cargo.toml");
        let own = found
            .dependencies
            .into_iter()
            .filter(|it| it.path.is_some());
        let package = Package {
            folder: folder.trim_start_matches(&root).to_owned(),
            dependencies: own.map(|it| it.name).collect(),
        };
        (found.name, package)
    };
    Ok(metadata.packages.into_iter().map(package).collect())
}

fn lines(command: &mut Command) -> Result<Vec<String>> {
    let program = command.get_program().to_owned();
    let output = command.output().map_err(Error::io("starting", &program))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let what = program.to_string_lossy();
        return Err(Error::Unexpected(format!("{what}: {}", text.trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], affected: &[&str]) {
        let package = |name: &str, dependencies: &[&str]| {
            let package = Package {
                folder: format!("crates/{name}"),
                dependencies: dependencies.iter().map(|it| (*it).to_owned()).collect(),
            };
            (name.to_owned(), package)
        };
        let packages = [
            package("hub", &[]),
            package("hub-model", &["hub"]),
            package("api", &["hub"]),
            package("drawspan", &["api", "hub-model"]),
        ];
        let files: Vec<_> = files.iter().map(|it| (*it).to_owned()).collect();
        let found = Affected::by(&files, &packages.into());
        assert_eq!(found.packages(), affected, "{files:?}");
    }

    #[test]
    fn those_that_depend_on_a_change_are_affected() {
        check(&[], &[]);
        check(&["README.md", "crates/hub.md"], &[]);
        check(&["crates/api/src/lib.rs"], &["api", "drawspan"]);
        check(&["crates/hub-model/src/a.rs"], &["drawspan", "hub-model"]);
        let all = ["api", "drawspan", "hub", "hub-model"];
        check(&["crates/hub/src/a.rs"], &all);
        check(&["Cargo.lock"], &all);
    }
}
