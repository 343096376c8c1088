//! `drawspan load` as it is pasted from its help, and what it leaves behind.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::dev::{dev, get, pasted};
use crate::support::{BOUND, command, run};

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

#[test]
fn the_first_example_works_against_dev_and_failures_are_shown() {
    let (_dev, _, address) = dev(&["--api-key", "k"]);
    let url = format!("http://{address}");
    let load = |key: &str, more: &[&str]| {
        let mut arguments = vec!["load", "--url", &url, "--api-key", key];
        arguments.extend(more);
        run(&arguments)
    };
    let good = load("k", &["--devices", "20", "--rate", "20", "--duration", "2"]);
    assert!(good.status.success(), "{}", text(&good));
    assert!(text(&good).contains("requests   40 in"), "{}", text(&good));

    let bad = load("wrong", &["--messages", "3"]);
    let said = text(&bad);
    assert_eq!(bad.status.code(), Some(1), "{said}");
    assert!(
        said.contains("none of 3 requests got 200; the first: 401"),
        "{said}"
    );
    assert!(said.contains("x-api-key"), "{said}");
    // A prefix of ids that DPS does not take: every request is refused, and why is said.
    let refused = load("k", &["--messages", "2", "--device-prefix", "a'"]);
    let said = text(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("the first: 4"), "{said}");
    let nobody = run(&["load", "--url", "http://127.0.0.1:1", "--messages", "1"]);
    let said = text(&nobody);
    assert_eq!(nobody.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no answer from 127.0.0.1:1 to any of 1 request:"),
        "{said}"
    );
}

#[test]
fn the_example_in_its_help_names_the_port_of_dev_and_the_default_that_of_serve() {
    let help = run(&["load", "--help"]);
    let help = text(&help);
    let example = help
        .lines()
        .find(|line| line.trim().starts_with("drawspan load"));
    let dev = "--url http://127.0.0.1:8080 ";
    assert!(example.is_some_and(|line| line.contains(dev)), "{help}");
    assert!(help.contains("[default: http://127.0.0.1:5001]"), "{help}");
}

/// A load of messages and methods at `address`, with access to the hub as `dev` printed it.
fn downlinks(address: &str, intro: &[String], more: &[&str]) -> Command {
    let line = pasted(intro, " hub --config ");
    let file = line[0]
        .split_once("--config ")
        .and_then(|(_, rest)| rest.split_once(' '));
    let file = std::fs::read_to_string(file.expect("a file").0).expect("it can be read");
    let file: toml::Table = file.parse().expect("TOML");
    let string = |name: &str| file[name].as_str().expect("text").to_owned();
    let mut load = command(&["load", "--url", &format!("http://{address}")]);
    load.args(["--hub-connection-string", &string("connection_string")])
        .args(["--ca", &string("ca"), "--devices", "3", "--warm-up", "0"])
        .args(["--c2d-rate", "20", "--method-rate", "20"])
        .args(more);
    for rule in file["connect"].as_array().expect("a list") {
        load.args(["--connect", rule.as_str().expect("text")]);
    }
    load
}

fn subscribed(address: &str) -> Vec<bool> {
    let paths = (1..=3).flat_map(|number| {
        ["methods/sub", "deviceBound/sub"].map(|kind| format!("/devices/load-{number}/{kind}"))
    });
    let answers = paths.map(|path| get(address, &path));
    answers
        .map(|answer| answer.starts_with("HTTP/1.1 200 "))
        .collect()
}

#[test]
fn subscriptions_that_a_load_made_are_gone_after_it() {
    let (_dev, intro, address) = dev(&["--no-receiver"]);
    let done = downlinks(&address, &intro, &["--duration", "1"]).output();
    let done = done.expect("it runs");
    assert!(done.status.success(), "{}", text(&done));
    assert_eq!(subscribed(&address), [false; 6], "{}", text(&done));

    let kept = downlinks(
        &address,
        &intro,
        &["--duration", "1", "--keep-subscriptions"],
    )
    .output();
    assert!(kept.expect("it runs").status.success());
    assert_eq!(subscribed(&address), [true; 6]);
}

#[test]
fn an_interrupted_load_removes_its_subscriptions_too() {
    let (_dev, intro, address) = dev(&["--no-receiver"]);
    let mut load = downlinks(&address, &intro, &["--duration", "3600"]);
    let load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let load = load.expect("it starts");
    let until = Instant::now() + BOUND;
    while subscribed(&address).contains(&false) {
        assert!(Instant::now() < until, "not subscribed");
        std::thread::sleep(Duration::from_millis(50));
    }
    let id = load.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill runs").success());
    let done = load.wait_with_output().expect("it ends");
    assert_eq!(subscribed(&address), [false; 6], "{}", text(&done));
}
