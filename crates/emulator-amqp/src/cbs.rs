//! `$cbs`: tokens are put on a connection (claims-based security, working draft 05).

use bytes::Bytes;
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::value::{Map, Value};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::hub_error::status_description;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::access::{self, Denied, Grant};
use drawspan_hub_model::client_id::ClientId;

use super::access::{Access, TooManyTokens};

/// A status and its description.
pub(super) type Refused = (i32, String);

/// Carries a request out and returns the answer, and what it says if it is a refusal. `fails` decides whether a valid token is
/// refused all the same.
pub(super) fn answer(
    request: &Message,
    hub: &Hub,
    access: &mut Access,
    fails: impl FnOnce(&Access, &Grant) -> Option<ErrorCode>,
) -> (Bytes, Option<Refused>) {
    match put_token(request, hub, access, fails) {
        Ok(()) => (respond(request, 200, "OK", Body::Empty), None),
        Err((status, description)) => (
            respond(request, status, &description, Body::Empty),
            Some((status, description)),
        ),
    }
}

/// The audience of the token, according to the client.
pub(super) fn name(request: &Message) -> Option<&str> {
    property(request, "name")
}

fn property<'m>(request: &'m Message, name: &str) -> Option<&'m str> {
    let properties = request.application_properties.as_ref()?;
    properties.get(name).and_then(Value::as_str)
}

fn put_token(
    request: &Message,
    hub: &Hub,
    access: &mut Access,
    fails: impl FnOnce(&Access, &Grant) -> Option<ErrorCode>,
) -> Result<(), Refused> {
    let property = |name| property(request, name);
    match property("operation") {
        Some("put-token") => {}
        // Tokens end by themselves; a client that takes one back needs no more than an answer.
        Some("delete-token") => return Ok(()),
        _ => return Err(bad_request("the operation must be put-token")),
    }
    let kind = property("type").unwrap_or_default();
    let known = [
        "servicebus.windows.net:sastoken",
        "azure-devices.net:sastoken",
    ];
    if !known.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
        let text = "only shared access signatures are taken here";
        return Err((401, status_description(ErrorCode::UNAUTHORIZED, text)));
    }
    let Body::Value(Value::String(token)) = &request.body else {
        return Err(bad_request("the body must be the token, as an AMQP string"));
    };
    // The token's own resource counts; `name` is spelled differently by every client.
    let grant = hub.authenticate(token).map_err(|denied| {
        let named = || access::client_named(token, hub.host());
        if let (Denied::UnknownDevice | Denied::UnknownModule, Some(client)) = (denied, named()) {
            return (404, not_registered(denied, &client, hub));
        }
        let (status, code) = match denied {
            Denied::Malformed => (400, ErrorCode::ARGUMENT_INVALID),
            Denied::DeviceDisabled => (401, ErrorCode::DEVICE_DISABLED),
            _ => (401, ErrorCode::UNAUTHORIZED),
        };
        (status, status_description(code, &denied.to_string()))
    })?;
    if let Some(code) = fails(access, &grant) {
        let text = "a fault is asked for";
        let status = i32::from(code.http_status());
        return Err((status, status_description(code, text)));
    }
    access
        .put(grant)
        .map_err(|TooManyTokens(most)| (500, too_many(most)))
}

/// The hub's text for a device that there is not (Azure/iotedge #5639, azure-iot-sdk-c #1413), and one like it for a module.
fn not_registered(denied: Denied, client: &ClientId, hub: &Hub) -> String {
    let ClientId { device, module } = client;
    let hub = hub.host().hub_name();
    match module {
        Some(module) if denied == Denied::UnknownModule => {
            format!("Module {module} on Device {device} at IotHub {hub} not registered.")
        }
        _ => format!("Device {device} at IotHub {hub} not registered."),
    }
}

/// The hub's text when a connection has too many tokens (seen in logs of the hub's users).
fn too_many(most: usize) -> String {
    format!("The maximum number of tokens per connection ({most}) has been reached.")
}

fn bad_request(text: &str) -> Refused {
    (400, status_description(ErrorCode::ARGUMENT_INVALID, text))
}

/// An answer to a request: its message id comes back as correlation id, of the same AMQP type, and the status code is an
/// AMQP `int`; official clients insist on both.
pub(super) fn respond(request: &Message, status: i32, description: &str, body: Body) -> Bytes {
    let message_id = request
        .properties
        .as_ref()
        .and_then(|properties| properties.message_id.clone());
    let correlation_id: Option<MessageId> = message_id;
    let message = Message {
        properties: Some(Properties {
            correlation_id,
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![
            (Value::from("status-code"), Value::Int(status)),
            (Value::from("status-description"), Value::from(description)),
        ])),
        body,
        ..Message::default()
    };
    message.to_bytes()
}
