//! Descriptions of the events that are posted to callbacks: the webhooks of OpenAPI 3.1.

use serde_json::{Value, json};

/// The section `webhooks` of the document.
pub(super) fn webhooks() -> Value {
    let taken = json!({ "2XX": { "description": "The event is delivered." }, "default": { "description": "The event is not delivered; temporary failures are retried." } });
    let mut method = taken.clone();
    method["2XX"] = json!({
        "description": "The answer of the method.",
        "content": content("MethodAnswer"),
    });
    method["default"] = json!({ "description": "The caller of the method gets 500." });
    let message = json!({
        "2XX": { "description": "The message is completed." },
        "4XX": { "description": "The message is rejected. (408, 425 and 429 are retried.)" },
        "default": { "description": "The message is abandoned, and the hub delivers it again." },
    });
    json!({
        "DesiredPropertyUpdate": webhook("DesiredPropertyUpdate", "Desired properties of a device changed.", &taken),
        "C2DMessage": webhook("C2DMessage", "A cloud-to-device message arrived.", &message),
        "DirectMethodInvocation": webhook("DirectMethodInvocation", "A direct method of a device was called.", &method),
        "ConnectionStatusChange": webhook("ConnectionStatusChange", "The connection of a device changed.", &taken),
    })
}

fn webhook(name: &str, summary: &str, responses: &Value) -> Value {
    let header = |name: &str, description: &str| {
        json!({
            "name": name, "in": "header", "required": true, "description": description, "schema": { "type": "string" },
        })
    };
    json!({ "post": {
        "operationId": format!("On{name}"),
        "summary": summary,
        "description": "Posted to the callback URL of a subscription, at least once; `webhook-id` is the same each time.",
        "tags": ["Subscriptions"],
        "security": [],
        "parameters": [
            header("webhook-id", "Id of the event, the same for each attempt."),
            header("webhook-timestamp", "Unix time of the attempt, in seconds."),
        ],
        "requestBody": { "required": true, "content": content(name) },
        "responses": responses,
    } })
}

fn content(name: &str) -> Value {
    json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } })
}
