//! One line per message that reaches the local hub.
//!
//! Payloads are shown here because the user asked to see them; the log never has them.

mod paint;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;

use drawspan_amqp::message::{Body, Message};
use drawspan_amqp::value::{Map, Value};
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub::UtcTime;
use drawspan_hub::telemetry::COMPONENT_ANNOTATION;
use drawspan_segment_log::{LogError, Position, StoredRecord};
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};

pub use paint::{Colour, Paint};

/// Messages that are read at once, and about how many bytes of them.
const MAX_RECORDS: usize = 100;
const MAX_BYTES: usize = 262_144;
/// Number of characters shown of a body, and of each property.
const BODY_CHARS: usize = 160;
const PROPERTY_CHARS: usize = 60;
const MAX_PROPERTIES: usize = 20;

/// Prints what arrives from now on, until the result is dropped.
///
/// # Errors
/// The hub's log cannot be read.
pub fn start(hub: &Arc<Hub>, paint: Paint) -> Result<JoinSet<()>, LogError> {
    let mut followers = JoinSet::new();
    for partition in 0..hub.partition_count() {
        // Before anything can be sent: nothing is missed.
        let from = hub.seek(partition, Position::End)?;
        let hub = Arc::clone(hub);
        followers.spawn(async move {
            if let Err(error) = follow(&hub, partition, from, paint).await {
                tracing::error!(%error, partition, "messages are not shown any more");
            }
        });
    }
    Ok(followers)
}

async fn follow(hub: &Hub, partition: u16, from: u64, paint: Paint) -> Result<(), LogError> {
    let news = Arc::new(Notify::new());
    let bell = Arc::clone(&news);
    let Some(subscription) = hub.subscribe(partition, move || bell.notify_one())? else {
        return Ok(());
    };
    let mut next = from;
    loop {
        subscription.rearm();
        let records = hub.read(partition, next, MAX_RECORDS, MAX_BYTES)?;
        let Some(last) = records.last() else {
            news.notified().await;
            continue;
        };
        next = last.sequence + 1;
        let lines: String = records
            .iter()
            .map(|record| line(record, paint) + "\n")
            .collect();
        // On a separate thread: a stopped terminal blocks the output, and nothing else.
        let shown = spawn_blocking(move || io::stdout().lock().write_all(lines.as_bytes()));
        // The terminal is gone: no output is needed.
        if !matches!(shown.await, Ok(Ok(()))) {
            return Ok(());
        }
    }
}

/// `time  device  body  properties`; a module is `device/module`.
fn line(record: &StoredRecord, paint: Paint) -> String {
    let time = UtcTime::from_unix_ms(i64::try_from(record.enqueued_unix_ms).unwrap_or_default())
        .to_string();
    let time = time.get(11..23).unwrap_or(&time).to_owned();
    let sender = match &record.module_id {
        None => record.device_id.to_string(),
        Some(module) => format!("{}/{module}", record.device_id),
    };
    let mut line = format!(
        "{}  {}",
        paint.with(Colour::Grey, time),
        paint.with(Colour::Cyan, sender)
    );
    let Ok(message) = Message::decode(&record.message) else {
        let _ = write!(
            line,
            "  {}",
            paint.with(Colour::Yellow, "not an AMQP message")
        );
        return line;
    };
    let _ = write!(line, "  {}", body(&message.body));
    let annotations = message.message_annotations.unwrap_or_default();
    if let Some(component) = annotations
        .get_symbol(COMPONENT_ANNOTATION)
        .and_then(Value::as_str)
    {
        let _ = write!(line, "  component={}", shown(component, PROPERTY_CHARS));
    }
    let properties = message.application_properties.unwrap_or_default();
    if !properties.is_empty() {
        let _ = write!(
            line,
            "  {}",
            paint.with(Colour::Green, text_of(&properties))
        );
    }
    line
}

fn body(body: &Body) -> String {
    match body {
        Body::Data(parts) => shown(&String::from_utf8_lossy(&parts.concat()), BODY_CHARS),
        Body::Empty => "(no body)".to_owned(),
        Body::Sequence(_) | Body::Value(_) => "(a body of AMQP values)".to_owned(),
    }
}

fn text_of(properties: &Map) -> String {
    let one = |(name, value): &(Value, Value)| {
        let text = |value: &Value| match value.as_str() {
            Some(text) => shown(text, PROPERTY_CHARS),
            None => shown(&format!("{value:?}"), PROPERTY_CHARS),
        };
        format!("{}={}", text(name), text(value))
    };
    properties
        .iter()
        .take(MAX_PROPERTIES)
        .map(one)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The beginning of a text, on one line. Control characters become `�`: a message must not steer the terminal.
fn shown(text: &str, max_chars: usize) -> String {
    let visible = |letter: char| match letter {
        '\n' | '\r' | '\t' => ' ',
        letter if letter.is_control() => '\u{fffd}',
        letter => letter,
    };
    let mut shown: String = text.chars().take(max_chars).map(visible).collect();
    if text.chars().nth(max_chars).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use drawspan_amqp::value::Symbol;
    use drawspan_hub::{DeviceId, ModuleId};

    use super::*;
    use drawspan_segment_log::{AuthKind, AuthScope, MessageSource, Origin};

    fn text(name: &str, value: &str) -> (Value, Value) {
        (Value::from(name), Value::from(value))
    }

    fn record(message: bytes::Bytes) -> StoredRecord {
        StoredRecord {
            sequence: 0,
            offset: 0,
            enqueued_unix_ms: 1_795_342_830_123,
            device_id: DeviceId::parse("sensor-1").unwrap(),
            module_id: None,
            origin: Origin {
                scope: AuthScope::Hub,
                kind: AuthKind::Sas,
                generation_id: "1".into(),
                source: MessageSource::Telemetry,
            },
            message,
        }
    }

    #[test]
    fn a_line_has_time_device_body_and_properties() {
        let component = Value::Symbol(Symbol::from_static(COMPONENT_ANNOTATION));
        let message = Message {
            message_annotations: Some(Map(vec![(component, Value::from("pump"))])),
            application_properties: Some(Map(vec![text("room", "12"), text("\u{1b}[2J", "b")])),
            ..Message::from_data("{\"t\":\r\n1}\u{7}")
        };
        let record = record(message.to_bytes());
        let plain = line(&record, Paint(false));
        assert_eq!(
            plain,
            "10:20:30.123  sensor-1  {\"t\":  1}\u{fffd}  component=pump  room=12 \u{fffd}[2J=b"
        );
        assert!(line(&record, Paint(true)).contains("\u{1b}[36msensor-1\u{1b}[0m"));
        let of_module = StoredRecord {
            module_id: Some(ModuleId::parse("m").unwrap()),
            ..record
        };
        assert!(line(&of_module, Paint(false)).contains("  sensor-1/m  "));
    }

    #[test]
    fn long_bodies_are_cut_and_strange_ones_named() {
        let long = Message::from_data("ä".repeat(500)).to_bytes();
        let shown = line(&record(long), Paint(false));
        assert!(shown.ends_with(&format!("{}…", "ä".repeat(BODY_CHARS))));
        assert!(line(&record("???".into()), Paint(false)).ends_with("not an AMQP message"));
    }
}
