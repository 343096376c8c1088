//! `import`, and what `serve` makes of it.

use std::path::Path;
use std::process::Output;

use crate::support::{command, run};

/// Encrypted by `openssl enc -aes-256-cbc`.
const SEALED: &str = "0123456789abcdef0123456789abcdef-AAECAwQFBgcICQoLDA0ODw==:fTYpU3Nq6IMuhcEbo/laNN3ekehkvuYDGCcThZOpq2nz4jcKMHdd40D/Xg7lA5aI";
const KEY: &str = "0123456789abcdef0123456789abcdef=abcdefghijklmnopqrstuvwxyz012345";

fn import(folder: &Path, further: &[&str]) -> (Output, String) {
    let at = |name: &str| folder.join(name).display().to_string();
    let (state, subscriptions, hubs) = (at("state"), at("subscriptions.csv"), at("hubs.json"));
    let mut arguments = vec![
        "import",
        "--state",
        &state,
        "--subscriptions",
        &subscriptions,
        "--hub-cache",
        &hubs,
    ];
    arguments.extend(further);
    let output = run(&arguments);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = out + &err;
    assert!(
        !text.contains("s3cret") && !text.contains("abcdefghij"),
        "{text}"
    );
    (output, text)
}

fn exports(folder: &Path, more: &str) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
    let rows = format!(
        "DeviceId,SubscriptionType,CallbackUrl,CreatedAt\n\
         d1,C2DMessages,{SEALED},2021-05-03 12:34:56.123\n\
         d1,ConnectionStatus,{SEALED},2021-05-03 12:34:56.123\n{more}"
    );
    write("subscriptions.csv", &rows);
    let hubs = r#"[{"DeviceId":"d1","Hub":"hub.localtest","RenewedAt":"2026-05-03T12:34:56"}]"#;
    write("hubs.json", hubs);
}

#[test]
fn everything_is_imported_once_and_nothing_when_a_row_is_bad() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    exports(folder, "d2,Methods,nonsense,2021-05-03 12:00\n");
    let (output, text) = import(folder, &["--key", KEY]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("subscriptions, line 4: ") && text.contains("nothing was written"),
        "{text}"
    );
    assert!(!folder.join("state").exists());

    let (output, text) = import(folder, &["--key", KEY, "--check", "--skip-bad"]);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("2 subscriptions, 1 hub of a device")
            && text.contains("http://127.0.0.1:3000"),
        "{text}"
    );
    assert!(!folder.join("state").exists());

    for _ in 0..2 {
        let (output, text) = import(folder, &["--key", KEY, "--skip-bad"]);
        assert!(output.status.success(), "{text}");
        assert!(
            text.contains("written: 2 subscriptions, 1 hub of a device"),
            "{text}"
        );
    }
}

#[test]
fn the_state_directory_may_come_from_the_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    exports(folder.path(), "");
    let hubs = folder.path().join("hubs.json");
    let arguments = ["import", "--hub-cache", hubs.to_str().expect("text")];
    let state = folder.path().join("elsewhere");
    for (state, code) in [(None, 64), (Some(&state), 0)] {
        let mut command = command(&arguments);
        command.env_remove("DRAWSPAN_STATE");
        command.envs(state.map(|state| ("DRAWSPAN_STATE", state)));
        let output = command.output().expect("the command runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert_eq!(text.contains("set DRAWSPAN_STATE"), state.is_none());
    }
    assert!(state.join("drawspan.db").exists());
}

#[test]
fn a_missing_key_is_named_and_a_bad_one_too() {
    let folder = tempfile::tempdir().expect("a folder");
    exports(folder.path(), "");
    let (output, text) = import(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("no --key for version 0123456789abcdef"),
        "{text}"
    );
    let (output, text) = import(folder.path(), &["--key", "v=short"]);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("must have 32 characters"), "{text}");
}
