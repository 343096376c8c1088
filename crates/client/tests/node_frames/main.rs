//! The frames of our client beside those of the official Node client: every field of put-token, of the attaches and of
//! telemetry, decoded to values.
//!
//! What differs is listed in `allowed.txt`, each with its reason. A difference that is not listed fails, and so does one
//! that is listed and does not occur.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests count as tests"
)]

mod allowed;
mod capture;
mod conversation;
mod fields;

use std::collections::BTreeSet;

use allowed::Difference;
use conversation::Conversation;
use drawspan_amqp::message::{Body, Message, MessageId};
use drawspan_amqp::value::{Symbol, Value};
use drawspan_hub::{Telemetry, UtcTime};
use fields::{ABSENT, Fields};

/// What the recorded client did in one conversation, and how ours does the same.
struct Case {
    recording: &'static str,
    connection: &'static str,
    name: &'static str,
    /// The telemetry that the recorded message stands for.
    telemetry: fn(&Message) -> Telemetry,
}

const CASES: [Case; 2] = [
    Case {
        recording: include_str!("../../../amqp/tests/frames/node-device-telemetry-properties.txt"),
        connection: "# connection 1",
        name: "telemetry with properties",
        telemetry: with_properties,
    },
    Case {
        recording: include_str!(
            "../../../amqp/tests/frames/node-device-telemetry-creation-time.txt"
        ),
        connection: "# connection 3",
        name: "telemetry with creation time",
        telemetry: with_creation_time,
    },
];

#[tokio::test]
async fn our_frames_are_those_of_the_node_client_but_for_the_list() {
    let mut found = BTreeSet::new();
    for case in &CASES {
        let node = Conversation::recorded(case.recording, case.connection);
        let device = node.device();
        let telemetry = (case.telemetry)(&node.telemetry());
        let ours = capture::our_conversation(&node.host(), &device, telemetry).await;
        for (frame, node, ours) in node.side_by_side(&ours, case.name) {
            found.extend(differences(frame, &node, &ours));
        }
    }
    let listed = allowed::read(include_str!("allowed.txt"));
    let unlisted: Vec<_> = found
        .iter()
        .filter(|difference| !listed.iter().any(|entry| entry.allows(difference)))
        .collect();
    assert!(
        unlisted.is_empty(),
        "not in allowed.txt:\n{}",
        text(&unlisted)
    );
    let idle: Vec<_> = listed
        .iter()
        .filter(|entry| !found.iter().any(|difference| entry.allows(difference)))
        .map(|entry| &entry.difference)
        .collect();
    assert!(
        idle.is_empty(),
        "in allowed.txt, but no difference any more:\n{}",
        text(&idle)
    );
}

fn differences<'a>(
    frame: &'a str,
    node: &'a Fields,
    ours: &'a Fields,
) -> impl Iterator<Item = Difference> + 'a {
    let names: BTreeSet<_> = node.keys().chain(ours.keys()).collect();
    let value = |fields: &Fields, name: &String| {
        fields
            .get(name)
            .cloned()
            .unwrap_or_else(|| ABSENT.to_owned())
    };
    names.into_iter().filter_map(move |name| {
        let difference = Difference {
            frame: frame.to_owned(),
            field: name.clone(),
            node: value(node, name),
            ours: value(ours, name),
        };
        (difference.node != difference.ours).then_some(difference)
    })
}

fn text(differences: &[&Difference]) -> String {
    differences
        .iter()
        .map(|difference| format!("\n{difference}\n"))
        .collect()
}

fn with_properties(message: &Message) -> Telemetry {
    let properties = message.properties.as_ref().unwrap();
    let word = |symbol: &Symbol| symbol.as_str().to_owned().into();
    let id = |id: &MessageId| id.to_string();
    Telemetry {
        content_type: properties.content_type.as_ref().map(word),
        content_encoding: properties.content_encoding.as_ref().map(word),
        component: message
            .message_annotations
            .as_ref()
            .and_then(|annotations| annotations.get("dt-subject"))
            .and_then(Value::as_str)
            .map(str::to_owned),
        properties: application_properties(message),
        message_id: properties.message_id.as_ref().map(id),
        correlation_id: properties.correlation_id.as_ref().map(id),
        ..with_body(message)
    }
}

/// As the bridge sends it: no message id, and the time as the one thing beside the body.
fn with_creation_time(message: &Message) -> Telemetry {
    let properties = application_properties(message);
    let [(name, time)] = &properties[..] else {
        panic!("{properties:?}");
    };
    assert_eq!(name, "iothub-creation-time-utc");
    Telemetry {
        creation_time_utc: Some(UtcTime::parse(time).unwrap()),
        ..with_body(message)
    }
}

fn with_body(message: &Message) -> Telemetry {
    let Body::Data(parts) = &message.body else {
        panic!("{message:?}");
    };
    Telemetry {
        body: parts.concat().into(),
        ..Telemetry::default()
    }
}

fn application_properties(message: &Message) -> Vec<(String, String)> {
    let properties = message.application_properties.as_ref().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    properties
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

#[test]
fn the_list_must_give_reasons_and_is_matched_exactly() {
    let one = "frame field\n  node  \"a*z\"\n  ours  absent\n  why   because\n    of this\n";
    let listed = allowed::read(one);
    let difference = |node: &str| Difference {
        frame: "frame".into(),
        field: "field".into(),
        node: node.into(),
        ours: ABSENT.into(),
    };
    assert_eq!(
        (listed.len(), listed[0].why.as_str()),
        (1, "because of this")
    );
    assert!(listed[0].allows(&difference("\"a-z\"")));
    assert!(!listed[0].allows(&difference("\"b-z\"")));
    assert!(!listed[0].allows(&difference("\"az")));
    let other = Difference {
        field: "other".into(),
        ..difference("\"az\"")
    };
    assert!(!listed[0].allows(&other));
    let unreasoned =
        std::panic::catch_unwind(|| allowed::read("frame field\n  node  1\n  ours  2\n"));
    assert!(unreasoned.is_err());
}
