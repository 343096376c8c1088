//! Output streams of commands: JSON for collectors, no output without a reader, files that did not exist.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{command, run};

#[test]
fn whoever_reads_only_the_beginning_is_no_failure() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["serve", "--help"],
        &["config", "init", "-"],
        &["config", "reference"],
        &["config", "metrics"],
        &["openapi"],
        &["completions", "bash"],
        &["api-key", "new"],
        &["dev", "--listen", "127.0.0.1:0"],
        &["emulator", "--amqps-port", "0", "--https-port", "0"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command(arguments).stdout(writer).output().expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        for word in ["panic", "print", "pipe"] {
            assert!(!errors.contains(word), "{arguments:?}: {errors}");
        }
    }
}

#[test]
fn with_json_everything_beside_the_output_is_json() {
    let check = |arguments: &[&str], code: i32, level: &str, part: &str| {
        let output = command(arguments)
            .env("DRAWSPAN_LOG_FORMAT", "json")
            .output();
        let output = output.expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        let mut found = false;
        for line in errors.lines() {
            let line: serde_json::Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {errors}"));
            assert!(line["timestamp"].is_string(), "{line}");
            let message = line["fields"]["message"].as_str().expect("a message");
            found |= line["level"] == level && message.contains(part);
        }
        assert!(found, "{arguments:?}: no {level} with {part} in {errors}");
    };
    check(&["serve"], 64, "ERROR", "--api-key: missing");
    check(&["--nonsense"], 64, "ERROR", "--nonsense");
    check(&["emulator", "--hub", "a_b"], 64, "ERROR", "--hub: ");
    check(&["keys", "list"], 64, "ERROR", "which state directory?");
    check(
        &["keys", "list", "--state", "/nowhere"],
        1,
        "ERROR",
        "/nowhere",
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    let serve = [
        "serve",
        "--listen",
        &taken,
        "--api-key",
        "k",
        "--id-scope",
        "S",
        "--group-key",
        "MDEyMzQ1Njc4OWFiY2RlZg==",
    ];
    check(&serve, 1, "ERROR", "cannot listen");
    check(&["api-key", "new"], 0, "INFO", "The key is for the caller");
}

#[test]
fn the_version_names_the_commit() {
    let output = run(&["--version"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let start = format!("drawspan {} (", env!("CARGO_PKG_VERSION"));
    let commit = text
        .trim()
        .strip_prefix(&start)
        .and_then(|rest| rest.strip_suffix(')'));
    let commit = commit.unwrap_or_else(|| panic!("{text}"));
    let is_hash = commit.len() == 10 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_hash || commit == "unknown", "{text}");
}

#[test]
fn a_configuration_file_to_begin_with_is_written_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("drawspan.toml");
    let shown = path.display().to_string();
    let output = run(&["config", "init", &shown]);
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&path).expect("it is there");
    let mode = path.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let checked = run(&["config", "check", "--config", &shown]);
    let mistakes = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(mistakes.contains("2 mistakes in"), "{mistakes}");

    let again = run(&["config", "init", &shown]);
    let errors = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(1), "{errors}");
    assert!(errors.contains("exists already"), "{errors}");
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), text);
    let shown = run(&["config", "init", "-"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), text);
}

#[test]
fn shells_complete_commands_and_flags() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completions", shell]);
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && script.contains("group-key-file"),
            "{shell}"
        );
    }
    assert_eq!(run(&["completions", "dos"]).status.code(), Some(64));
}
