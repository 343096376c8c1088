//! `config check --online` at an emulator, with everything right and with each of the usual mistakes.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::dev::{dev, pasted};
use crate::support::run;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";
/// More than it takes: each look has 4 s.
const SOON: Duration = Duration::from_secs(12);

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// What a working configuration has, from the lines of `dev`.
struct Good {
    ca: String,
    connect: Vec<String>,
    group_key: String,
    service: String,
}

fn good(intro: &[String]) -> Good {
    let line = pasted(intro, " hub --config ");
    let file = line[0]
        .split_once("--config ")
        .and_then(|(_, rest)| rest.split_once(' '));
    let file = std::fs::read_to_string(file.expect("a file").0).expect("it can be read");
    let file: toml::Table = file.parse().expect("TOML");
    let serve = pasted(intro, " serve --listen ");
    let (_, group_key) = serve[0].split_once("--group-key ").expect("a key");
    let text = |value: &toml::Value| value.as_str().expect("text").to_owned();
    Good {
        ca: text(&file["ca"]),
        connect: file["connect"]
            .as_array()
            .expect("a list")
            .iter()
            .map(text)
            .collect(),
        group_key: group_key.to_owned(),
        service: text(&file["connection_string"]),
    }
}

fn check(arguments: &[&str]) -> (Option<i32>, String) {
    let mut all = vec!["config", "check", "--online", "--api-key", "k"];
    all.extend(arguments);
    let begun = Instant::now();
    let output = run(&all);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let text = text(&output);
    // The lines behind the settings.
    let lines = text
        .split_once("no mistakes")
        .map_or(text.as_str(), |(_, rest)| rest);
    (output.status.code(), lines.to_owned())
}

fn has(said: &(Option<i32>, String), code: i32, parts: &[&str]) {
    assert_eq!(said.0, Some(code), "{}", said.1);
    for part in parts {
        assert!(said.1.contains(part), "no `{part}` in {}", said.1);
    }
    assert!(!said.1.contains("MDEy"), "{}", said.1);
}

#[test]
fn each_usual_mistake_is_named_at_dps() {
    let (_dev, intro, _address) = dev(&[]);
    let Good {
        ca,
        connect,
        group_key,
        ..
    } = good(&intro);
    let with = |scope: &str, key: &str, more: &[&str]| {
        let mut all = vec![
            "--dps-endpoint",
            "localhost",
            "--id-scope",
            scope,
            "--group-key",
            key,
        ];
        for rule in &connect {
            all.extend(["--connect", rule]);
        }
        all.extend(more);
        check(&all)
    };
    let scope = "0ne00000001";
    let trusted = ["--ca", &ca];
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let with_state = ["--ca", &ca, "--state", state.to_str().expect("text")];
    has(
        &with(scope, &group_key, &with_state),
        0,
        &[
            "ok       clock",
            "ok       DPS",
            "skipped  hub",
            "--device ID",
            "ok       store",
        ],
    );
    assert!(!Path::new(&state).exists());
    let whole = ["--ca", &ca, "--device", "sensor-1"];
    has(
        &with(scope, &group_key, &whole),
        0,
        &[
            "ok       DPS",
            "ok       hub    localhost takes the key of sensor-1",
        ],
    );
    has(
        &with(scope, KEY, &trusted),
        1,
        &[
            "failed   DPS",
            "Check group_key",
            "skipped  hub",
            "failed: DPS",
        ],
    );
    has(
        &with("0ne00FFFFFF", &group_key, &trusted),
        1,
        &["failed   DPS", "Check id_scope"],
    );
    let other = folder.path().join("other.pem");
    let made = rcgen::generate_simple_self_signed(["x.test".to_owned()]).expect("a certificate");
    std::fs::write(&other, made.cert.pem()).expect("it is written");
    has(
        &with(scope, &group_key, &["--ca", other.to_str().expect("text")]),
        1,
        &["failed   DPS", "--ca FILE"],
    );
}

#[test]
fn a_hub_and_its_absence_are_named() {
    let (_dev, intro, _address) = dev(&[]);
    let Good {
        ca,
        connect,
        service,
        ..
    } = good(&intro);
    let with = |connection_string: &str, connect: &[String]| {
        let mut all = vec!["--ca", &ca, "--hub-connection-string", connection_string];
        for rule in connect {
            all.extend(["--connect", rule]);
        }
        check(&all)
    };
    let device = service.replace("SharedAccessKeyName=service", "SharedAccessKeyName=device");
    has(
        &with(&device, &connect),
        0,
        &[
            "ok       clock",
            "ok       hub    localhost takes the key of policy device",
        ],
    );
    let policy = |name: &str| {
        let name = format!("SharedAccessKeyName={name}");
        service.replace("SharedAccessKeyName=service", &name)
    };
    for name in ["device", "iothubowner"] {
        has(&with(&policy(name), &connect), 0, &["ok       hub"]);
    }
    for name in ["service", "registryRead"] {
        has(
            &with(&policy(name), &connect),
            1,
            &["failed   hub", "401002", "lacks the right DeviceConnect"],
        );
    }
    let wrong = format!("HostName=localhost;SharedAccessKeyName=service;SharedAccessKey={KEY}");
    has(
        &with(&wrong, &connect),
        1,
        &["failed   hub", "Check hub_connection_string"],
    );
    let nobody = ["localhost=127.0.0.1:1".to_owned()];
    has(
        &with(&service, &nobody),
        1,
        &["failed   hub", "Nothing listens there"],
    );
}
