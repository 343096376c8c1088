//! `messages/events/$management` at the hub: redirects to the event endpoint.

use drawspan_amqp::performative::{Error, condition};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator_hub::hub::Hub;

/// The redirect to the event endpoint's own name, on the port that the client came to.
pub(super) fn to_event_endpoint(hub: &Hub, port: u16) -> Error {
    let host = hub.host().as_str();
    let address = format!("amqps://{host}:{port}/{}/$management", hub.entity());
    let info = [
        ("hostname", Value::from(host)),
        ("network-host", Value::from(host)),
        ("port", Value::Uint(port.into())),
        ("address", Value::from(address.as_str())),
    ];
    let info = info
        .into_iter()
        .map(|(name, value)| (Value::Symbol(Symbol::from_static(name)), value))
        .collect();
    Error::new(
        condition::LINK_REDIRECT,
        "the event endpoint is at another address",
    )
    .with_info(Map(info))
}
