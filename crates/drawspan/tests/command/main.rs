//! The command as its users run it.
#![cfg(feature = "emulator")]
// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::expect_used, clippy::panic)]

#[cfg(unix)]
mod dev;
#[cfg(unix)]
mod dev_hosts;
mod import;
#[cfg(unix)]
mod listed_devices;
#[cfg(unix)]
mod load;
#[cfg(unix)]
mod online;
#[cfg(unix)]
mod redaction;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod shown;
#[cfg(unix)]
mod state;
#[cfg(unix)]
mod streams;
mod support;
#[cfg(unix)]
mod vault;

use std::process::Stdio;

use support::{command, run, setting};

#[test]
fn every_command_explains_itself() {
    for name in [
        "dev",
        "serve",
        "emulator",
        "load",
        "config init",
        "config check",
        "completions",
        "api-key new",
        "dead-letters list",
        "dead-letters replay",
        "dead-letters discard",
        "keys list",
        "keys rotate",
        "keys prune",
        "backup",
        "restore",
        "import",
        "hub send",
        "hub watch",
    ] {
        let arguments: Vec<_> = name.split(' ').chain(["--help"]).collect();
        let output = run(&arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}");
        assert!(
            text.contains("Examples:") && text.contains(&format!("drawspan {name}")),
            "{text}"
        );
    }
}

#[test]
fn mistakes_come_all_at_once_with_code_64_and_without_secrets() {
    let check = |arguments: &[&str], expected: &[&str]| {
        let output = run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {text}");
        for part in expected {
            assert!(text.contains(part), "{arguments:?}: {text}");
        }
        assert!(!text.contains("hunter"), "{text}");
    };
    check(
        &["serve"],
        &[
            "2 mistakes",
            "--api-key: missing",
            "--id-scope, --hub-connection-string or --devices-file: missing",
        ],
    );
    check(
        &["serve", "--api-key", "k", "--id-scope", "S"],
        &["1 mistake ", "--group-key: missing"],
    );
    let secrets = [
        "serve",
        "--api-key",
        "hunter 2",
        "--hub-connection-string",
        "hunter2",
        "--group-key",
        "hunter2",
    ];
    check(
        &secrets,
        &["--api-key: ", "--hub-connection-string: ", "--group-key: "],
    );
    check(&["serve", "--nonsense"], &["--nonsense"]);
    check(
        &[
            "config",
            "check",
            "--api-key",
            "hunter2",
            "--group-key",
            "hunter2",
        ],
        &["2 mistakes", "--id-scope: missing", "--group-key: the key"],
    );
    check(
        &["dev", "--listen", "x", "--device", "a b"],
        &["--listen: ", "--device: "],
    );
    check(&["emulator", "--hub", "a_b"], &["--hub: "]);
    check(
        &["load", "--rate", "0", "--url", "ftp://x"],
        &["--rate: ", "--url: "],
    );
    check(&[], &["Usage"]);
}

/// What prints must say so when it cannot, and never panic (exit code 101).
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_the_output_is_an_honest_failure() {
    let full = || {
        let file = std::fs::File::options().write(true).open("/dev/full");
        Stdio::from(file.expect("a full disk"))
    };
    let hub = "HostName=hub.localtest;SharedAccessKeyName=device;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==";
    let good = [
        "config",
        "check",
        "--api-key",
        "k",
        "--hub-connection-string",
        hub,
    ];
    let check = |arguments: &[&str], code: i32| {
        let output = command(arguments).stdout(full()).output();
        let output = output.expect("the command runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        let deaf = command(arguments).stdout(full()).stderr(full()).status();
        assert_eq!(
            deaf.expect("the command runs").code(),
            Some(code),
            "{arguments:?}"
        );
    };
    assert!(run(&good).status.success());
    check(&good, 1);
    check(&["config", "check"], 64);
    check(&["config", "reference"], 1);
    check(&["dev", "--listen", "127.0.0.1:0"], 1);
    check(&["emulator", "--amqps-port", "0", "--https-port", "0"], 1);
    check(&["--help"], 1);
}

#[test]
fn config_check_shows_what_counts_and_where_it_came_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("drawspan.toml");
    let text = "request_timeout = 12\ngroup_key = 'MDEyMzQ1Njc4OWFiY2RlZg=='\n";
    std::fs::write(&file, text).expect("it is written");
    let output = command(&["config", "check", "--api-key", "hunter2"])
        .env("DRAWSPAN_CONFIG", &file)
        .env("DRAWSPAN_ID_SCOPE", "0ne000")
        .output()
        .expect("the command runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let row = |key| setting(&text, key);
    assert_eq!(row("id_scope"), ["id_scope", "0ne000", "DRAWSPAN_ID_SCOPE"]);
    assert_eq!(row("api_key"), ["api_key", "***", "--api-key"]);
    assert_eq!(row("transport"), ["transport", "amqps", "default"]);
    assert_eq!(row("request_timeout")[1], "12");
    assert!(row("request_timeout")[2].ends_with("drawspan.toml:1"));
    assert!(row("group_key")[1] == "***", "{text}");
    assert!(!text.contains("hunter") && !text.contains("MDEy"), "{text}");
}

#[test]
fn a_new_key_is_shown_once_and_known_by_its_entry() {
    let made = run(&[
        "api-key", "new", "--name", "line-1", "--scopes", "send", "--prefix", "a-",
    ]);
    let text = String::from_utf8_lossy(&made.stdout).into_owned();
    let field = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_default().trim().to_owned()
    };
    let (key, entry) = (field("key"), field("entry"));
    assert_eq!(key.len(), 43, "{text}");
    assert!(!entry.contains(&key), "{text}");
    let checked = run(&[
        "config",
        "check",
        "--api-key",
        &entry,
        "--api-key",
        "hunter2",
        "--id-scope",
        "S",
        "--group-key",
        "MDEyMzQ1Njc4OWFiY2RlZg==",
    ]);
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    let shown = "***, sha256:***;scopes=send;prefix=a-;name=line-1";
    assert!(checked.status.success() && text.contains(shown), "{text}");

    let bad = run(&["api-key", "new", "--scopes", "admin"]);
    let text = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert_eq!(bad.status.code(), Some(64), "{text}");
    assert!(text.contains("read, send and manage"), "{text}");
}
