//! The frames of our client compared with those of the official Node client: every field of put-token, of the attaches, of
//! telemetry, twin requests, method answers and outcomes, decoded to values.
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
mod hub;

use std::collections::BTreeSet;

use allowed::Difference;
use capture::Errand;
use conversation::{About, Conversation};
use drawspan_amqp::message::{Body, Message, MessageId};
use drawspan_amqp::performative::{DeliveryState, Role};
use drawspan_amqp::value::{Symbol, Value};
use drawspan_hub::address::DeviceFunction;
use drawspan_hub::{Outcome, Telemetry, UtcTime};
use fields::{ABSENT, Fields};

/// A recorded conversation, and how our client has the same one.
struct Case {
    recording: &'static str,
    connection: &'static str,
    /// What our client is to do, as far as the recorded one did.
    errand: fn(&Conversation) -> Errand,
    frames: &'static [Frame],
}

/// A frame that is compared, and what it is called in the list.
struct Frame(&'static str, Which);

enum Which {
    Attach(About),
    /// A transfer over a link: the first one for which this holds.
    Transfer(About, fn(&Message) -> bool),
    Disposition(DeliveryState),
}

const CBS_SENDER: About = About::Cbs(Role::Sender);
const EVENTS: About = About::Device(DeviceFunction::Events, Role::Sender);
const TWIN: About = About::Device(DeviceFunction::Twin, Role::Sender);
const TWIN_ANSWERS: About = About::Device(DeviceFunction::Twin, Role::Receiver);
const METHODS: About = About::Device(DeviceFunction::Methods, Role::Receiver);
const METHOD_ANSWERS: About = About::Device(DeviceFunction::Methods, Role::Sender);
const DEVICE_BOUND: About = About::Device(DeviceFunction::DeviceBound, Role::Receiver);

const CASES: [Case; 7] = [
    Case {
        recording: include_str!("../../../amqp/tests/frames/node-device-telemetry-properties.txt"),
        connection: "# connection 1",
        errand: |node| Errand::Telemetry(with_properties(&node.message(EVENTS, any))),
        frames: &[
            Frame("attach of the $cbs sender", Which::Attach(CBS_SENDER)),
            Frame(
                "attach of the $cbs receiver",
                Which::Attach(About::Cbs(Role::Receiver)),
            ),
            Frame("attach of the telemetry sender", Which::Attach(EVENTS)),
            Frame("put-token", Which::Transfer(CBS_SENDER, any)),
            Frame("telemetry with properties", Which::Transfer(EVENTS, any)),
        ],
    },
    Case {
        recording: include_str!(
            "../../../amqp/tests/frames/node-device-telemetry-creation-time.txt"
        ),
        connection: "# connection 3",
        errand: |node| Errand::Telemetry(with_creation_time(&node.message(EVENTS, any))),
        frames: &[Frame(
            "telemetry with creation time",
            Which::Transfer(EVENTS, any),
        )],
    },
    Case {
        recording: include_str!("../../../amqp/tests/frames/node-device-twin-reported.txt"),
        connection: "# connection 7",
        errand: |node| Errand::Twin {
            patch: with_body(&node.message(TWIN, is_patch)).body,
        },
        frames: &[
            Frame("put-token of a device", Which::Transfer(CBS_SENDER, any)),
            Frame("attach of the twin sender", Which::Attach(TWIN)),
            Frame("attach of the twin receiver", Which::Attach(TWIN_ANSWERS)),
            Frame("twin read", Which::Transfer(TWIN, is_get)),
            Frame("reported patch", Which::Transfer(TWIN, is_patch)),
        ],
    },
    Case {
        recording: include_str!("../../../amqp/tests/frames/node-device-twin-desired.txt"),
        connection: "# connection 9",
        errand: |_| Errand::Twin { patch: "{}".into() },
        frames: &[Frame("twin subscription", Which::Transfer(TWIN, is_put))],
    },
    Case {
        recording: include_str!("../../../amqp/tests/frames/node-device-methods.txt"),
        connection: "# connection 5",
        errand: |node| method(&node.message(METHOD_ANSWERS, any)),
        frames: &[
            Frame(
                "attach of the methods sender",
                Which::Attach(METHOD_ANSWERS),
            ),
            Frame("attach of the methods receiver", Which::Attach(METHODS)),
            Frame("method answer", Which::Transfer(METHOD_ANSWERS, any)),
        ],
    },
    Case {
        recording: include_str!(
            "../../../amqp/tests/frames/node-device-and-service-c2d-complete.txt"
        ),
        connection: "# connection 11",
        errand: |_| Errand::C2d(Outcome::Complete),
        frames: &[
            Frame(
                "attach of the devicebound receiver",
                Which::Attach(DEVICE_BOUND),
            ),
            Frame("completion", Which::Disposition(DeliveryState::Accepted)),
        ],
    },
    Case {
        recording: include_str!(
            "../../../amqp/tests/frames/node-device-and-service-c2d-abandon.txt"
        ),
        connection: "# connection 13",
        errand: |_| Errand::C2d(Outcome::Abandon),
        frames: &[Frame(
            "abandonment",
            Which::Disposition(DeliveryState::Released),
        )],
    },
];

impl Which {
    fn of(&self, conversation: &Conversation) -> Fields {
        match self {
            Self::Attach(about) => conversation.attach(*about),
            Self::Transfer(about, wanted) => conversation.transfer(*about, wanted),
            Self::Disposition(state) => conversation.disposition(state),
        }
    }
}

#[tokio::test]
async fn our_frames_are_those_of_the_node_client_but_for_the_list() {
    let mut found = BTreeSet::new();
    for case in &CASES {
        let node = Conversation::recorded(case.recording, case.connection);
        let device = node.device();
        let errand = (case.errand)(&node);
        let ours = capture::our_conversation(&node.host(), &device, errand).await;
        for Frame(name, which) in case.frames {
            found.extend(differences(name, &which.of(&node), &which.of(&ours)));
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

fn any(_: &Message) -> bool {
    true
}

fn is_get(message: &Message) -> bool {
    operation(message) == Some("GET")
}

fn is_patch(message: &Message) -> bool {
    operation(message) == Some("PATCH")
}

fn is_put(message: &Message) -> bool {
    operation(message) == Some("PUT")
}

fn operation(message: &Message) -> Option<&str> {
    message
        .message_annotations
        .as_ref()?
        .get("operation")?
        .as_str()
}

/// The method that a recorded answer was for.
fn method(answer: &Message) -> Errand {
    let properties = answer.application_properties.as_ref().unwrap();
    let status = properties.get("IoThub-status").and_then(Value::as_i64);
    Errand::Method {
        id: answer.properties.clone().unwrap().correlation_id.unwrap(),
        status: i32::try_from(status.unwrap()).unwrap(),
        payload: with_body(answer).body,
    }
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

/// As the bridge sends it: no message id, and the time as the only property besides the body.
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
