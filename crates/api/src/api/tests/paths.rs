//! The routes, and how tests call them.

use drawspan_hub::DeviceId;

use super::*;

pub(super) const TWIN: &str = "/devices/dev-1/twin";
pub(super) const REPORTED: &str = "/devices/dev-1/twin/properties/reported";
pub(super) const REGISTRATION: &str = "/devices/dev-1/registration";
pub(super) const STATUS: &str = "/devices/dev-1/connectionStatus";
pub(super) const RESYNC: &str = "/devices/dev-1/resync";
pub(super) const DIAGNOSTICS: &str = "/devices/dev-1/diagnostics";
pub(super) const DEVICE: &str = "/devices/dev-1";

pub(super) const LIST: &str = "/devices";
pub(super) const DESIRED_SUB: &str = "/devices/dev-1/twin/properties/desired/sub";
pub(super) const METHODS_SUB: &str = "/devices/dev-1/methods/sub";
pub(super) const C2D_SUB: &str = "/devices/dev-1/deviceBound/sub";
pub(super) const STATUS_SUB: &str = "/devices/dev-1/connectionStatus/sub";
pub(super) const RECEIVE: &str = "/devices/dev-1/messages/deviceBound";
pub(super) const COMPLETE: &str = "/devices/dev-1/messages/deviceBound/T-1/complete";
pub(super) const ABANDON: &str = "/devices/dev-1/messages/deviceBound/T-1/abandon";
pub(super) const REJECT: &str = "/devices/dev-1/messages/deviceBound/T-1/reject";
pub(super) const FLEET: &str = "/subscriptions";
pub(super) const FLEET_SUB: &str = "/subscriptions/Methods";
pub(super) const LETTERS: &str = "/deadLetters";
pub(super) const LETTER: &str = "/deadLetters/7";
pub(super) const REPLAY: &str = "/deadLetters/7/replay";
pub(super) const SUB: &str = r#"{"callbackUrl":"https://example.com/x"}"#;
pub(super) const SUB_METHODS: &str = "GET,HEAD,PUT,DELETE";

pub(super) fn id() -> DeviceId {
    DeviceId::parse("dev-1").unwrap()
}

/// The one thing that the devices were asked.
pub(super) fn only_call(bench: &Bench) -> Call {
    match &bench.calls.lock().unwrap()[..] {
        [call] => call.clone(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn with_key(method: &str, path: &str, body: &'static str) -> Request<Body> {
    ask(method, path, Some(KEY), body)
}
