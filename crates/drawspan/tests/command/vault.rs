//! `KV_URL`: with the feature `keyvault` its secrets count, and are read again at SIGHUP; without, it is said what to do.

use super::support::command;

#[cfg(feature = "keyvault")]
#[path = "../../../settings/src/vault/tests/fake.rs"]
mod fake;
#[cfg(feature = "keyvault")]
mod with;

const URL: &str = "https://own.vault.test";

#[cfg(not(feature = "keyvault"))]
#[test]
fn a_build_without_a_reader_says_how_to_get_one() {
    let mut command = command(&["config", "check"]);
    let output = command.env("KV_URL", URL).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{text}");
    for part in ["1 mistake ", "--features keyvault", "--secrets-dir"] {
        assert!(text.contains(part), "{text}");
    }
}
