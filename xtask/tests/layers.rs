//! The direction of crates. This table is the rule; `ARCHITECTURE.md` explains it.

// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::expect_used, clippy::panic)]

mod metadata;

use std::collections::{BTreeMap, BTreeSet};

use metadata::Metadata;

/// Crate · what it may use · what its tests may use besides.
#[rustfmt::skip] // one crate per line
const MAY_USE: &[(&str, &[&str], &[&str])] = &[
    ("drawspan", &["api", "client", "emulator", "fleet", "gateway", "hub", "load", "metrics", "net", "runtime", "settings", "store", "webhooks"], &[]),
    ("drawspan-load", &["api", "client", "hub", "settings"], &["ceiling"]),
    ("drawspan-runtime", &["api-types", "bridge", "client", "fleet", "gateway", "hub", "metrics", "net", "settings", "store", "webhooks"], &[]),
    ("drawspan-webhooks", &["api-types", "bridge", "gateway", "hub", "net", "settings"], &[]),
    ("drawspan-api", &["api-types", "bridge", "fleet", "gateway", "hub", "metrics", "settings", "store"], &[]),
    ("drawspan-api-types", &["bridge", "gateway", "hub"], &[]),
    ("drawspan-settings", &["bridge", "fleet", "hub", "net"], &[]),
    ("drawspan-gateway", &["bridge", "hub", "metrics", "store"], &[]),
    ("drawspan-metrics", &[], &[]),
    ("drawspan-client", &["amqp", "hub", "net"], &["emulator"]),
    ("drawspan-emulator", &["amqp", "chart", "emulator-amqp", "emulator-hub", "hub", "hub-model", "hub-store", "mqtt", "net", "segment-log", "state"], &[]),
    ("drawspan-emulator-amqp", &["amqp", "emulator-hub", "hub", "hub-model", "hub-store", "net", "segment-log"], &[]),
    ("drawspan-emulator-hub", &["amqp", "hub", "hub-model", "hub-store", "mqtt", "net", "segment-log"], &[]),
    ("drawspan-hub-store", &["hub", "hub-model", "state"], &[]),
    ("drawspan-hub-model", &["hub"], &[]),
    ("drawspan-segment-log", &["hub", "state"], &[]),
    ("drawspan-net", &["amqp"], &[]),
    ("drawspan-bridge", &["fleet", "hub"], &[]),
    ("drawspan-fleet", &["hub"], &[]),
    ("drawspan-state", &[], &[]),
    ("drawspan-store", &["hub", "state"], &[]),
    ("drawspan-amqp", &[], &[]),
    ("drawspan-mqtt", &[], &[]),
    ("drawspan-hub", &[], &[]),
    ("drawspan-chart", &[], &[]),
    ("drawspan-ceiling", &["api", "gateway", "hub", "metrics", "settings"], &[]),
    ("drawspan-sim", &["bridge", "fleet", "hub"], &[]),
    ("xtask", &[], &[]),
];

/// Crates whose decisions are functions of what they are given…
const PURE: &[&str] = &[
    "drawspan-amqp",
    "drawspan-mqtt",
    "drawspan-hub",
    "drawspan-hub-model",
    "drawspan-fleet",
    "drawspan-bridge",
    "drawspan-sim",
];

/// …and what must therefore not be below them: runtimes, sockets, randomness.
const IMPURE: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "hyper",
    "rustls",
    "getrandom",
    "rand",
];

#[test]
fn crates_use_only_what_lies_below_them() {
    let metadata = Metadata::of_workspace();
    let mut wrong = Vec::new();
    for (package, dependencies) in metadata.own_dependencies() {
        let Some((_, code, tests)) = MAY_USE.iter().find(|(name, _, _)| *name == package) else {
            wrong.push(format!("{package} is not in the table"));
            continue;
        };
        for (dependency, only_tests) in dependencies {
            let short = dependency.strip_prefix("drawspan-").unwrap_or(&dependency);
            let allowed = code.contains(&short) || (only_tests && tests.contains(&short));
            if !allowed {
                wrong.push(format!("{package} must not use {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_itself_keeps_the_promises_of_the_design() {
    let reach: BTreeMap<&str, BTreeSet<String>> = MAY_USE
        .iter()
        .map(|(name, _, _)| (*name, reachable(name)))
        .collect();
    for never in ["client", "bridge", "fleet", "store"] {
        assert!(
            !reach["drawspan-emulator"].contains(never),
            "the emulator never learns from {never}"
        );
    }
    for never in ["amqp", "net", "client"] {
        assert!(
            !reach["drawspan-bridge"].contains(never),
            "the bridge never knows {never}"
        );
    }
    // API and runtime meet in the gateway, and a change in what sends events builds no API.
    for never in ["client", "webhooks", "runtime"] {
        assert!(
            !reach["drawspan-api"].contains(never),
            "the API never knows {never}"
        );
    }
    for side in ["drawspan-runtime", "drawspan-webhooks"] {
        assert!(!reach[side].contains("api"), "{side} never knows the API");
    }
}

fn reachable(name: &str) -> BTreeSet<String> {
    let Some((_, code, _)) = MAY_USE.iter().find(|(known, _, _)| *known == name) else {
        return BTreeSet::new();
    };
    let below = code
        .iter()
        .flat_map(|used| reachable(&format!("drawspan-{used}")));
    code.iter()
        .map(|used| (*used).to_owned())
        .chain(below)
        .collect()
}

/// What a pure crate links without using it. The certificate parser brings ring, with its source of randomness, because rcgen has it
/// check signatures; the hub as a value only has it read fields.
const LINKED: &[(&str, &str)] = &[("drawspan-hub-model", "getrandom")];

#[test]
fn pure_crates_know_no_runtime_socket_or_randomness() {
    let metadata = Metadata::of_everything();
    let mut wrong = Vec::new();
    for pure in PURE {
        let below = metadata.below(pure);
        assert!(
            below.contains(*pure),
            "{pure} is a package of the workspace"
        );
        wrong.extend(
            IMPURE
                .iter()
                .filter(|name| below.contains(**name) && !LINKED.contains(&(*pure, **name)))
                .map(|name| format!("{pure} reaches {name}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
