use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::fake::{Fake, TOKEN, VAULT, answer};
use super::{URL, command};
use crate::support::{Running, rest, setting, wait_for_log, write};

const SECRETS: [(&str, &str); 3] = [
    ("iotc-id-scope", "0ne000"),
    ("iotc-sas-key", "bWFya2VyLWdyb3VwLWtleQ=="),
    ("apiKey", "marker-key-1"),
];
const HEADER: &str = "marker-header";

/// A command that finds that vault, by the identity of an app service.
fn pointed(fake: &Fake, folder: &Path, arguments: &[&str]) -> Command {
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, fake.certificate.pem()).expect("written");
    let mut command = command(arguments);
    command
        .env("KV_URL", URL)
        .env(
            "IDENTITY_ENDPOINT",
            format!("http://{}/msi/token", fake.clear),
        )
        .env("IDENTITY_HEADER", HEADER)
        .arg("--ca")
        .arg(ca)
        .args(["--connect", &format!("{VAULT}={}", fake.address)]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn its_secrets_count_and_are_named_by_where_they_lie() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start(&SECRETS, |_| None).await;
    let output = pointed(&fake, folder.path(), &["config", "check"]).output();
    let output = output.expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let row = |key| setting(&text, key);
    assert_eq!(
        row("id_scope"),
        ["id_scope", "0ne000", "KV_URL/iotc-id-scope"]
    );
    assert_eq!(
        row("group_key"),
        ["group_key", "***", "KV_URL/iotc-sas-key"]
    );
    assert_eq!(row("api_key"), ["api_key", "***", "KV_URL/apiKey"]);
    let asked = fake.asked();
    let token = asked.iter().find(|asked| asked.host != VAULT);
    let token = token.expect("a token was asked for");
    assert!(token.target.starts_with("/msi/token?"), "{token:?}");
    assert_eq!(token.header("x-identity-header"), HEADER);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_one_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start(&SECRETS, |asked| {
        asked
            .target
            .starts_with("/msi")
            .then(|| answer(400, "marker"))
    })
    .await;
    let output = pointed(&fake, folder.path(), &["config", "check"]).output();
    let output = output.expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{text}");
    let expected = "KV_URL: the managed identity at IDENTITY_ENDPOINT got no token: it is not assigned to this machine (400)";
    assert!(
        text.contains("1 mistake ") && text.contains(expected),
        "{text}"
    );
    assert!(!text.contains("marker"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_exchanged_counts_after_sighup_and_stands_in_no_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start(&SECRETS, |_| None).await;
    let log = File::create(folder.path().join("log")).expect("a log");
    let mut command = pointed(&fake, folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    command
        .env("DRAWSPAN_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(log);
    let mut running = Running(command.spawn().expect("it starts"));
    let mut lines = BufReader::new(running.0.stdout.take().expect("its output")).lines();
    let mut next = || lines.next().expect("another line").expect("text");
    let first = next();
    let (_, address) = first.split_once("http://").expect("an address");
    let address = address.split(',').next().expect("an address").to_owned();
    while next() != "ready" {}
    let status = |key: &str| {
        let request = format!(
            "GET /devices HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-api-key: {key}\r\n\r\n"
        );
        let answer = rest(write(&address, &request));
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(status("marker-key-1"), "200");
    fake.set("apiKey", "marker-key-2");
    assert_eq!(status("marker-key-2"), "401");
    kill_process(Pid::from_child(&running.0), Signal::HUP).expect("it is there");
    let log = wait_for_log(folder.path(), "configuration read again");
    assert_eq!(status("marker-key-2"), "200");
    assert_eq!(status("marker-key-1"), "401");
    // What Azure's clients say is in it.
    assert!(log.contains("azure_identity"), "{log}");
    for secret in ["marker-key", SECRETS[1].1, TOKEN, HEADER] {
        assert!(!log.contains(secret), "{secret}");
    }
}
