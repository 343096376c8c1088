//! Snapshots of what people see: help texts, settings, the first lines of each server. After an intended change,
//! `INSTA_UPDATE=always cargo test -p drawspan --test command shown` writes them again.

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

/// What a server prints until it is ready. Fixed words replace what differs from run to run: ports, keys, temporary directories and
/// this machine's paths.
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
        // Not every machine has IPv6.
        if !line.starts_with("ipv6 ") {
            text.push_str(&line);
            text.push('\n');
        }
        if line == "ready" {
            break;
        }
    }
    drop(running);
    assert!(text.ends_with("ready\n"), "{text}");
    let text = text
        .replace(env!("CARGO_BIN_EXE_drawspan"), "drawspan")
        .replace(env!("CARGO_MANIFEST_DIR"), "FOLDER");
    let is_digit = |it: char| it.is_ascii_digit();
    let mut text = replaced(
        &text,
        "/tmp/drawspan-emulator-",
        |it| it.is_ascii_hexdigit(),
        "ID",
    );
    for before in [
        "127.0.0.1:",
        "https://localhost:",
        "--amqps-port ",
        "--https-port ",
    ] {
        text = replaced(&text, before, is_digit, "PORT");
    }
    // The address of uploaded files is signed until a year from now.
    for before in ["&sig=", "&se="] {
        text = replaced(&text, before, |it| !"&\n".contains(it), "VALUE");
    }
    without_keys(&text)
}

/// The text with `word` instead of what follows each `before`, as far as it `fits`.
fn replaced(text: &str, before: &str, fits: impl Fn(char) -> bool, word: &str) -> String {
    let mut parts = text.split(before);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.extend([before, word, part.trim_start_matches(&fits)]);
    }
    shown
}

/// The text with `KEY` instead of each Base64 text as long as a key.
fn without_keys(text: &str) -> String {
    let is_base64 = |it: char| it.is_ascii_alphanumeric() || "+/=".contains(it);
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_base64) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|it| !is_base64(it)).unwrap_or(from.len());
        let (mut word, after) = from.split_at(end);
        shown.push_str(before);
        // `SharedAccessKey=KEY` is one word here.
        if let Some((name, value)) = word.split_once('=')
            && value.len() >= 44
        {
            shown.extend([name, "="]);
            word = value;
        }
        shown.push_str(match word.len() >= 44 && word.ends_with('=') {
            true => "KEY",
            false => word,
        });
        rest = after;
    }
    shown.push_str(rest);
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

#[test]
fn the_first_lines_of_an_emulator() {
    let text = banner(&[
        "emulator",
        "--mqtts-port",
        "0",
        "--amqps-port",
        "0",
        "--https-port",
        "0",
        "--device",
        "sensor-1",
    ]);
    insta::assert_snapshot!("emulator", text);
}

#[test]
fn the_first_lines_of_dev() {
    let text = banner(&["dev", "--listen", "127.0.0.1:0"]);
    insta::assert_snapshot!("dev", text);
}
