//! Tests that the documents describe the API's actual behaviour.

mod answers;
mod pages;
mod schema;
mod swagger;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::http::Method;
use drawspan_hub::DeviceId;
use serde_json::Value;

use super::{document, json};
use crate::authorization;
use crate::operation::Operation;

/// The operation in the document.
fn entry(document: &Value, operation: Operation) -> &Value {
    let method = operation.method().as_str().to_ascii_lowercase();
    &document["paths"][operation.path()][method]
}

#[test]
fn the_file_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let file = fs::read_to_string(path).unwrap();
    assert!(
        file == json(),
        "docs/openapi.json is old; write it again: cargo run -p drawspan -- openapi > docs/openapi.json"
    );
}

#[test]
fn the_document_has_every_operation_and_no_other() {
    let document = document();
    let mut found = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, entry) in item.as_object().unwrap() {
            let id = entry["operationId"].as_str().unwrap();
            found.insert((method.to_ascii_uppercase(), path.clone(), id.to_owned()));
        }
    }
    let known = Operation::ALL.iter().map(|operation| {
        let method = operation.method().to_string();
        (
            method,
            operation.path().to_owned(),
            operation.id().to_owned(),
        )
    });
    assert_eq!(found, known.collect());
}

#[test]
fn references_lead_somewhere_and_every_schema_is_used() {
    let document = document();
    let mut named = BTreeSet::new();
    references(&document, &mut named);
    let known = document["components"]["schemas"].as_object().unwrap();
    assert_eq!(named, known.keys().cloned().collect());
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if let ("$ref", Some(target)) = (name.as_str(), value.as_str()) {
                    let name = target.strip_prefix("#/components/schemas/").unwrap();
                    found.insert(name.to_owned());
                }
                references(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn keys_are_asked_for_where_the_document_says() {
    let document = document();
    for operation in Operation::ALL {
        let asked = !entry(&document, *operation)["security"]
            .as_array()
            .unwrap()
            .is_empty();
        let path = operation.route().replace("{deviceId}", "x");
        let path = path
            .replace("{lockToken}", "x")
            .replace("{subscriptionType}", "x");
        let path = path.replace("{deadLetterId}", "7");
        let access = authorization::scope_of(&operation.method(), &path);
        assert_eq!(access.is_some(), asked, "{operation:?}");
    }
    assert!(authorization::scope_of(&Method::GET, "/health").is_none());
}

#[test]
fn the_pattern_of_device_ids_is_the_rule() {
    let document = document();
    let schema = &document["components"]["schemas"]["DeviceId"];
    let class = schema["pattern"].as_str().unwrap();
    let class = class
        .strip_prefix("^[")
        .unwrap()
        .strip_suffix("]+$")
        .unwrap();
    let singles = class.replace("A-Za-z0-9", "").replace(r"\-", "-");
    for character in (0..=255).map(char::from) {
        let described = character.is_ascii_alphanumeric() || singles.contains(character);
        let taken = DeviceId::parse(&character.to_string()).is_ok();
        assert_eq!(taken, described, "{character:?}");
    }
    for (length, fits) in [(0, false), (1, true), (128, true), (129, false)] {
        let described = schema["minLength"].as_u64() <= Some(length)
            && Some(length) <= schema["maxLength"].as_u64();
        let id = "x".repeat(length.try_into().unwrap());
        assert_eq!(
            (DeviceId::parse(&id).is_ok(), described),
            (fits, fits),
            "{length}"
        );
    }
}
