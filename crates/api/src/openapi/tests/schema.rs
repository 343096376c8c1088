//! A validator for the part of JSON Schema that the document uses.

use serde_json::{Map, Value, json};

/// The first mistake in `value`, if there is one. Members that are not described are mistakes, unless the schema allows any.
pub(super) fn mistake(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(target) = schema["$ref"].as_str() {
        let target = document.pointer(target.strip_prefix('#').unwrap()).unwrap();
        return mistake(document, target, value, at);
    }
    if schema["allOf"].is_array() {
        return mistake(document, &merged(document, schema), value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = choices
            .iter()
            .filter(|choice| mistake(document, choice, value, at).is_none());
        return (fits.count() != 1).then(|| format!("{at}: not one of the choices: {value}"));
    }
    if !has_type(&schema["type"], value) {
        return Some(format!("{at}: {value} is no {}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Some(format!("{at}: {value} is none of {words:?}"));
    }
    if let Some(length) = value.as_str().map(str::len) {
        let longest = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
        return (length as u64 > longest).then(|| format!("{at}: too long"));
    }
    if let Some(number) = value.as_f64() {
        let least = schema["minimum"].as_f64().unwrap_or(f64::MIN);
        let most = schema["maximum"].as_f64().unwrap_or(f64::MAX);
        return (number < least || number > most)
            .then(|| format!("{at}: {number} is beyond the limits"));
    }
    if let Some(items) = value.as_array() {
        let mut mistakes = items
            .iter()
            .map(|item| mistake(document, &schema["items"], item, at));
        return mistakes.find_map(|mistake| mistake);
    }
    let members = value.as_object()?;
    let required = schema["required"].as_array().into_iter().flatten();
    let missing = required
        .map(|name| name.as_str().unwrap())
        .find(|name| !members.contains_key(*name));
    if let Some(name) = missing {
        return Some(format!("{at}: no {name}"));
    }
    members.iter().find_map(|(name, value)| {
        let at = format!("{at}.{name}");
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Null) => {
                (!schema["type"].is_null()).then(|| format!("{at}: not described"))
            }
            (Value::Null, Value::Bool(true)) => None,
            (Value::Null, schema) | (schema, _) => mistake(document, schema, value, &at),
        }
    })
}

/// The objects of an `allOf` as one object with all their members.
fn merged(document: &Value, schema: &Value) -> Value {
    let Some(parts) = schema["allOf"].as_array() else {
        return match schema["$ref"].as_str() {
            Some(target) => {
                let target = document.pointer(target.strip_prefix('#').unwrap());
                merged(document, target.unwrap())
            }
            None => schema.clone(),
        };
    };
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts.iter().map(|part| merged(document, part)) {
        properties.extend(part["properties"].as_object().unwrap().clone());
        required.extend(part["required"].as_array().into_iter().flatten().cloned());
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

fn has_type(kind: &Value, value: &Value) -> bool {
    match kind {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(|kind| has_type(kind, value)),
        kind => match kind.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("{other}"),
        },
    }
}

#[test]
fn wrong_values_are_found() {
    let document = serde_json::json!({ "components": { "schemas": { "Word": { "type": "string", "enum": ["a"] } } } });
    let schema = serde_json::json!({
        "type": "object", "required": ["word"],
        "properties": { "word": { "$ref": "#/components/schemas/Word" }, "n": { "type": ["integer", "null"], "minimum": 1 } },
    });
    let check = |text: &str, right: bool| {
        let value = serde_json::from_str(text).unwrap();
        assert_eq!(
            mistake(&document, &schema, &value, "").is_none(),
            right,
            "{text}"
        );
    };
    check(r#"{"word":"a","n":1}"#, true);
    check(r#"{"word":"a","n":null}"#, true);
    check(r#"{"word":"b"}"#, false);
    check(r#"{"n":1}"#, false);
    check(r#"{"word":"a","n":0}"#, false);
    check(r#"{"word":"a","other":1}"#, false);
    check("[]", false);
}

#[test]
fn members_of_all_parts_are_one_object() {
    let document = json!({ "components": { "schemas": {
        "Part": { "type": "object", "required": ["a"], "properties": { "a": { "type": "string" } } },
    } } });
    let schema = json!({ "allOf": [
        { "$ref": "#/components/schemas/Part" },
        { "type": "object", "required": ["b"], "properties": { "b": { "type": "integer" } } },
    ] });
    let check = |value: Value, right: bool| {
        assert_eq!(
            mistake(&document, &schema, &value, "").is_none(),
            right,
            "{value}"
        );
    };
    check(json!({ "a": "x", "b": 1 }), true);
    check(json!({ "b": 1 }), false);
    check(json!({ "a": "x" }), false);
    check(json!({ "a": "x", "b": 1, "c": 1 }), false);
}
