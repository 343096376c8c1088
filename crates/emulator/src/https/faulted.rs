//! Faults in front of the REST interface, and the gate that keeps requests out while a hub's state is replaced.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use drawspan_emulator_hub::faults::Operation;
use drawspan_hub::DeviceId;
use drawspan_hub_model::client_id::ClientId;
use percent_encoding::percent_decode_str;

use super::Shared;
use super::caller::hub_of;
use super::refusal::Refusal;

/// Where the control API is, which passes.
const CONTROL: &str = "/emulator/";

/// Refuses or delays a request if a fault asks for that.
pub(super) async fn pass(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    if request.uri().path().starts_with(CONTROL) {
        return next.run(request).await;
    }
    let faults = &shared.control.faults;
    let _present = faults.connections().present().await;
    let (parts, body) = request.into_parts();
    let found = operation_of(parts.uri.path());
    if let Some((operation, client)) = found
        && let Ok(hub) = hub_of(&parts, &shared)
    {
        let (host, client) = (hub.host(), client.as_ref());
        if let Some(code) = faults.refusal(operation, host, client) {
            return Refusal::new(code, "a fault is asked for").into_response();
        }
        if let Some(delay) = faults.delay(operation, host, client) {
            shared.control.clock.sleep(delay).await;
        }
    }
    next.run(Request::from_parts(parts, body)).await
}

/// What a request is, and of or about which device.
fn operation_of(path: &str) -> Option<(Operation, Option<ClientId>)> {
    let mut segments = path.split('/').skip(1);
    let (first, id) = (segments.next()?, segments.next());
    let rest: Vec<&str> = segments.collect();
    let operation = match (first, &rest[..]) {
        ("devices", ["messages", "events", ..]) => Operation::D2c,
        // What devices do besides sending.
        ("devices", ["messages" | "files", ..]) => return None,
        ("twins", [.., "methods"]) => Operation::Methods,
        ("devices" | "twins" | "statistics" | "jobs" | "configurations", _) => Operation::Service,
        _ => return None,
    };
    let id = id.and_then(|id| percent_decode_str(id).decode_utf8().ok());
    let device = id.and_then(|id| DeviceId::parse(&id).ok());
    Some((operation, device.map(ClientId::from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_by_their_paths() {
        let check = |path: &str, expected: Option<(Operation, Option<&str>)>| {
            let found = operation_of(path);
            let found = found.map(|(operation, client)| {
                let id = client.map(|client| client.device.to_string());
                (operation, id)
            });
            let expected = expected.map(|(operation, id)| (operation, id.map(str::to_owned)));
            assert_eq!(found, expected, "{path}");
        };
        let service = |id| Some((Operation::Service, id));
        check(
            "/devices/a/messages/events",
            Some((Operation::D2c, Some("a"))),
        );
        check(
            "/devices/a%23b/messages/events/",
            Some((Operation::D2c, Some("a#b"))),
        );
        check("/devices/a/messages/deviceBound", None);
        check("/devices/a/files", None);
        check("/devices/a", service(Some("a")));
        check("/devices", service(None));
        check("/twins/a/methods", Some((Operation::Methods, Some("a"))));
        check(
            "/twins/a/modules/m/methods",
            Some((Operation::Methods, Some("a"))),
        );
        check("/twins/a", service(Some("a")));
        check("/ca.pem", None);
        check("/", None);
    }
}
