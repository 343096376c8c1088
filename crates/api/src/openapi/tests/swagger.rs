//! The OpenAPI 2.0 document agrees with the 3.1 document.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{document, entry};
use crate::openapi::swagger;

fn names(parameters: &Value, place: &str) -> BTreeSet<String> {
    let all = parameters.as_array().into_iter().flatten();
    let here = all.filter(|parameter| parameter["in"] == place);
    here.map(|parameter| parameter["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Members and required members of a schema of either document.
fn shape(document: &Value, schema: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let target = schema["$ref"]
        .as_str()
        .map(|target| document.pointer(&target[1..]).unwrap());
    let schema = target.unwrap_or(schema);
    let members = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let required = schema["required"].as_array().into_iter().flatten();
    (
        members,
        required
            .map(|name| name.as_str().unwrap().to_owned())
            .collect(),
    )
}

#[test]
fn both_documents_agree() {
    let (new, old) = (document(), swagger::document());
    for operation in swagger::OPERATIONS {
        let (now, then) = (entry(&new, operation), entry(&old, operation));
        let what = operation.id();
        assert_eq!(then["operationId"], what);
        assert_eq!(
            names(&then["parameters"], "path"),
            names(&now["parameters"], "path"),
            "{what}"
        );
        let body = then["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .find(|parameter| parameter["in"] == "body");
        assert_eq!(body.is_some(), now["requestBody"].is_object(), "{what}");
        if let Some(body) = body {
            let content = &now["requestBody"]["content"]["application/json"]["schema"];
            assert_eq!(shape(&old, &body["schema"]), shape(&new, content), "{what}");
            assert_eq!(body["required"], now["requestBody"]["required"], "{what}");
        }
        for (status, response) in then["responses"].as_object().unwrap() {
            let described = &now["responses"][status];
            assert!(described.is_object(), "{what} {status}");
            if response["schema"].is_object() {
                let content = &described["content"]["application/json"]["schema"];
                let (then, now) = (shape(&old, &response["schema"]).0, shape(&new, content).0);
                assert!(then.is_subset(&now), "{what}: {then:?} {now:?}");
            }
        }
    }
}

#[test]
fn the_old_document_has_the_originals_operations_and_no_others() {
    let document = swagger::document();
    let operations = document["paths"].as_object().unwrap().values();
    let count: usize = operations.map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(count, 18);
    let first = &document["paths"]["/devices/{deviceId}/messages/events"]["post"];
    assert_eq!(first["operationId"], "SendMessage");
}
