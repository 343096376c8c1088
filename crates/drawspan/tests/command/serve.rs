//! `serve` from its start to its end. Its hub is not there: that is enough to have requests under way.

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpStream;
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{BOUND, Running, command, post_text, rest, write};

pub(crate) const HUB: &str =
    "HostName=hub.localtest;SharedAccessKeyName=device;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==";
const EVENTS: &str = "/devices/d/messages/events";

pub(crate) struct Serve {
    running: Running,
    address: String,
    log: Lines<BufReader<ChildStderr>>,
}

pub(crate) fn start(folder: &Path) -> Serve {
    start_by(folder, command(&["serve"]))
}

/// The same by a command to which its flags are added.
fn start_by(folder: &Path, mut command: Command) -> Serve {
    let keys = folder.join("keys");
    if !keys.exists() {
        std::fs::write(&keys, "k\n").expect("it is written");
    }
    command.args(["--listen", "127.0.0.1:0", "--hub-connection-string", HUB]);
    // Nothing listens on port 1.
    command.args(["--connect", "hub.localtest=127.0.0.1:1"]);
    command.arg("--api-key-file").arg(keys);
    command.arg("--state").arg(folder.join("state"));
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut running = Running(child.expect("the command starts"));
    let mut lines = BufReader::new(running.0.stdout.take().expect("its output")).lines();
    let mut next = || lines.next().expect("another line").expect("text");
    let first = next();
    let address = first
        .strip_prefix("listening on http://")
        .and_then(|rest| rest.split_once(", devices on hub.localtest"));
    let address = address.unwrap_or_else(|| panic!("{first}")).0.to_owned();
    assert_eq!(next(), "ready");
    let log = BufReader::new(running.0.stderr.take().expect("its log")).lines();
    Serve {
        running,
        address,
        log,
    }
}

impl Serve {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.running.0);
        kill_process(pid, signal).expect("it is there");
    }

    /// The status that a look-up with that key gets.
    fn look_up(&self, key: &str) -> String {
        let request = format!(
            "GET /devices/d/diagnostics HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-api-key: {key}\r\n\r\n"
        );
        let answer = rest(write(&self.address, &request));
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// A message that waits for the hub: the device is known once it does.
    fn under_way(&self) -> TcpStream {
        let request = post_text(EVENTS, "x-api-key: k\r\n", r#"{"data":{}}"#);
        let stream = write(&self.address, &request);
        until(|| self.look_up("k") == "200");
        stream
    }

    fn log_line_with(&mut self, part: &str) -> String {
        let lines = self.log.by_ref().map(|line| line.expect("text"));
        let mut lines = lines.filter(|line| line.contains(part));
        lines
            .next()
            .unwrap_or_else(|| panic!("no line with {part}"))
    }
}

fn until(mut reached: impl FnMut() -> bool) {
    let started = Instant::now();
    while !reached() {
        assert!(started.elapsed() < BOUND, "not reached");
    }
}

#[test]
fn a_signal_ends_it_and_whoever_waits_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut serve = start(folder.path());
    let waiting = serve.under_way();
    serve.signal(Signal::TERM);
    until(|| TcpStream::connect(&serve.address).is_err());
    let answer = rest(waiting);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(
        answer.contains("retry-after: ") && answer.contains("connection: close"),
        "{answer}"
    );
    // The hub was never there.
    assert!(answer.contains("nothing was sent"), "{answer}");
    let line = serve.log_line_with("stopping: ");
    assert!(
        line.contains("requests=1") && line.contains("a second signal"),
        "{line}"
    );
    let status = serve.running.0.wait().expect("its end");
    assert_eq!(status.code(), Some(0));
    // The state directory is free again.
    drop(start(folder.path()));
}

#[cfg(target_os = "linux")]
#[test]
fn it_serves_although_nobody_can_read_what_it_prints() {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--api-key", "k"]);
    command.args(["--hub-connection-string", HUB]);
    command
        .stdout(full.expect("a full disk"))
        .stderr(Stdio::piped());
    let mut running = Running(command.spawn().expect("the command starts"));
    let log = BufReader::new(running.0.stderr.take().expect("its log")).lines();
    let mut log = log.map(|line| line.expect("text"));
    assert!(log.any(|line| line.contains("nothing can be printed")));
    kill_process(Pid::from_child(&running.0), Signal::TERM).expect("it is there");
    let status = running.0.wait().expect("its end");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_log_says_why_a_hub_cannot_be_reached() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut serve = start(folder.path());
    let _waiting = serve.under_way();
    let line = serve.log_line_with("cannot be reached");
    assert!(
        line.contains("reason=") && line.contains("refused"),
        "{line}"
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut serve = start(folder.path());
    let waiting = serve.under_way();
    serve.signal(Signal::INT);
    until(|| TcpStream::connect(&serve.address).is_err());
    serve.signal(Signal::TERM);
    assert_eq!(rest(waiting), "");
    let status = serve.running.0.wait().expect("its end");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_hangup_reads_the_keys_again_and_a_mistake_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut serve = start(folder.path());
    assert_eq!(serve.look_up("k"), "404");
    std::fs::write(folder.path().join("keys"), "k\nsecond\n").expect("it is written");
    serve.signal(Signal::HUP);
    let line = serve.log_line_with("configuration read again");
    assert!(
        line.contains("api_key") && !line.contains("second"),
        "{line}"
    );
    assert_eq!(serve.look_up("second"), "404");
    assert_eq!(serve.look_up("third"), "401");

    std::fs::write(folder.path().join("keys"), "\n").expect("it is written");
    serve.signal(Signal::HUP);
    let line = serve.log_line_with("everything stays as it is");
    assert!(line.contains("--api-key-file: "), "{line}");
    assert_eq!(serve.look_up("second"), "404");
}

#[test]
fn two_processes_do_not_share_a_state_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    let serve = start(folder.path());
    let mut second = command(&["serve", "--listen", "127.0.0.1:0", "--api-key", "k"]);
    second.args(["--hub-connection-string", HUB]);
    let state = folder.path().join("state");
    let output = second.arg("--state").arg(state).output();
    let output = output.expect("the command runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let holder = format!("in use by another process (pid {})", serve.running.0.id());
    assert!(text.contains(&holder), "{text}");
}

/// With so few open files, that connections of one address alone would take them all.
#[cfg(target_os = "linux")]
#[test]
fn idle_connections_take_nobody_elses_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = env!("CARGO_BIN_EXE_drawspan");
    let mut few = Command::new("sh");
    few.env_clear();
    few.args(["-c", "ulimit -n 128; exec \"$@\"", "sh", program, "serve"]);
    let mut serve = start_by(folder.path(), few);
    let line = serve.log_line_with("connections of callers");
    for part in ["open_files=128", "connections=64", "per_address=32"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let idle: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(&serve.address).expect("a connection"))
        .collect();
    let live = "GET /livez HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    for _ in 0..20 {
        let answer = rest(write(&serve.address, live));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    // It can still open sockets: only the hub is unreachable.
    let _waiting = serve.under_way();
    let line = serve.log_line_with("cannot be reached");
    assert!(line.contains("refused"), "{line}");
    drop(idle);
}
