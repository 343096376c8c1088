//! What is posted to callbacks. OpenAPI 3.1 calls these webhooks.

use serde_json::{Value, json};

/// The part of the document.
pub(super) fn webhooks() -> Value {
    let taken = json!({ "2XX": { "description": "Taken." }, "default": { "description": "Not taken; what is worth another attempt is tried again." } });
    let mut method = taken.clone();
    method["2XX"] = json!({
        "description": "What the method came to.",
        "content": content("MethodAnswer"),
    });
    method["default"] = json!({ "description": "The method answers 500." });
    let message = json!({
        "2XX": { "description": "Taken: the message is completed." },
        "4XX": { "description": "Refused: the message is rejected. (408, 425 and 429 are tried again.)" },
        "default": { "description": "Not taken: the message is abandoned, and the hub delivers it again." },
    });
    json!({
        "DesiredPropertyUpdate": webhook("DesiredPropertyUpdate", "Desired properties of a device changed.", &taken),
        "C2DMessage": webhook("C2DMessage", "A message for a device.", &message),
        "DirectMethodInvocation": webhook("DirectMethodInvocation", "Somebody calls a method of a device.", &method),
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
        "description": "Posted to the callback URL of a subscription, once or more often; `webhook-id` is the same each time.",
        "tags": ["Subscriptions"],
        "security": [],
        "parameters": [
            header("webhook-id", "The same for each attempt."),
            header("webhook-timestamp", "Unix time of the attempt, in seconds."),
        ],
        "requestBody": { "required": true, "content": content(name) },
        "responses": responses,
    } })
}

fn content(name: &str) -> Value {
    json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } })
}
