//! A stored message as readers of events receive it: with the hub's annotations.

use bytes::{Bytes, BytesMut};
use drawspan_amqp::codec::{DecodeError, decode_value};
use drawspan_amqp::message::{Message, SectionKind, sections};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_segment_log::{AuthKind, AuthScope, MessageSource, PartitionInfo, StoredRecord};

/// Encodes the event. The sender's properties and body are passed on byte for byte; its annotations stay, except those
/// that are the hub's to say. With `end`, it also says where its partition ends, and at what time that was looked up.
pub(super) fn encode(
    record: &StoredRecord,
    end: Option<&(PartitionInfo, u64)>,
) -> Result<Bytes, DecodeError> {
    let mut annotations = stamps(record);
    let mut head = BytesMut::new();
    let mut properties = None;
    let mut application_properties = None;
    let mut rest = Vec::new();
    for section in sections(&record.message) {
        let section = section?;
        match section.kind {
            SectionKind::MessageAnnotations => keep_foreign(&mut annotations, &section.value)?,
            SectionKind::Properties => properties = Some(section.raw),
            SectionKind::ApplicationProperties => application_properties = Some(section.raw),
            // They concern the device's hop only.
            SectionKind::Header | SectionKind::DeliveryAnnotations | SectionKind::Footer => {}
            _ => rest.push(section.raw),
        }
    }
    head.reserve(record.message.len() + STAMPS_BYTES);
    Message {
        delivery_annotations: end.map(metric),
        message_annotations: Some(annotations),
        ..Message::default()
    }
    .encode(&mut head);
    // The C client's sections come in another order than the specification's.
    for section in properties
        .into_iter()
        .chain(application_properties)
        .chain(rest)
    {
        head.extend_from_slice(&section);
    }
    Ok(head.freeze())
}

/// The sender, if it is a module.
const MODULE: Symbol = Symbol::from_static("iothub-connection-module-id");
/// About what the stamps take.
const STAMPS_BYTES: usize = 512;

/// The end of a partition, and the time for which it is known (Unix milliseconds), for readers that asked for it.
fn metric((end, now_unix_ms): &(PartitionInfo, u64)) -> Map {
    let long = |number: u64| Value::Long(i64::try_from(number).unwrap_or(i64::MAX));
    let offset = end.last_offset.unwrap_or_default().to_string();
    symbols([
        (
            "last_enqueued_sequence_number",
            long(end.next_sequence.saturating_sub(1)),
        ),
        ("last_enqueued_offset", Value::from(offset)),
        (
            "last_enqueued_time_utc",
            timestamp(end.last_enqueued_unix_ms.unwrap_or_default()),
        ),
        ("runtime_info_retrieval_time_utc", timestamp(*now_unix_ms)),
    ])
}

fn symbols<const N: usize>(entries: [(&'static str, Value); N]) -> Map {
    Map(entries
        .into_iter()
        .map(|(name, value)| (Value::Symbol(Symbol::from_static(name)), value))
        .collect())
}

fn timestamp(unix_ms: u64) -> Value {
    Value::Timestamp(i64::try_from(unix_ms).unwrap_or(i64::MAX))
}

fn stamps(record: &StoredRecord) -> Map {
    let time = timestamp(record.enqueued_unix_ms);
    let text = |text: &str| Value::from(text);
    let source = match record.origin.source {
        MessageSource::Telemetry => "Telemetry",
    };
    let mut stamps = symbols([
        (
            "x-opt-sequence-number",
            Value::Long(i64::try_from(record.sequence).unwrap_or(i64::MAX)),
        ),
        ("x-opt-offset", text(&record.offset.to_string())),
        ("x-opt-enqueued-time", time.clone()),
        (
            "iothub-connection-device-id",
            text(record.device_id.as_str()),
        ),
        ("iothub-connection-auth-method", text(&auth_method(record))),
        (
            "iothub-connection-auth-generation-id",
            text(&record.origin.generation_id),
        ),
        ("iothub-enqueuedtime", time),
        ("iothub-message-source", text(source)),
    ]);
    if let Some(module) = &record.module_id {
        let name = Value::Symbol(MODULE);
        stamps.0.push((name, text(module.as_str())));
    }
    stamps
}

fn auth_method(record: &StoredRecord) -> String {
    let scope = match record.origin.scope {
        AuthScope::Device => "device",
        AuthScope::Module => "module",
        AuthScope::Hub => "hub",
    };
    let kind = match record.origin.kind {
        AuthKind::Sas => "sas",
        AuthKind::X509 => "x509",
    };
    format!(
        r#"{{"scope":"{scope}","type":"{kind}","issuer":"iothub","acceptingIpFilterRule":null}}"#
    )
}

/// Whether only the hub says what is called so.
fn is_of_hub(name: &str) -> bool {
    name.starts_with("x-opt-") || name == MODULE.as_str()
}

/// Adds the sender's annotations whose names are not the hub's.
fn keep_foreign(annotations: &mut Map, value: &Bytes) -> Result<(), DecodeError> {
    let Value::Map(theirs) = decode_value(value)? else {
        return Ok(());
    };
    for (name, value) in theirs.0 {
        let taken = name
            .as_str()
            .is_none_or(|name| annotations.get(name).is_some() || is_of_hub(name));
        if !taken {
            annotations.0.push((name, value));
        }
    }
    Ok(())
}
