//! `drawspan hub watch`.

use std::io;
use std::process::ExitCode;

use clap::Args;
use drawspan_client::service::{
    EventConfig, EventStart, EventStream, ServiceClient, TelemetryEvent, WatchOptions,
};
use drawspan_hub::UtcTime;
use drawspan_settings::plural::count;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Unsuccessful;
use super::access::Access;
use crate::cli::{failed, say, show, signals};
use crate::limits::{SHOWN_BODY_CHARS, SHOWN_PROPERTY_CHARS};

#[derive(Args, Clone)]
pub(super) struct WatchArgs {
    /// Only messages of this device
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Stop after this many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Begin with the oldest message that the hub still has, instead of with new ones
    #[arg(long)]
    from_start: bool,
    /// Consumer group to read as; a separate group does not disturb other readers
    #[arg(long, value_name = "NAME", default_value = "$Default")]
    group: String,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(access: &Access, args: WatchArgs) -> Result<ExitCode, Unsuccessful> {
    let config = match access {
        Access::Events(config) => config.clone(),
        Access::Hub(config) => EventConfig {
            endpoint: ServiceClient::new(config.clone()).event_endpoint().await?,
            credentials: config.credentials.clone(),
            connector: config.connector.clone(),
        },
    };
    let entity = config.endpoint.entity.clone();
    let options = WatchOptions {
        group: args.group.clone(),
        start: match args.from_start {
            true => EventStart::Oldest,
            false => EventStart::Now,
        },
    };
    let mut events = EventStream::open(config, options).await?;
    let partitions = count(events.partitions(), "partition", "partitions");
    say::aside(format_args!(
        "watching {partitions} of {entity}; Ctrl-C ends it"
    ));
    let mut endings = signals::Endings::new();
    let mut shown = 0;
    while args.count.is_none_or(|count| shown < count) {
        let event = tokio::select! {
            event = events.next() => event?,
            () = endings.next() => break,
        };
        let ours = |id: &String| event.device.as_ref() == Some(id);
        if args.device.as_ref().is_some_and(|id| !ours(id)) {
            continue;
        }
        shown += 1;
        let line = match args.json {
            true => json_line(&event),
            false => text_line(&event),
        };
        match say::out(line) {
            Ok(()) => {}
            // The reader has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => return Ok(failed(format_args!("cannot print: {error}"))),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `time  device  body  properties`, as `dev` and `emulator --tail` show them.
fn text_line(event: &TelemetryEvent) -> String {
    let time = event.enqueued_unix_ms.map(UtcTime::from_unix_ms);
    let time = time.map_or_else(|| "-".to_owned(), show::time_of_day);
    let device = event.device.as_deref().unwrap_or("-");
    let body = match &event.body {
        Some(body) if body.is_empty() => "(no body)".to_owned(),
        Some(body) => show::one_line(&String::from_utf8_lossy(body), SHOWN_BODY_CHARS),
        None => "(a body of AMQP values)".to_owned(),
    };
    let part = |text: &str| show::one_line(text, SHOWN_PROPERTY_CHARS);
    let mut line = format!("{time}  {device}  {body}");
    if let Some(component) = &event.component {
        line += &format!("  component={}", part(component));
    }
    for (index, (name, value)) in event.properties.iter().enumerate() {
        let gap = if index == 0 { "  " } else { " " };
        line += &format!("{gap}{}={}", part(name), part(value));
    }
    line + "\n"
}

/// The whole event; a body that is not JSON is a string.
fn json_line(event: &TelemetryEvent) -> String {
    let time = event.enqueued_unix_ms.map(UtcTime::from_unix_ms);
    let properties: Map<String, Value> = event
        .properties
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    let bytes = event.body.as_deref();
    let body = match bytes.map(serde_json::from_slice::<&RawValue>) {
        Some(Ok(raw)) => raw.get().replace(['\n', '\r'], " "),
        Some(Err(_)) => Value::from(String::from_utf8_lossy(bytes.unwrap_or_default())).to_string(),
        None => "null".to_owned(),
    };
    let head = json!({
        "deviceId": event.device,
        "enqueuedTime": time.map(|time| time.to_string()),
        "source": event.source,
        "componentName": event.component,
        "contentType": event.content_type,
        "properties": properties,
    });
    let head = head.to_string();
    // The body last, and as it came.
    let head = head.strip_suffix('}').unwrap_or(&head);
    format!("{head},\"body\":{body}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_alone() {
        let event = TelemetryEvent {
            device: Some("d".into()),
            enqueued_unix_ms: Some(1_795_342_830_123),
            source: Some("Telemetry".into()),
            component: Some("pump".into()),
            content_type: None,
            properties: vec![("a".into(), "b".into()), ("c".into(), "d".into())],
            body: Some("{\"t\":\n1}".into()),
        };
        assert_eq!(
            text_line(&event),
            "10:20:30.123  d  {\"t\": 1}  component=pump  a=b c=d\n"
        );
        let line = json_line(&event);
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["body"]["t"], 1);
        assert_eq!(read["properties"]["c"], "d");
        assert_eq!(line.lines().count(), 1);
        let text = TelemetryEvent {
            body: Some("on".into()),
            ..event
        };
        let read: Value = serde_json::from_str(&json_line(&text)).unwrap();
        assert_eq!(read["body"], "on");
    }
}
