//! The lists of `deny.toml`, checked from `cargo metadata` on every machine, without a network and without cargo-deny.

// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::expect_used, clippy::panic)]

mod metadata;

use std::collections::BTreeSet;

use metadata::{Metadata, root, text};
use serde_json::Value;

/// How `cargo metadata` calls the default registry.
const DEFAULT_REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn rules() -> toml::Table {
    std::fs::read_to_string(root().join("deny.toml"))
        .expect("deny.toml")
        .parse()
        .expect("deny.toml is TOML")
}

#[test]
fn no_package_is_banned() {
    let rules = rules();
    let banned: BTreeSet<&str> = rules["bans"]["deny"]
        .as_array()
        .expect("bans.deny")
        .iter()
        .map(|ban| ban["crate"].as_str().expect("a name"))
        .collect();
    assert!(banned.contains("openssl"), "the list is read");
    let metadata = Metadata::of_everything();
    let found: Vec<&str> = metadata
        .packages()
        .map(|package| text(package, "name"))
        .filter(|name| banned.contains(name))
        .collect();
    assert!(found.is_empty(), "banned: {found:?}");
}

#[test]
fn every_package_comes_from_the_default_registry_or_from_here() {
    let metadata = Metadata::of_everything();
    let foreign =
        |package: &&Value| !package["source"].is_null() && package["source"] != DEFAULT_REGISTRY;
    let found: Vec<&str> = metadata
        .packages()
        .filter(foreign)
        .map(|package| text(package, "id"))
        .collect();
    assert!(found.is_empty(), "from elsewhere: {found:?}");
}

#[test]
fn every_licence_is_allowed() {
    let rules = rules();
    let allowed: BTreeSet<&str> = rules["licenses"]["allow"]
        .as_array()
        .expect("licenses.allow")
        .iter()
        .map(|id| id.as_str().expect("an id"))
        .collect();
    let metadata = Metadata::of_everything();
    let refused: Vec<String> = metadata
        .packages()
        .filter(|package| {
            !package["license"]
                .as_str()
                .is_some_and(|licence| permits(licence, &allowed))
        })
        .map(|package| format!("{}: {}", text(package, "name"), package["license"]))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Whether a licence expression can be met with allowed licences only. `/` is the old spelling of OR.
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words, allowed) && words.next().is_none()
}

type Words<'w> = std::iter::Peekable<std::str::SplitWhitespace<'w>>;

fn any(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let met = any(words, allowed);
        return words.next() == Some(")") && met;
    }
    let Some(licence) = words.next() else {
        return false;
    };
    if words.next_if_eq(&"WITH").is_some() {
        return words.next().is_some_and(|exception| {
            allowed.contains(format!("{licence} WITH {exception}").as_str())
        });
    }
    allowed.contains(licence)
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = BTreeSet::from([
        "MIT",
        "Apache-2.0",
        "Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
    ]);
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("MIT OR GPL-3.0-only AND BSL-1.0", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND OpenSSL", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT WITH LLVM-exception", false),
        ("(MIT", false),
        ("MIT Apache-2.0", false),
        ("", false),
    ] {
        assert_eq!(permits(expression, &allowed), expected, "{expression}");
    }
}
