//! Listed devices, in front of the emulator: what a hangup changes for devices that are connected.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Running, command, post, rest, write};

/// Starts a command; the lines that it prints until it is ready.
fn start(arguments: &[&str]) -> (Running, Vec<String>) {
    let child = command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut running = Running(child.expect("the command starts"));
    let out = BufReader::new(running.0.stdout.take().expect("its output")).lines();
    let lines = out.map(|line| line.expect("text"));
    let lines = lines.take_while(|line| line != "ready").collect();
    (running, lines)
}

/// What follows `mark` in the line that has it.
fn after<'t>(lines: &'t [String], mark: &str) -> &'t str {
    let found = lines.iter().find_map(|line| line.split_once(mark));
    found.unwrap_or_else(|| panic!("no {mark}")).1.trim()
}

#[test]
fn a_device_taken_off_the_list_is_not_served_any_more_and_others_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (_emulator, told) = start(&[
        "emulator",
        "--amqps-port",
        "0",
        "--https-port",
        "0",
        "--state",
        &path("hub"),
        "--device",
        "a",
        "--device",
        "b",
    ]);
    let list = |ids: &[&str]| {
        let lines = ids.iter().map(|id| after(&told, &format!("device {id} ")));
        let text = lines.collect::<Vec<_>>().join("\n");
        std::fs::write(folder.path().join("list"), text).expect("it is written");
    };
    list(&["a", "b"]);
    let (mut serve, lines) = start(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--api-key",
        "k",
        "--devices-file",
        &path("list"),
        "--ca",
        &path("hub/ca.pem"),
        "--connect",
        &format!("localhost={}", after(&told, "amqps  ")),
    ]);
    let address = after(&lines, "listening on http://").split(',').next();
    let status = |id: &str| {
        let path = format!("/devices/{id}/messages/events");
        let answer = post(
            address.expect("an address"),
            &path,
            "x-api-key: k\r\n",
            r#"{"data":{}}"#,
        );
        answer.split(' ').nth(1).map(str::to_owned)
    };
    assert_eq!(status("a").as_deref(), Some("200"));
    assert_eq!(status("b").as_deref(), Some("200"));

    list(&["b"]);
    kill_process(Pid::from_child(&serve.0), Signal::HUP).expect("it is there");
    let log = BufReader::new(serve.0.stderr.take().expect("its log")).lines();
    let mut log = log.map(|line| line.expect("text"));
    assert!(log.any(|line| line.contains("configuration read again")));
    assert_eq!(status("a").as_deref(), Some("404"));
    assert_eq!(status("b").as_deref(), Some("200"));
}

#[test]
fn a_device_whose_hub_is_another_one_moves_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (first, second) = ("one.localtest", "two.localtest");
    let (_emulator, told) = start(&[
        "emulator",
        "--hub",
        first,
        "--hub",
        second,
        "--amqps-port",
        "0",
        "--https-port",
        "0",
        "--state",
        &path("hub"),
        "--device",
        "a",
        "--device",
        "b",
    ]);
    // Both hubs have both devices, with the same keys.
    let list = |hubs: &[(&str, &str)]| {
        let lines = hubs.iter().map(|(id, hub)| {
            let at_first = after(&told, &format!("device {id} "));
            at_first.replace(first, hub)
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        std::fs::write(folder.path().join("list"), text).expect("it is written");
    };
    list(&[("a", first), ("b", first)]);
    let amqps = after(&told, "amqps  ");
    let (mut serve, lines) = start(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--api-key",
        "k",
        "--devices-file",
        &path("list"),
        "--ca",
        &path("hub/ca.pem"),
        "--connect",
        &format!("{first}={amqps}"),
        "--connect",
        &format!("{second}={amqps}"),
    ]);
    let address = after(&lines, "listening on http://").split(',').next();
    let address = address.expect("an address");
    let send = |id: &str| {
        let path = format!("/devices/{id}/messages/events");
        let answer = post(address, &path, "x-api-key: k\r\n", r#"{"data":{}}"#);
        assert_eq!(answer.split(' ').nth(1), Some("200"), "{answer}");
    };
    let hub_of = |id: &str| {
        let request = format!(
            "GET /devices/{id}/diagnostics HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-api-key: k\r\n\r\n"
        );
        let answer = rest(write(address, &request));
        let (_, found) = answer
            .split_once(r#""hub":""#)
            .unwrap_or_else(|| panic!("{answer}"));
        found.split('"').next().map(str::to_owned)
    };
    send("a");
    send("b");
    assert_eq!(hub_of("a").as_deref(), Some(first));

    list(&[("a", second), ("b", first)]);
    kill_process(Pid::from_child(&serve.0), Signal::HUP).expect("it is there");
    let log = BufReader::new(serve.0.stderr.take().expect("its log")).lines();
    let mut log = log.map(|line| line.expect("text"));
    let moved = log.find(|line| line.contains("belong to other hubs"));
    let moved = moved.expect("the log says what was done");
    assert!(
        moved.contains("moved=1") && moved.contains("gone=0"),
        "{moved}"
    );
    send("a");
    send("b");
    assert_eq!(hub_of("a").as_deref(), Some(second));
    assert_eq!(hub_of("b").as_deref(), Some(first));
}
