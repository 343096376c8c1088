//! `drawspan diagnose`: why a device is not connected, or comes and goes.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Args;
use drawspan_hub::DeviceId;
use drawspan_settings::Mistakes;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use super::bridge::{Bridge, BridgeArgs};
use super::show::one_line;
use super::watch::Change;
use super::{block_on, failed, misused, say, term};
use crate::limits::SHOWN_BODY_CHARS;

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan diagnose sensor-1
  drawspan diagnose sensor-1 --url https://bridge.example:5001 \\
    --api-key-file ./key --json

What the bridge knows of the device's connection, and its last changes, newest first: time, status, cause, who caused it by what, and \
how long the session lasted that ended by it. What each cause means and what to do: docs/operate.md. The key needs the scope read.";

#[derive(Args)]
pub(super) struct DiagnoseArgs {
    #[command(flatten)]
    bridge: BridgeArgs,
    /// The device
    #[arg(value_name = "ID")]
    device: String,
    /// Print the answer of the API
    #[arg(long)]
    json: bool,
}

/// What is shown of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Diagnostics {
    state: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
    #[serde(default)]
    history: Vec<Change>,
}

/// The members that are shown when there is something to say.
const SHOWN: [&str; 8] = [
    "status",
    "reason",
    "hub",
    "assignedDeviceId",
    "since",
    "failures",
    "nextAttemptAt",
    "wantedUntil",
];

pub(super) fn run(args: &DiagnoseArgs) -> ExitCode {
    let mut mistakes = Mistakes::default();
    let bridge = Bridge::new(&mut mistakes, &args.bridge);
    let device = mistakes.keep("ID", DeviceId::parse(&args.device));
    let (Some(bridge), Some(device), []) = (bridge, device, mistakes.lines()) else {
        return misused(&mistakes);
    };
    let id = utf8_percent_encode(device.as_str(), NON_ALPHANUMERIC);
    let path = format!("/devices/{id}/diagnostics");
    let json = args.json;
    block_on(async move {
        let body = match bridge.ask(&Method::GET, &path).await {
            Ok(body) => body,
            Err(error) => return failed(error),
        };
        if json {
            return say::result(format_args!("{}\n", String::from_utf8_lossy(&body)));
        }
        let colour = term::colour_wanted(std::io::stdout().is_terminal());
        match serde_json::from_slice::<Diagnostics>(&body) {
            Ok(found) => say::result(text(&device, &found, colour)),
            Err(error) => failed(format_args!("the answer makes no sense: {error}")),
        }
    })
}

fn text(device: &DeviceId, found: &Diagnostics, colour: bool) -> String {
    let mut text = format!("{device}: {}\n", one_line(&found.state, SHOWN_BODY_CHARS));
    for name in SHOWN {
        let value = match found.rest.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(value)) => value.clone(),
            Some(value) => value.to_string(),
        };
        let value = one_line(&value, SHOWN_BODY_CHARS);
        let _ = writeln!(text, "  {name}: {value}");
    }
    let failure = found
        .rest
        .get("lastFailure")
        .and_then(|it| it.get("message"));
    if let Some(message) = failure.and_then(Value::as_str) {
        let message = one_line(message, SHOWN_BODY_CHARS);
        let _ = writeln!(text, "  lastFailure: {message}");
    }
    if found.history.is_empty() {
        text.push_str("no change of its connection is remembered\n");
    }
    for change in &found.history {
        let _ = writeln!(text, "{}", change.line_of_one(colour));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_comes_first_then_the_changes() {
        let answer = r#"{"deviceId":"d","state":"waiting","status":"Disconnected","reason":"Bad_Credential","hub":"h.net","failures":3,
            "since":null,"lastFailure":{"message":"no\nsuch key"},"history":[{"at":"2026-11-30T10:20:30.1234567Z","status":"Disconnected",
            "reason":"Bad_Credential","cause":"credentials-refused","detail":"h.net: no such key","sessionSeconds":null}]}"#;
        let found = serde_json::from_str(answer).unwrap();
        let device = DeviceId::parse("d").unwrap();
        assert_eq!(
            text(&device, &found, false),
            "d: waiting\n  status: Disconnected\n  reason: Bad_Credential\n  hub: h.net\n  failures: 3\n  lastFailure: no such key\n\
             2026-11-30 10:20:30.123  Disconnected  credentials-refused  h.net: no such key\n"
        );
    }
}
