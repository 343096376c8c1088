//! `drawspan hub`: a back end on the command line: messages and methods to devices, twins, telemetry.

mod access;
mod device_list;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use drawspan_client::SendFailure;
use drawspan_client::service::{Call, Message, ServiceClient};
use drawspan_hub::{DeviceId, Failure, UtcTime};
use drawspan_settings::Mistakes;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{advice, block_on, failed, misused, say};
use crate::limits::{HUB_SEND_S, INVOKE_CONNECT_S};
use access::{Access, AccessArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  HUB=contoso.azure-devices.net
  POLICY='SharedAccessKeyName=service;SharedAccessKey=KEY'
  export DRAWSPAN_SERVICE_CONNECTION_STRING=\"HostName=$HUB;$POLICY\"
  drawspan hub list
  drawspan hub send sensor-1 '{\"led\": \"on\"}' --property room=12
  drawspan hub invoke sensor-1 blink '{\"times\": 3}'
  drawspan hub twin sensor-1 --desired '{\"interval\": 30}'
  drawspan hub watch --device sensor-1

  At an emulator, by the policy of the connection string that it prints:
  drawspan hub list --ca ./drawspan-state/ca.pem \\
    --connect localhost:443=127.0.0.1:8443 \\
    --connection-string \"HostName=localhost;$POLICY\"

`drawspan dev` prints commands for its own hub. The exit code is 1 if the hub refused or could not be reached.";

const SEND_EXAMPLES: &str = "\
Examples:
  drawspan hub send sensor-1 '{\"led\": \"on\"}'
  drawspan hub send sensor-1 hello --property room=12 --expires-in 60";
const INVOKE_EXAMPLES: &str = "\
Examples:
  drawspan hub invoke sensor-1 reboot
  drawspan hub invoke sensor-1 blink '{\"times\": 3}' --response-timeout 60";
const TWIN_EXAMPLES: &str = "\
Examples:
  drawspan hub twin sensor-1
  drawspan hub twin sensor-1 --desired '{\"interval\": 30, \"old\": null}'";
const LIST_EXAMPLES: &str = "\
Examples:
  drawspan hub list
  drawspan hub list --limit 1000 --json";
const WATCH_EXAMPLES: &str = "\
Examples:
  drawspan hub watch
  drawspan hub watch --device sensor-1 --from-start --count 10 --json";

/// Flags of all of them, and which one.
#[derive(Args)]
pub(super) struct HubArgs {
    #[command(flatten)]
    access: AccessArgs,
    #[command(subcommand)]
    command: HubCommand,
}

#[derive(Subcommand)]
enum HubCommand {
    /// Send a cloud-to-device message
    #[command(after_help = SEND_EXAMPLES)]
    Send(SendArgs),
    /// Call a direct method, and print its answer
    #[command(after_help = INVOKE_EXAMPLES)]
    Invoke(InvokeArgs),
    /// Print a device's twin; with --desired, change desired properties first
    #[command(after_help = TWIN_EXAMPLES)]
    Twin(TwinArgs),
    /// List devices
    #[command(after_help = LIST_EXAMPLES)]
    List(device_list::ListArgs),
    /// Print telemetry as it arrives
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(watch::WatchArgs),
}

#[derive(Args)]
struct SendArgs {
    /// Id of the device
    #[arg(value_name = "DEVICE")]
    device: String,
    /// Body of the message; JSON is sent as application/json
    #[arg(value_name = "BODY")]
    body: String,
    /// Property of the message, repeatable
    #[arg(long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// Id of the message
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Time to live, after which the hub drops the message [default: the hub's time to live, an hour]
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u32>,
}

#[derive(Args)]
struct InvokeArgs {
    /// Id of the device
    #[arg(value_name = "DEVICE")]
    device: String,
    /// Name of the method
    #[arg(value_name = "METHOD")]
    method: String,
    /// Payload, as JSON
    #[arg(value_name = "JSON")]
    payload: Option<String>,
    /// How long the hub waits for the answer, 5 to 300
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(5..=300))]
    response_timeout: u32,
    /// How long the hub waits for a device that is not connected, 0 to 300
    #[arg(long, value_name = "SECONDS", default_value_t = INVOKE_CONNECT_S, value_parser = clap::value_parser!(u32).range(0..=300))]
    connect_timeout: u32,
}

#[derive(Args)]
struct TwinArgs {
    /// Id of the device
    #[arg(value_name = "DEVICE")]
    device: String,
    /// Desired properties to change, as a JSON object; null removes one
    #[arg(long, value_name = "JSON")]
    desired: Option<String>,
    /// Print the complete twin, including the times of changes
    #[arg(long)]
    full: bool,
}

/// Why a command failed.
enum Unsuccessful {
    /// The hub said no, or nothing.
    Hub(Failure),
    /// Something else, in words.
    Other(String),
}

impl From<Failure> for Unsuccessful {
    fn from(failure: Failure) -> Self {
        Self::Hub(failure)
    }
}

pub(super) fn run(args: &HubArgs) -> ExitCode {
    let mut mistakes = Mistakes::default();
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let access = args.access.check(variable, &mut mistakes);
    let planned = args.command.check(&mut mistakes);
    let (Some(access), Some(planned), []) = (access, planned, mistakes.lines()) else {
        return misused(&mistakes);
    };
    let access = match (access, &planned) {
        (Access::Events(_), planned) if !matches!(planned, Planned::Watch(_)) => {
            let text = "an event endpoint serves watch alone; the others need the hub's connection string, HostName=…";
            mistakes.add("--connection-string", text);
            return misused(&mistakes);
        }
        (access, _) => access,
    };
    let _log = super::log::start("warn");
    block_on(async move {
        let done = match (&access, planned) {
            (access, Planned::Watch(watch)) => watch::run(access, watch).await,
            (Access::Hub(config), planned) => {
                carry_out(&ServiceClient::new(config.clone()), planned).await
            }
            (Access::Events(_), _) => Ok(ExitCode::FAILURE),
        };
        match done {
            Ok(code) => code,
            Err(Unsuccessful::Other(why)) => failed(why),
            Err(Unsuccessful::Hub(failure)) => {
                let (host, connector) = access.way();
                let advice = advice::for_service(&failure, host, connector).await;
                failed(format_args!("{failure}\n  {advice}"))
            }
        }
    })
}

/// A validated command.
enum Planned {
    Send(Message),
    Invoke(Call),
    Twin {
        device: DeviceId,
        desired: Option<Box<RawValue>>,
        full: bool,
    },
    List(device_list::ListArgs),
    Watch(watch::WatchArgs),
}

impl HubCommand {
    fn check(&self, mistakes: &mut Mistakes) -> Option<Planned> {
        match self {
            Self::Send(args) => args.check(mistakes).map(Planned::Send),
            Self::Invoke(args) => args.check(mistakes).map(Planned::Invoke),
            Self::Twin(args) => {
                let device = mistakes.keep("DEVICE", DeviceId::parse(&args.device));
                let desired = args.desired.as_deref().map(object).transpose();
                let desired = mistakes.keep("--desired", desired);
                Some(Planned::Twin {
                    device: device?,
                    desired: desired?,
                    full: args.full,
                })
            }
            Self::List(args) => Some(Planned::List(args.clone())),
            Self::Watch(args) => Some(Planned::Watch(args.clone())),
        }
    }
}

impl SendArgs {
    fn check(&self, mistakes: &mut Mistakes) -> Option<Message> {
        let device = mistakes.keep("DEVICE", DeviceId::parse(&self.device));
        let pairs = self.properties.iter().map(|text| {
            let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
            let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
            pair.ok_or_else(|| format!("`{text}` is not NAME=VALUE"))
        });
        let properties = mistakes.keep("--property", pairs.collect::<Result<Vec<_>, _>>());
        let is_json = serde_json::from_str::<&RawValue>(&self.body).is_ok();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
        Some(Message {
            message_id: self.message_id.clone(),
            content_type: is_json.then(|| "application/json".to_owned()),
            properties: properties?,
            expires_unix_ms: self
                .expires_in
                .map(|seconds| now_ms.saturating_add(i64::from(seconds) * 1_000)),
            ..Message::new(device?, self.body.clone())
        })
    }
}

impl InvokeArgs {
    fn check(&self, mistakes: &mut Mistakes) -> Option<Call> {
        let device = mistakes.keep("DEVICE", DeviceId::parse(&self.device));
        let payload = self.payload.as_deref().map(json).transpose();
        let payload = mistakes.keep("JSON", payload);
        Some(Call {
            device: device?,
            method: self.method.clone(),
            payload: payload?,
            response_timeout_s: self.response_timeout,
            connect_timeout_s: self.connect_timeout,
        })
    }
}

async fn carry_out(client: &ServiceClient, planned: Planned) -> Result<ExitCode, Unsuccessful> {
    match planned {
        Planned::Send(message) => {
            let deadline = Instant::now() + Duration::from_secs(HUB_SEND_S);
            let device = message.device.clone();
            match client.send(&message, deadline).await {
                Ok(()) => Ok(say::result(format_args!(
                    "The hub has the message, and keeps it until {device} takes it.\n"
                ))),
                Err(SendFailure::Refused(failure)) => Err(failure.into()),
                Err(other) => Err(Unsuccessful::Other(other.to_string())),
            }
        }
        Planned::Invoke(call) => {
            let called = client.call(&call).await?;
            let payload = called.payload.as_deref().map_or("null", RawValue::get);
            let status = called.status;
            Ok(say::result(format_args!(
                "{{\"status\": {status}, \"payload\": {payload}}}\n"
            )))
        }
        Planned::Twin {
            device,
            desired,
            full,
        } => {
            let twin = match desired {
                Some(patch) => client.set_desired(&device, &patch).await?,
                None => client.twin(&device).await?,
            };
            Ok(say::result(format_args!("{}\n", pretty(&twin, full))))
        }
        Planned::List(args) => device_list::run(client, &args).await,
        Planned::Watch(_) => Ok(ExitCode::FAILURE),
    }
}

/// A twin for people: without the times of each property's change, unless all is asked for.
fn pretty(twin: &RawValue, full: bool) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(twin.get()) else {
        return twin.get().to_owned();
    };
    if !full {
        for section in ["desired", "reported"] {
            let pointer = format!("/properties/{section}");
            if let Some(Value::Object(section)) = value.pointer_mut(&pointer) {
                section.remove("$metadata");
            }
        }
        if let Value::Object(twin) = &mut value {
            const SHOWN: [&str; 6] = [
                "deviceId",
                "status",
                "connectionState",
                "lastActivityTime",
                "tags",
                "properties",
            ];
            twin.retain(|name, _| SHOWN.contains(&name.as_str()));
        }
    }
    serde_json::to_string_pretty(&value).unwrap_or_else(|_| twin.get().to_owned())
}

fn json(text: &str) -> Result<Box<RawValue>, String> {
    RawValue::from_string(text.trim().to_owned())
        .map_err(|_| "not JSON; a text needs quotes, as in '\"on\"'".to_owned())
}

fn object(text: &str) -> Result<Box<RawValue>, String> {
    match json(text)? {
        raw if raw.get().starts_with('{') => Ok(raw),
        _ => Err("not a JSON object, like '{\"interval\": 30}'".to_owned()),
    }
}

/// A hub's time for people; nothing for the year 1, which stands for never.
fn time_of(text: &str) -> String {
    match text.starts_with("0001-") || text.is_empty() {
        true => "never".to_owned(),
        false => match UtcTime::parse(text) {
            Ok(time) => time.to_string().chars().take(19).collect::<String>() + "Z",
            Err(_) => text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twin_is_shown_without_what_nobody_reads() {
        let twin = RawValue::from_string(
            r#"{"deviceId":"d","etag":"x","properties":{"desired":{"a":1,"$version":2,"$metadata":{}},"reported":{}}}"#
                .to_owned(),
        );
        let twin = twin.unwrap();
        let shown: Value = serde_json::from_str(&pretty(&twin, false)).unwrap();
        let expected = serde_json::json!({
            "deviceId": "d", "properties": {"desired": {"a": 1, "$version": 2}, "reported": {}}
        });
        assert_eq!(shown, expected);
        assert!(pretty(&twin, true).contains("etag"));
    }

    #[test]
    fn desired_properties_are_an_object_and_payloads_json() {
        assert!(object(" {\"a\": 1} ").is_ok());
        for bad in ["[1]", "1", "{", "on"] {
            assert!(object(bad).is_err(), "{bad}");
        }
        assert!(json("[1, 2]").is_ok() && json("on").is_err());
    }
}
