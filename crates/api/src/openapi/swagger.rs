//! OpenAPI 2.0 of the original's operations, for client generators that do not support newer versions. Paths, methods and ids come
//! from the table of operations; the rest is written here.

use drawspan_settings::API_KEY_HEADER;
use serde_json::{Map, Value, json};

use crate::operation::Operation;

/// The operations of the original.
pub(super) const OPERATIONS: [Operation; 18] = {
    use Operation as O;
    [
        O::SendMessage,
        O::GetTwin,
        O::UpdateReportedProperties,
        O::GetDesiredPropertiesSubscription,
        O::CreateOrUpdateDesiredPropertiesSubscription,
        O::DeleteDesiredPropertiesSubscription,
        O::GetMethodsSubscription,
        O::CreateOrUpdateMethodsSubscription,
        O::DeleteMethodsSubscription,
        O::GetC2DMessageSubscription,
        O::CreateOrUpdateC2DMessageSubscription,
        O::DeleteC2DMessageSubscription,
        O::GetConnectionStatusSubscription,
        O::CreateOrUpdateConnectionStatusSubscription,
        O::DeleteConnectionStatusSubscription,
        O::GetCurrentConnectionStatus,
        O::Register,
        O::Resync,
    ]
};

/// The document. It names no host and no base path: a generator takes those from where it found the document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let item = paths.entry(operation.path()).or_insert_with(|| json!({}));
        item[operation.method().as_str().to_ascii_lowercase()] = described(operation);
    }
    json!({
        "swagger": "2.0",
        "info": {
            "title": "Device Bridge",
            "version": "1",
            "description": "The operations of the Azure IoT Central Device Bridge, as Drawspan serves them. /openapi.json has everything.",
        },
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": { "apiKey": { "type": "apiKey", "in": "header", "name": API_KEY_HEADER } },
        "security": [{ "apiKey": [] }],
        "paths": paths,
        "definitions": definitions(),
    })
}

/// Body of the request, and success with its body.
type Shape = (Option<&'static str>, u16, Option<&'static str>);

const fn shape(operation: Operation) -> Shape {
    use Operation as O;
    match operation {
        O::SendMessage => (Some("MessageBody"), 200, None),
        O::GetTwin => (None, 200, Some("TwinResponse")),
        O::UpdateReportedProperties => (Some("ReportedPropertiesPatch"), 204, None),
        O::GetDesiredPropertiesSubscription
        | O::GetMethodsSubscription
        | O::GetC2DMessageSubscription => (None, 200, Some("DeviceSubscriptionWithStatus")),
        O::CreateOrUpdateDesiredPropertiesSubscription
        | O::CreateOrUpdateMethodsSubscription
        | O::CreateOrUpdateC2DMessageSubscription => (
            Some("SubscriptionBody"),
            200,
            Some("DeviceSubscriptionWithStatus"),
        ),
        O::GetConnectionStatusSubscription => (None, 200, Some("DeviceSubscription")),
        O::CreateOrUpdateConnectionStatusSubscription => {
            (Some("SubscriptionBody"), 200, Some("DeviceSubscription"))
        }
        O::GetCurrentConnectionStatus => (None, 200, Some("ConnectionStatusResponse")),
        O::Register => (Some("RegistrationBody"), 200, None),
        O::Resync => (None, 202, None),
        // The remaining operations are removals, without a body.
        _ => (None, 204, None),
    }
}

/// Reads that say 404 where there is nothing.
const fn may_find_nothing(operation: Operation) -> bool {
    use Operation as O;
    matches!(
        operation,
        O::GetDesiredPropertiesSubscription
            | O::GetMethodsSubscription
            | O::GetC2DMessageSubscription
            | O::GetConnectionStatusSubscription
            | O::GetCurrentConnectionStatus
    )
}

fn described(operation: Operation) -> Value {
    let (body, status, answer) = shape(operation);
    let mut parameters = vec![json!({
        "name": "deviceId", "in": "path", "required": true, "type": "string",
    })];
    if let Some(body) = body {
        // The registration's may be left out.
        let required = operation != Operation::Register;
        parameters.push(json!({ "name": "body", "in": "body", "required": required, "schema": reference(body) }));
    }
    let mut success = json!({ "description": "Success" });
    if let Some(answer) = answer {
        success["schema"] = reference(answer);
    }
    let mut responses = json!({});
    responses[status.to_string()] = success;
    if may_find_nothing(operation) {
        responses["404"] = json!({ "description": "Not found" });
    }
    json!({
        "tags": [tag(operation)],
        "operationId": operation.id(),
        "parameters": parameters,
        "responses": responses,
    })
}

fn tag(operation: Operation) -> &'static str {
    use Operation as O;
    match operation {
        O::SendMessage => "Messaging",
        O::Register => "Registration",
        O::Resync | O::GetCurrentConnectionStatus => "Connection",
        O::GetTwin | O::UpdateReportedProperties => "Twin",
        _ => "Subscriptions",
    }
}

fn definitions() -> Value {
    let text = || json!({ "type": "string" });
    let time = || json!({ "type": "string", "format": "date-time" });
    let object = || json!({ "type": "object", "additionalProperties": {} });
    let words = |words: &[&str]| json!({ "type": "string", "enum": words });
    let subscription = || {
        json!({
            "deviceId": text(), "callbackUrl": text(), "createdAt": time(),
            "subscriptionType": words(&["DesiredProperties", "Methods", "C2DMessages", "ConnectionStatus"]),
        })
    };
    let mut with_status = subscription();
    with_status["status"] = words(&["Starting", "Running", "Stopped"]);
    json!({
        "MessageBody": members(&["data"], json!({
            "data": object(),
            "properties": { "type": "object", "additionalProperties": text() },
            "componentName": text(),
            "creationTimeUtc": time(),
        })),
        "ReportedPropertiesPatch": members(&["patch"], json!({ "patch": object() })),
        "RegistrationBody": members(&[], json!({ "modelId": text() })),
        "SubscriptionBody": members(&["callbackUrl"], json!({ "callbackUrl": text() })),
        "DeviceSubscription": members(&[], subscription()),
        "DeviceSubscriptionWithStatus": members(&[], with_status),
        "TwinResponse": members(&[], json!({ "twin": reference("Twin") })),
        "Twin": members(&[], json!({ "properties": reference("TwinProperties") })),
        "TwinProperties": members(&[], json!({ "desired": object(), "reported": object() })),
        "ConnectionStatusResponse": members(&[], json!({ "status": text(), "reason": text() })),
    })
}

fn members(required: &[&str], properties: Value) -> Value {
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}
