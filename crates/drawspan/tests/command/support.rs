//! Running the command, and speaking HTTP to it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

/// Longer than anything here takes.
pub(crate) const BOUND: Duration = Duration::from_secs(40);

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drawspan"));
    // The tests' environment may have its own settings.
    command.args(arguments).env_clear();
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the command runs")
}

/// A running command; ended when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `config check` says of a setting, word by word.
pub(crate) fn setting(checked: &str, key: &str) -> Vec<String> {
    let mut lines = checked.lines();
    let found = lines.find(|line| line.split(' ').next() == Some(key));
    let words = found.unwrap_or_default().split_whitespace();
    words.map(str::to_owned).collect()
}

/// The file `log` in a folder, once that stands in it.
pub(crate) fn wait_for_log(folder: &Path, part: &str) -> String {
    let until = Instant::now() + BOUND;
    loop {
        let log = std::fs::read_to_string(folder.join("log")).expect("the log");
        if log.contains(part) {
            return log;
        }
        assert!(Instant::now() < until, "no {part} in {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A connection with that written to it.
pub(crate) fn write(address: &str, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(BOUND)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("it is sent");
    stream
}

/// All that comes until the other side hangs up.
pub(crate) fn rest(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// `headers` with their line ends.
pub(crate) fn post_text(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

pub(crate) fn post(address: &str, path: &str, headers: &str, body: &str) -> String {
    rest(write(address, &post_text(path, headers, body)))
}
