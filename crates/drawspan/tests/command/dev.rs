//! `drawspan dev` as a newcomer meets it: every line that it prints is pasted into a shell, in another folder.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use crate::support::{BOUND, Running, command, rest, write};

/// A program with the lines that it prints.
pub(crate) struct Talking {
    _running: Running,
    lines: Receiver<String>,
    kept: RefCell<Vec<String>>,
}

impl Talking {
    fn start(mut command: Command) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        Self::of(child)
    }

    fn of(mut child: Child) -> Self {
        let out = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let running = Running(child);
        Self {
            _running: running,
            lines,
            kept: RefCell::default(),
        }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(BOUND).expect("another line")
    }

    /// The lines up to `ready`.
    fn intro(&self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.next() {
                ready if ready == "ready" => return lines,
                line => lines.push(line),
            }
        }
    }

    /// Waits for a line with all these parts. What else comes meanwhile is kept for later: lines of different partitions have no
    /// order.
    fn wait_for(&self, parts: &[&str]) -> String {
        let until = Instant::now() + BOUND;
        let fits = |line: &String| parts.iter().all(|part| line.contains(part));
        let mut kept = self.kept.borrow_mut();
        if let Some(at) = kept.iter().position(fits) {
            return kept.remove(at);
        }
        while let Ok(line) = self
            .lines
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if fits(&line) {
                return line;
            }
            kept.push(line);
        }
        panic!("no {parts:?} in {kept:#?}");
    }
}

/// Lines to paste that begin like this, after the program's path.
pub(crate) fn pasted<'a>(intro: &'a [String], part: &str) -> Vec<&'a str> {
    let lines = intro.iter().filter_map(|line| line.strip_prefix("  "));
    lines.filter(|line| line.contains(part)).collect()
}

fn shell(line: &str, folder: &Path) -> Command {
    let mut shell = Command::new("sh");
    // `exec`, so that ending the shell ends the program.
    shell
        .args(["-c", &format!("exec {line}")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    shell
}

fn paste(line: &str, folder: &Path) -> Output {
    shell(line, folder).output().expect("the shell runs")
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Sends what a printed line of curl would; the test needs no curl.
fn curl(line: &str) -> String {
    let after = |part: &str| line.split_once(part).map(|(_, rest)| rest);
    let (address, rest) = after("http://")
        .and_then(|url| url.split_once('/'))
        .expect("a URL");
    let (path, _) = rest.split_once(' ').expect("a path");
    let key = after("x-api-key: ").and_then(|rest| rest.split_once('\''));
    let key = key
        .map(|(key, _)| format!("x-api-key: {key}\r\n"))
        .unwrap_or_default();
    let (_, body) = line.split_once("-d '").expect("a body");
    post(
        address,
        &format!("/{path}"),
        &key,
        body.trim_end_matches('\''),
    )
}

/// Under the name by which the line says it: `dev` looks at it.
pub(crate) fn post(address: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    rest(write(address, &request))
}

pub(crate) fn get(address: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    rest(write(address, &request))
}

pub(crate) fn dev(arguments: &[&str]) -> (Talking, Vec<String>, String) {
    let mut all = vec!["dev", "--listen", "127.0.0.1:0"];
    all.extend(arguments);
    let talking = Talking::start(command(&all));
    let intro = talking.intro();
    let address = intro.first().and_then(|line| line.split_once("http://"));
    let address = address.and_then(|(_, rest)| rest.split_once(','));
    let address = address.expect("an address").0.to_owned();
    (talking, intro, address)
}

#[test]
fn dev_shows_every_way_of_a_message_and_takes_any_device() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let (dev, intro, address) = dev(&[]);
    let docs = format!("http://{address}/docs");
    assert!(intro.iter().any(|line| line.contains(&docs)), "{intro:#?}");
    assert!(
        intro
            .iter()
            .any(|line| line.contains("HostName=localhost;SharedAccessKeyName=service;")),
        "{intro:#?}"
    );

    let sent = pasted(&intro, &format!("http://{address}/devices/"));
    assert_eq!(sent.len(), 2, "{intro:#?}");
    for line in sent {
        let answer = curl(line);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    dev.wait_for(&["sensor-1", "{\"temperature\": 21.5}"]);
    dev.wait_for(&["sensor-2", "component=pump", "room=12"]);
    // As everybody does first: another id.
    let answer = post(
        &address,
        "/devices/my-own/messages/events",
        "",
        r#"{"data":{"a":1}}"#,
    );
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    dev.wait_for(&["  my-own  {\"a\":1}"]);

    let down = pasted(&intro, " hub --config ");
    let [send, invoke, twin] = down[..] else {
        panic!("{down:#?}");
    };
    let output = paste(send, elsewhere.path());
    assert!(output.status.success(), "{}", text(&output));
    dev.wait_for(&["sensor-1", "received message {\"led\": \"on\"}"]);
    let output = paste(invoke, elsewhere.path());
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(
        text(&output).trim(),
        r#"{"status": 200, "payload": {"received":{"times": 3}}}"#
    );
    dev.wait_for(&[
        "sensor-1",
        "received method blink {\"times\": 3}, answered 200",
    ]);
    let output = paste(twin, elsewhere.path());
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("\"interval\": 30"),
        "{}",
        text(&output)
    );
    dev.wait_for(&["sensor-1", "received desired properties", "\"interval\":30"]);

    let hub = |arguments: &str| {
        let (begin, _) = send.split_once(" send ").expect("a line for send");
        paste(&format!("{begin} {arguments}"), elsewhere.path())
    };
    let list = hub("list");
    let list = text(&list);
    for id in ["my-own", "sensor-1", "sensor-2"] {
        assert!(list.contains(id), "{list}");
    }
    let lines = text(&hub("list --json --limit 1"));
    assert!(
        lines.contains("{\"") && lines.contains("there are more than 1 device"),
        "{lines}"
    );
    let nobody = hub("send nobody hello");
    let nobody = (nobody.status.code(), text(&nobody));
    assert_eq!(nobody.0, Some(1), "{}", nobody.1);
    assert!(nobody.1.contains("drawspan hub list"), "{}", nobody.1);
    let events = hub("twin sensor-1 --desired on");
    assert_eq!(events.status.code(), Some(64), "{}", text(&events));
}

#[test]
fn a_back_end_watches_telemetry_as_it_arrives() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_dev, intro, address) = dev(&["--device", "d1"]);
    let send = pasted(&intro, " send d1 ");
    let (begin, _) = send[0].split_once(" send ").expect("a line for send");
    let send_one = |device: &str, body: &str| {
        let path = format!("/devices/{device}/messages/events");
        let answer = post(&address, &path, "", &format!("{{\"data\":{body}}}"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    };
    send_one("d1", "{\"n\":0}");
    let mut watching = shell(
        &format!("{begin} watch --device d1 --count 2 --json"),
        folder.path(),
    );
    let mut watching = watching
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut told = BufReader::new(watching.stderr.take().expect("its stderr"));
    let mut line = String::new();
    told.read_line(&mut line).expect("a line");
    assert!(
        line.contains("watching 4 partitions of localhost"),
        "{line}"
    );
    send_one("d2", "{\"n\":9}");
    send_one("d1", "{\"n\":1}");
    send_one("d1", "{\"n\":2}");
    let mut seen = String::new();
    let mut out = watching.stdout.take().expect("its output");
    out.read_to_string(&mut seen).expect("all of it");
    assert!(watching.wait().expect("it ends").success());
    let bodies: Vec<_> = seen
        .lines()
        .filter_map(|line| line.split_once("\"body\":"))
        .collect();
    let bodies: Vec<_> = bodies.iter().map(|(_, body)| *body).collect();
    assert_eq!(bodies, ["{\"n\":1}}", "{\"n\":2}}"], "{seen}");

    let all = paste(
        &format!("{begin} watch --from-start --count 4"),
        folder.path(),
    );
    assert_eq!(String::from_utf8_lossy(&all.stdout).lines().count(), 4);
}

#[test]
fn without_a_receiver_devices_ask_for_their_messages() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_dev, intro, address) = dev(&["--no-receiver"]);
    let send = pasted(&intro, " send sensor-1 ");
    assert!(paste(send[0], folder.path()).status.success());
    let answer = get(&address, "/devices/sensor-1/messages/deviceBound?wait=20");
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"led\""),
        "{answer}"
    );
}

#[test]
fn the_printed_two_processes_work_from_any_folder() {
    let (started, pasted_in) = (tempfile::tempdir(), tempfile::tempdir());
    let (started, pasted_in) = (started.expect("a folder"), pasted_in.expect("a folder"));
    let intro = {
        let mut starting = command(&["dev", "--listen", "127.0.0.1:0"]);
        starting.current_dir(started.path());
        Talking::start(starting).intro()
    };
    let emulator = pasted(&intro, " emulator --tail ");
    let emulator = Talking::start(shell(emulator[0], pasted_in.path()));
    let told = emulator.intro();
    assert!(
        told.iter()
            .any(|line| line.contains("Provisioning service localhost")),
        "{told:#?}"
    );
    let serve = pasted(&intro, " serve --listen ");
    assert!(serve[0].contains(" --id-scope "), "{}", serve[0]);
    let serve = Talking::start(shell(serve[0], pasted_in.path()));
    serve.intro();
    let curls = pasted(&intro, "curl -i ");
    let answer = curl(curls.last().expect("a line of curl"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    emulator.wait_for(&["sensor-1", "temperature"]);
}
