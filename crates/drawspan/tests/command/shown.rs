//! What people see, as it stands in `snapshots/`: help texts, settings, the first lines of a server. After a change on purpose,
//! `INSTA_UPDATE=always cargo test -p drawspan --test command shown` writes it anew.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::support::{Running, command, run};

/// The names of the subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = lines.take_while(|line| !line.is_empty());
    // What wraps is indented more.
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != "help");
    names.map(str::to_owned).collect()
}

fn help(path: &[String]) -> String {
    let arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    let output = run(&[&arguments[..], &["--help"]].concat());
    assert!(output.status.success(), "{path:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_help_of_every_command() {
    let mut paths = vec![Vec::new()];
    let mut seen = 0;
    while let Some(path) = paths.pop() {
        let text = help(&path);
        for name in subcommands(&text) {
            paths.push([&path[..], &[name]].concat());
        }
        let name = ["help", &path.join("_")].join("_");
        insta::assert_snapshot!(name.trim_end_matches('_'), text);
        seen += 1;
    }
    assert!(seen > 20, "{seen} commands");
}

#[test]
fn what_config_check_says() {
    let output = run(&[
        "config",
        "check",
        "--api-key",
        "a-key-of-some-length",
        "--id-scope",
        "0ne00000001",
        "--group-key",
        "MDEyMzQ1Njc4OWFiY2RlZg==",
    ]);
    let text = String::from_utf8(output.stdout).expect("text");
    insta::assert_snapshot!("config_check", text);
    let output = run(&["config", "check", "--request-timeout", "0"]);
    let text = String::from_utf8(output.stderr).expect("text");
    insta::assert_snapshot!("config_check_mistakes", text);
}

/// What a server prints until it is ready, with a port that differs from run to run as `PORT`.
fn banner(arguments: &[&str]) -> String {
    let mut child = command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let output = child.stdout.take().expect("its output");
    let running = Running(child);
    let mut text = String::new();
    for line in BufReader::new(output).lines() {
        let line = line.expect("a line");
        text.push_str(&line);
        text.push('\n');
        if line == "ready" {
            break;
        }
    }
    drop(running);
    assert!(text.ends_with("ready\n"), "{text}");
    without_ports(&text)
}

fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str("127.0.0.1:PORT");
        shown.push_str(part.trim_start_matches(|it: char| it.is_ascii_digit()));
    }
    shown
}

#[test]
fn the_first_lines_of_a_bridge() {
    let text = banner(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--api-key",
        "a-key-of-some-length",
        "--id-scope",
        "0ne00000001",
        "--group-key",
        "MDEyMzQ1Njc4OWFiY2RlZg==",
    ]);
    insta::assert_snapshot!("serve", text);
}
