//! `drawspan hub list`.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use drawspan_client::service::{ServiceClient, TwinSummary};
use drawspan_settings::plural::count;
use serde_json::json;

use super::{Unsuccessful, time_of};
use crate::cli::say;

#[derive(Args, Clone)]
pub(super) struct ListArgs {
    /// Only devices whose ids begin with this
    #[arg(long, value_name = "PREFIX", default_value = "")]
    prefix: String,
    /// Maximum number of devices to print
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(client: &ServiceClient, args: &ListArgs) -> Result<ExitCode, Unsuccessful> {
    let (mut found, mut more) = (Vec::new(), false);
    let mut continuation: Option<String> = None;
    'pages: loop {
        let page = client.devices(continuation.as_deref()).await?;
        let ours = |device: &TwinSummary| device.device_id.starts_with(&args.prefix);
        for device in page.devices.into_iter().filter(ours) {
            if found.len() >= args.limit {
                more = true;
                break 'pages;
            }
            found.push(device);
        }
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
    }
    let printed = say::result(match args.json {
        true => lines(&found),
        false => table(&found),
    });
    if more {
        say::aside(format_args!(
            "there are more than {}; --limit shows more",
            count(args.limit, "device", "devices")
        ));
    }
    Ok(printed)
}

fn lines(found: &[TwinSummary]) -> String {
    let line = |device: &TwinSummary| {
        let object = json!({
            "deviceId": device.device_id,
            "status": device.status,
            "connectionState": device.connection_state,
            "lastActivityTime": device.last_activity_time,
        });
        format!("{object}\n")
    };
    found.iter().map(line).collect()
}

fn table(found: &[TwinSummary]) -> String {
    let widths = found
        .iter()
        .map(|device| device.device_id.chars().count())
        .max();
    let width = widths.unwrap_or_default().max("DEVICE".len());
    let mut text = String::new();
    let mut row = |device: &str, status: &str, connection: &str, active: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{device:<width$}  {status:<8}  {connection:<12}  {active}"
        );
    };
    row("DEVICE", "STATUS", "CONNECTION", "LAST ACTIVITY");
    for device in found {
        let active = time_of(&device.last_activity_time);
        row(
            &device.device_id,
            &device.status,
            &device.connection_state,
            &active,
        );
    }
    text
}
