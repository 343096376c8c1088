//! `dev` without a key: who may ask, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Running, command, rest, write};

fn start() -> (Running, String) {
    let mut dev = command(&["dev", "--listen", "127.0.0.1:0"]);
    let child = dev.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = Running(child.expect("the command starts"));
    let lines = BufReader::new(running.0.stdout.take().expect("its output")).lines();
    let mut lines = lines.map(|line| line.expect("text"));
    let first = lines.find(|line| line.contains("http://"));
    let first = first.expect("a line with its address");
    let (_, address) = first.split_once("http://").expect("an address");
    let end = address.find(|c: char| c != '.' && c != ':' && !c.is_ascii_digit());
    let address = address[..end.unwrap_or(address.len())].to_owned();
    // What it prints later is read by somebody.
    std::thread::spawn(move || lines.count());
    (running, address)
}

#[test]
fn a_page_of_the_web_cannot_ask() {
    let (_running, address) = start();
    for (host, expected) in [
        (address.as_str(), "200"),
        ("localhost", "200"),
        ("evil.example", "403"),
    ] {
        let request = format!("GET /livez HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = rest(write(&address, &request));
        assert_eq!(answer.split(' ').nth(1), Some(expected), "{host}: {answer}");
    }
}

#[test]
fn a_first_signal_says_what_is_under_way_and_a_second_one_ends_it() {
    let (mut running, address) = start();
    let half = "POST /devices/sensor-1/messages/events HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n";
    let mut under_way = write(&address, half);
    // It is under way once it is asked for its body.
    let mut go_on = [0; 25];
    under_way.read_exact(&mut go_on).expect("a word");
    assert!(go_on.starts_with(b"HTTP/1.1 100 "));
    let signal = |running: &Running, signal| {
        kill_process(Pid::from_child(&running.0), signal).expect("it is there");
    };
    signal(&running, Signal::INT);
    let log = BufReader::new(running.0.stderr.take().expect("its log")).lines();
    let mut log = log.map(|line| line.expect("text"));
    let said = log.find(|line| line.contains("stopping: "));
    let said = said.expect("a line");
    assert!(
        said.contains("1 request is under way") && said.contains("Ctrl-C again"),
        "{said}"
    );
    signal(&running, Signal::INT);
    assert!(log.any(|line| line.contains("ended at once")));
    assert_eq!(running.0.wait().expect("its end").code(), Some(1));
}
