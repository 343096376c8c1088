//! Frames as named values. Decoded without our own structs, so that no type or value is made equal on the way.

use std::collections::BTreeMap;

use bytes::Bytes;
use drawspan_amqp::codec::decode_value;
use drawspan_amqp::message::sections;
use drawspan_amqp::value::{Map, Value};

/// Values by the names of their fields.
pub(crate) type Fields = BTreeMap<String, String>;

/// What stands for a field that is not there, or null.
pub(crate) const ABSENT: &str = "absent";

/// A field's name, and the value that the specification gives to null, as [`show`] writes it.
type Layout = &'static [(&'static str, &'static str)];

const ATTACH: Layout = &[
    ("name", ABSENT),
    ("handle", ABSENT),
    ("role", ABSENT),
    ("snd-settle-mode", "Ubyte(2)"),
    ("rcv-settle-mode", "Ubyte(0)"),
    ("source", ABSENT),
    ("target", ABSENT),
    ("unsettled", ABSENT),
    ("incomplete-unsettled", "Bool(false)"),
    ("initial-delivery-count", ABSENT),
    ("max-message-size", ABSENT),
    ("offered-capabilities", ABSENT),
    ("desired-capabilities", ABSENT),
    ("properties", ABSENT),
];
const TRANSFER: Layout = &[
    ("handle", ABSENT),
    ("delivery-id", ABSENT),
    ("delivery-tag", ABSENT),
    ("message-format", ABSENT),
    ("settled", "Bool(false)"),
    ("more", "Bool(false)"),
    ("rcv-settle-mode", ABSENT),
    ("state", ABSENT),
    ("resume", "Bool(false)"),
    ("aborted", "Bool(false)"),
    ("batchable", "Bool(false)"),
];
const DISPOSITION: Layout = &[
    ("role", ABSENT),
    ("first", ABSENT),
    ("last", ABSENT),
    ("settled", "Bool(false)"),
    ("state", ABSENT),
    ("batchable", "Bool(false)"),
];
/// Of an outcome that has no fields: its name says it all.
const OUTCOME: Layout = &[];
const SOURCE: Layout = &[
    ("address", ABSENT),
    ("durable", "Uint(0)"),
    ("expiry-policy", ":session-end"),
    ("timeout", "Uint(0)"),
    ("dynamic", "Bool(false)"),
    ("dynamic-node-properties", ABSENT),
    ("distribution-mode", ABSENT),
    ("filter", ABSENT),
    ("default-outcome", ABSENT),
    ("outcomes", ABSENT),
    ("capabilities", ABSENT),
];
const TARGET: Layout = &[
    ("address", ABSENT),
    ("durable", "Uint(0)"),
    ("expiry-policy", ":session-end"),
    ("timeout", "Uint(0)"),
    ("dynamic", "Bool(false)"),
    ("dynamic-node-properties", ABSENT),
    ("capabilities", ABSENT),
];
const HEADER: Layout = &[
    ("durable", "Bool(false)"),
    ("priority", "Ubyte(4)"),
    ("ttl", ABSENT),
    ("first-acquirer", "Bool(false)"),
    ("delivery-count", "Uint(0)"),
];
const PROPERTIES: Layout = &[
    ("message-id", ABSENT),
    ("user-id", ABSENT),
    ("to", ABSENT),
    ("subject", ABSENT),
    ("reply-to", ABSENT),
    ("correlation-id", ABSENT),
    ("content-type", ABSENT),
    ("content-encoding", ABSENT),
    ("absolute-expiry-time", ABSENT),
    ("creation-time", ABSENT),
    ("group-id", ABSENT),
    ("group-sequence", ABSENT),
    ("reply-to-group-id", ABSENT),
];

/// What a descriptor says of the list, map or value behind it.
fn described(code: u64) -> (&'static str, Option<Layout>) {
    match code {
        0x12 => ("attach", Some(ATTACH)),
        0x14 => ("transfer", Some(TRANSFER)),
        0x15 => ("disposition", Some(DISPOSITION)),
        0x24 => ("accepted", Some(OUTCOME)),
        0x26 => ("released", Some(OUTCOME)),
        0x28 => ("source", Some(SOURCE)),
        0x29 => ("target", Some(TARGET)),
        0x70 => ("header", Some(HEADER)),
        0x71 => ("delivery-annotations", None),
        0x72 => ("message-annotations", None),
        0x73 => ("properties", Some(PROPERTIES)),
        0x74 => ("application-properties", None),
        0x75 => ("data", None),
        0x76 => ("amqp-sequence", None),
        0x77 => ("amqp-value", None),
        0x78 => ("footer", None),
        _ => panic!("nothing known of descriptor {code:#x}"),
    }
}

/// The fields of a frame whose body is `performative`, then `payload`.
pub(crate) fn of_frame(performative: &Bytes, payload: &Bytes) -> Fields {
    let mut fields = Fields::new();
    let (_, layout, value) = taken_apart(decode_value(performative).unwrap());
    list("", layout.unwrap(), value, &mut fields);
    if !payload.is_empty() {
        // What an absent section means is what one without fields says.
        for (name, layout) in [("header", HEADER), ("properties", PROPERTIES)] {
            list(name, layout, Value::List(Vec::new()), &mut fields);
        }
    }
    for section in sections(payload) {
        let (name, layout, value) = taken_apart(decode_value(&section.unwrap().raw).unwrap());
        let twice = fields.insert(format!("{name}-section"), "there".to_owned());
        assert_eq!(twice, None, "two sections {name}");
        match (layout, value) {
            (Some(layout), value) => {
                fields.retain(|field, _| field.split('.').next() != Some(name));
                list(name, layout, value, &mut fields);
            }
            (None, Value::Map(map)) => entries(name, map, &mut fields),
            (None, value) => put(name.to_owned(), show(&value), &mut fields),
        }
    }
    fields
}

fn taken_apart(value: Value) -> (&'static str, Option<Layout>, Value) {
    let Value::Described(described_value) = value else {
        panic!("not described: {value:?}");
    };
    let (descriptor, value) = *described_value;
    let (name, layout) = described(descriptor.as_u64().unwrap());
    (name, layout, value)
}

fn list(name: &str, layout: Layout, value: Value, fields: &mut Fields) {
    let Value::List(values) = value else {
        panic!("{name}: not a list: {value:?}");
    };
    assert!(
        values.len() <= layout.len(),
        "{name}: {} fields",
        values.len()
    );
    let mut values = values.into_iter();
    for (field, default) in layout {
        let name = if name.is_empty() {
            (*field).to_owned()
        } else {
            format!("{name}.{field}")
        };
        match values.next().unwrap_or(Value::Null) {
            Value::Null => put(name, (*default).to_owned(), fields),
            Value::Map(map) => entries(&name, map, fields),
            value @ Value::Described(_) => {
                let (of, layout, value) = taken_apart(value);
                let layout = layout.unwrap();
                if layout.is_empty() {
                    put(name, of.to_owned(), fields);
                } else {
                    list(&name, layout, value, fields);
                }
            }
            value => put(name, show(&value), fields),
        }
    }
}

fn entries(name: &str, map: Map, fields: &mut Fields) {
    for (key, value) in map.0 {
        put(format!("{name}[{}]", show(&key)), show(&value), fields);
    }
}

fn put(name: String, value: String, fields: &mut Fields) {
    let before = fields.insert(name, value);
    assert_eq!(before, None, "a field that is there twice");
}

/// A value with its type: symbols as `:symbol`, strings as `"string"`.
fn show(value: &Value) -> String {
    match value {
        Value::Null => ABSENT.to_owned(),
        Value::String(text) => format!("{text:?}"),
        Value::Symbol(symbol) => format!(":{}", symbol.as_str()),
        value => format!("{value:?}"),
    }
}
