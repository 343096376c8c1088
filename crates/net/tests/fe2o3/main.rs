//! The engine and fe2o3-amqp, an AMQP stack that shares no code with it, in both roles over plain TCP. The engine's side is
//! that of the peer protocol in `conformance/README.md`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests, helpers included"
)]

#[allow(dead_code, reason = "the example uses the rest")]
#[path = "../../examples/peer/common.rs"]
mod common;
#[allow(dead_code, reason = "the example uses the rest")]
#[path = "../../examples/peer/mirror.rs"]
mod mirror;
#[allow(dead_code, reason = "the example uses the rest")]
#[path = "../../examples/peer/remote.rs"]
mod remote;

mod connects;
mod listens;

use std::time::Duration;

use fe2o3_amqp::types::messaging::{ApplicationProperties, Data, Message, Outcome};
use fe2o3_amqp::types::primitives::{Binary, SimpleValue};

/// No test takes longer unless it hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

fn data(index: usize, size: usize) -> Data {
    Data(Binary::from(common::body(index, size).to_vec()))
}

/// A message that asks for an outcome.
fn asking(index: usize, size: usize, outcome: &str) -> Message<Data> {
    let properties = ApplicationProperties::builder()
        .insert("outcome", SimpleValue::from(outcome.to_owned()))
        .build();
    Message::builder()
        .application_properties(properties)
        .data(data(index, size))
        .build()
}

/// The name of an outcome; the error of a rejection must be as asked.
fn name(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted(_) => "accepted".to_owned(),
        Outcome::Released(_) => "released".to_owned(),
        Outcome::Modified(modified)
            if modified.delivery_failed == Some(true)
                && modified.undeliverable_here == Some(true) =>
        {
            "modified".to_owned()
        }
        Outcome::Rejected(rejected) => match &rejected.error {
            Some(error) if error.description.as_deref() == Some("as asked") => {
                "rejected".to_owned()
            }
            error => format!("rejected with {error:?}"),
        },
        other => format!("{other:?}"),
    }
}
