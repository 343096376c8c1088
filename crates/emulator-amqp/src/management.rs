//! `$management` of the event endpoint: its partitions, and where they begin and end.

use bytes::Bytes;
use drawspan_amqp::message::{Body, Message};
use drawspan_amqp::value::{Array, Map, Value};
use drawspan_emulator_hub::hub::Hub;

use super::cbs::{Refused, respond};

/// Carries a request out and returns the answer, and what it says if it is a refusal.
pub(super) fn answer(request: &Message, hub: &Hub) -> (Bytes, Option<Refused>) {
    match read(request, hub) {
        Ok(found) => (
            respond(request, 200, "OK", Body::Value(Value::Map(found))),
            None,
        ),
        Err((status, text)) => (
            respond(request, status, &text, Body::Empty),
            Some((status, text)),
        ),
    }
}

fn read(request: &Message, hub: &Hub) -> Result<Map, Refused> {
    let property = |name: &str| {
        request
            .application_properties
            .as_ref()
            .and_then(|properties| properties.get(name))
    };
    let text = |name: &str| property(name).and_then(Value::as_str);
    if text("operation") != Some("READ") {
        return Err((400, String::from("the operation must be READ")));
    }
    let name = text("name").unwrap_or_default();
    if !name.eq_ignore_ascii_case(hub.entity()) {
        return Err((
            404,
            format!("The messaging entity '{name}' could not be found."),
        ));
    }
    match text("type") {
        Some("com.microsoft:eventhub") => Ok(event_hub(hub)),
        Some("com.microsoft:partition") => {
            let wanted = property("partition");
            let number = wanted.and_then(|value| match value.as_str() {
                Some(text) => text.parse().ok(),
                None => value.as_u64(),
            });
            let number = number.and_then(|number| u16::try_from(number).ok());
            partition(hub, number).ok_or_else(|| (404, String::from("there is no such partition")))
        }
        _ => Err((
            400,
            String::from("the type must be com.microsoft:eventhub or com.microsoft:partition"),
        )),
    }
}

fn event_hub(hub: &Hub) -> Map {
    let count = hub.partition_count();
    let ids = (0..count)
        .map(|number| Value::from(number.to_string().as_str()))
        .collect();
    fields(vec![
        ("name", Value::from(hub.entity())),
        ("type", Value::from("com.microsoft:eventhub")),
        ("created_at", timestamp(hub.created_unix_ms())),
        ("partition_count", Value::Int(count.into())),
        (
            "partition_ids",
            Array::new(ids).map_or(Value::Null, Value::Array),
        ),
    ])
}

fn partition(hub: &Hub, number: Option<u16>) -> Option<Map> {
    let number = number?;
    let info = hub.partition(number)?;
    let long = |number: u64| Value::Long(i64::try_from(number).unwrap_or(i64::MAX));
    // Event Hubs says -1 where nothing was ever stored.
    let last_sequence = info
        .next_sequence
        .checked_sub(1)
        .map_or(Value::Long(-1), long);
    let last_offset = info
        .last_offset
        .map_or_else(|| String::from("-1"), |offset| offset.to_string());
    Some(fields(vec![
        ("name", Value::from(hub.entity())),
        ("type", Value::from("com.microsoft:partition")),
        ("partition", Value::from(number.to_string().as_str())),
        ("begin_sequence_number", long(info.begin_sequence)),
        ("last_enqueued_sequence_number", last_sequence),
        ("last_enqueued_offset", Value::from(last_offset.as_str())),
        (
            "last_enqueued_time_utc",
            timestamp(info.last_enqueued_unix_ms.unwrap_or(0)),
        ),
        ("is_partition_empty", Value::Bool(info.is_empty())),
    ]))
}

fn fields(fields: Vec<(&str, Value)>) -> Map {
    Map(fields
        .into_iter()
        .map(|(name, value)| (Value::from(name), value))
        .collect())
}

fn timestamp(unix_ms: u64) -> Value {
    Value::Timestamp(i64::try_from(unix_ms).unwrap_or(i64::MAX))
}
