//! What both roles share.

use bytes::{BufMut, Bytes, BytesMut};
use drawspan_amqp::engine::Config;
use drawspan_amqp::message::{Body, Message, Properties};
use drawspan_amqp::performative::{DeliveryState, Error, condition};
use drawspan_amqp::value::Map;

pub(crate) const OUTCOMES: [&str; 4] = ["accepted", "rejected", "released", "modified"];
pub(crate) const IDLE_TIME_OUT_MS: u32 = 1_000;
/// Credit that both roles keep.
pub(crate) const CREDIT: u32 = 10;

/// Why a run failed, for people.
pub(crate) type Failure = String;

pub(crate) fn config(container_id: &str) -> Config {
    Config {
        container_id: container_id.to_owned(),
        max_frame_bytes: 16_384,
        idle_time_out_ms: Some(IDLE_TIME_OUT_MS),
        ..Config::default()
    }
}

/// The body of message `index`: any lost, doubled or swapped frame shows.
pub(crate) fn body(index: usize, size: usize) -> Bytes {
    let mut body = BytesMut::with_capacity(size);
    // Always below 251, which fits.
    (0..size).for_each(|j| body.put_u8(((index + 31 * j) % 251) as u8));
    body.freeze()
}

/// A message with one data section and these properties.
pub(crate) fn message(body: Bytes, properties: Properties, application: Map) -> Bytes {
    let message = Message {
        properties: Some(properties),
        application_properties: (!application.is_empty()).then_some(application),
        body: Body::Data(vec![body]),
        ..Message::default()
    };
    message.to_bytes()
}

/// All data of a body; empty if it is of another kind.
pub(crate) fn data(message: &Message) -> Option<Bytes> {
    match &message.body {
        Body::Data(parts) => Some(parts.concat().into()),
        _ => None,
    }
}

/// The outcome of this name.
pub(crate) fn outcome(name: &str) -> DeliveryState {
    match name {
        "accepted" => DeliveryState::Accepted,
        "released" => DeliveryState::Released,
        "modified" => DeliveryState::Modified {
            delivery_failed: true,
            undeliverable_here: true,
            message_annotations: None,
        },
        _ => DeliveryState::Rejected(Some(as_asked(condition::PRECONDITION_FAILED))),
    }
}

/// The name of an outcome, or what is wrong with it.
pub(crate) fn judge(state: Option<&DeliveryState>) -> String {
    match OUTCOMES.iter().find(|name| Some(&outcome(name)) == state) {
        Some(name) => (*name).to_owned(),
        None => format!("{state:?}"),
    }
}

pub(crate) fn as_asked(condition: drawspan_amqp::Symbol) -> Error {
    Error::new(condition, "as asked")
}

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    seen: &T,
    expected: &T,
    what: &str,
) -> Result<(), Failure> {
    holds(
        seen == expected,
        &format!("{what}: {seen:?}, expected {expected:?}"),
    )?;
    println!("  {what}");
    Ok(())
}

pub(crate) fn holds(fact: bool, what: &str) -> Result<(), Failure> {
    fact.then_some(()).ok_or_else(|| what.to_owned())
}
