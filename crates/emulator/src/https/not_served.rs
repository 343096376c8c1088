//! Parts of a hub's REST interface that the emulator does not serve, each refused by its name.

use axum::Router;
use axum::routing::any;

use super::Shared;
use super::refusal::Refusal;

/// Path · what it is.
const PARTS: &[(&str, &str)] = &[
    ("/jobs", JOBS),
    ("/jobs/{*rest}", JOBS),
    ("/configurations", CONFIGURATIONS),
    ("/configurations/{*rest}", CONFIGURATIONS),
    ("/devices/{id}/applyConfigurationContent", CONFIGURATIONS),
    (
        "/digitaltwins/{*rest}",
        "digital twins: use the twin and methods",
    ),
    ("/twins/{id}/streams/{name}", STREAMS),
    ("/twins/{id}/modules/{module}/streams/{name}", STREAMS),
    ("/messages/servicebound/feedback", FEEDBACK),
    ("/messages/serviceBound/feedback", FEEDBACK),
    ("/messages/servicebound/feedback/{*rest}", FEEDBACK),
    ("/messages/serviceBound/feedback/{*rest}", FEEDBACK),
    (
        "/devices/{id}/modules/{module}/devicesAndModulesInDeviceScope",
        SCOPES,
    ),
    (
        "/devices/{id}/modules/{module}/getDeviceAndModuleOnBehalfOf",
        SCOPES,
    ),
    ("/devices/{id}/modules/{module}/{*rest}", MODULES),
];

const JOBS: &str = "jobs, import and export";
const CONFIGURATIONS: &str = "automatic configurations and Edge deployments";
const STREAMS: &str = "device streams";
const FEEDBACK: &str = "feedback over HTTPS: receive it over AMQP";
const MODULES: &str = "messages of modules over HTTPS (modules speak AMQP and MQTT), nor what IoT Edge asks for modules";
const SCOPES: &str = "scopes of Edge devices";

pub(super) fn routes() -> Router<Shared> {
    PARTS.iter().fold(Router::new(), |router, (path, name)| {
        let refuse = move || async move {
            Refusal::not_yet(&format!("This emulator does not serve {name}"))
        };
        router.route(path, any(refuse))
    })
}
