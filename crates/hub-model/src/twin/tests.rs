use proptest::prelude::*;
use serde_json::{Value, json};

use super::rules::TwinRule;
use super::*;

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

/// Nested `depth` times in objects, under the section.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!("x"), |inner, _| json!({ "o": inner }))
}

fn reported(patch: Value) -> Result<Twin, TwinError> {
    let mut twin = Twin::default();
    twin.report(&object(patch), None, 1_000)?;
    Ok(twin)
}

#[test]
fn a_twin_begins_empty() {
    let twin = Twin::default();
    let empty = json!({ "$version": 1 });
    assert_eq!(
        twin.for_device(),
        json!({ "desired": empty, "reported": empty })
    );
    assert_eq!((twin.version, twin.etag().as_str()), (2, "AAAAAAAAAAE="));
    let described = twin.desired.for_service(true);
    let metadata = json!({ "$lastUpdated": "0001-01-01T00:00:00Z" });
    assert_eq!(described, json!({ "$metadata": metadata, "$version": 1 }));
}

#[test]
fn metadata_tell_what_was_written_when() {
    let mut twin = Twin::default();
    let desire = |twin: &mut Twin, patch: Value, now| {
        let update = TwinUpdate {
            desired: Some(object(patch)),
            ..TwinUpdate::default()
        };
        twin.update(&update, now).unwrap().unwrap()
    };
    let news = desire(
        &mut twin,
        json!({ "a": 1, "b": { "c": [1], "d": 2 }, "gone": 1 }),
        1_000,
    );
    assert_eq!(
        news,
        json!({ "a": 1, "b": { "c": [1], "d": 2 }, "gone": 1, "$version": 2 })
    );
    let news = desire(&mut twin, json!({ "b": { "d": 3 }, "gone": null }), 2_000);
    assert_eq!(
        news,
        json!({ "b": { "d": 3 }, "gone": null, "$version": 3 })
    );
    let at = |second: u8, version: u8| {
        json!({
            "$lastUpdated": format!("1970-01-01T00:00:0{second}.0000000Z"),
            "$lastUpdatedVersion": version,
        })
    };
    let with = |mut of: Value, name: &str, value: Value| {
        of[name] = value;
        of
    };
    let b = with(with(at(2, 3), "c", at(1, 2)), "d", at(2, 3));
    let root = with(with(at(2, 3), "a", at(1, 2)), "b", b);
    assert_eq!(
        twin.desired.for_service(true),
        json!({ "a": 1, "b": { "c": [1], "d": 3 }, "$metadata": root, "$version": 3 })
    );
    let reported = reported(json!({ "x": true }))
        .unwrap()
        .reported
        .for_service(false);
    let time = "1970-01-01T00:00:01.0000000Z";
    let metadata = json!({ "x": { "$lastUpdated": time }, "$lastUpdated": time });
    assert_eq!(
        reported,
        json!({ "x": true, "$metadata": metadata, "$version": 2 })
    );
}

#[test]
fn each_part_has_a_version_of_its_own() {
    let mut twin = reported(json!({ "a": 1 })).unwrap();
    assert_eq!(
        (twin.version, twin.etag_number),
        (3, 1),
        "a device does not change the etag"
    );
    let tags = TwinUpdate {
        tags: Some(object(json!({ "t": { "u": 1 } }))),
        ..TwinUpdate::default()
    };
    assert_eq!(
        twin.update(&tags, 0).unwrap(),
        None,
        "devices do not see tags"
    );
    assert_eq!((twin.version, twin.etag_number), (4, 2));
    assert_eq!((twin.desired.version(), twin.reported.version()), (1, 2));
    assert_eq!(twin.tags, object(json!({ "t": { "u": 1 } })));
}

#[test]
fn replacing_leaves_nothing_and_tells_what_is_gone() {
    let mut twin = reported(json!({ "r": 1 })).unwrap();
    let from = |body: Value, replace| TwinUpdate::from_json(object(body), replace).unwrap();
    let body =
        json!({ "tags": { "t": 1 }, "properties": { "desired": { "a": 1, "b": { "c": 2 } } } });
    twin.update(&from(body, false), 0).unwrap();
    let body = json!({ "properties": { "desired": { "b": { "d": 3 } } } });
    let news = twin.update(&from(body, true), 0).unwrap();
    assert_eq!(
        news,
        Some(json!({ "a": null, "b": { "c": null, "d": 3 }, "$version": 3 }))
    );
    assert!(twin.tags.is_empty());
    let desired = json!({ "b": { "d": 3 }, "$version": 3 });
    assert_eq!(
        twin.for_device(),
        json!({ "desired": desired, "reported": { "r": 1, "$version": 2 } })
    );
}

#[test]
fn what_replaces_everything_deletes_nothing_by_null() {
    let mut twin = Twin::default();
    for body in [
        json!({ "tags": { "gone": null } }),
        json!({ "tags": { "t": { "gone": null } } }),
        json!({ "properties": { "desired": { "gone": null } } }),
    ] {
        let update = |replace| TwinUpdate::from_json(object(body.clone()), replace).unwrap();
        let error = twin.update(&update(true), 0).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.code()),
            (
                "Value of Property or Tag cannot be null. Error in Property/Tag gone",
                ErrorCode::ARGUMENT_INVALID
            )
        );
        twin.update(&update(false), 0).unwrap();
    }
    // A section without a value is replaced by nothing.
    let body = json!({ "tags": null, "properties": { "desired": null } });
    let update = TwinUpdate::from_json(object(body), true).unwrap();
    assert!(twin.update(&update, 0).is_ok());
}

#[test]
fn a_report_may_name_the_version_that_it_changes() {
    let mut twin = reported(json!({ "a": 1 })).unwrap();
    let patch = object(json!({ "a": 2 }));
    for other in [0, 1, 3] {
        let error = twin.report(&patch, Some(other), 0).unwrap_err();
        assert_eq!(error, TwinError::OtherVersion { existing: 2 });
        assert_eq!(error.code(), ErrorCode::PRECONDITION_FAILED);
    }
    assert_eq!(twin.reported.version(), 2, "nothing is changed");
    twin.report(&patch, Some(2), 0).unwrap();
    assert_eq!(twin.reported.version(), 3);
}

#[test]
fn refusals_have_the_hubs_texts() {
    let check = |patch: Value, code: ErrorCode, text: &str| {
        let error = reported(patch).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.code()), (text, code));
    };
    let invalid = ErrorCode::ARGUMENT_INVALID;
    check(
        json!({ "o": { "m2(<#a": 1 } }),
        invalid,
        "Property or Tag name has invalid characters. Error in Property/Tag m2(<#a. Must not contain Control Characters, '.', '$', '#', or ' '.",
    );
    check(
        json!({ "a": [{ "b": null }] }),
        invalid,
        "Value of Property or Tag cannot be null. Error in Property/Tag b",
    );
    check(
        json!({ "long": "x".repeat(4097) }),
        invalid,
        "Property or Tag value should be maximum 4096 bytes. Error in Property/Tag long",
    );
    let large = Value::from_iter((0..9).map(|n| (n.to_string(), Value::from("x".repeat(4_000)))));
    check(
        large,
        ErrorCode::DEVICE_MODEL_MAX_PROPERTIES_EXCEEDED,
        "'Properties.Reported' size should be less than 32768 bytes.",
    );
    check(
        json!({ "a\n2026 INFO": 1 }),
        invalid,
        "Property or Tag name has invalid characters. Error in Property/Tag a\u{fffd}2026 INFO. Must not contain Control Characters, '.', '$', '#', or ' '.",
    );
    let tags = (0..3).map(|n| (n.to_string(), Value::from("x".repeat(4_000))));
    let update = TwinUpdate {
        tags: Some(tags.collect()),
        ..TwinUpdate::default()
    };
    let error = Twin::default().update(&update, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "'Tags' size should be less than 8192 bytes."
    );
}

#[test]
fn what_the_hub_wrote_may_come_back() {
    let body = json!({
        "deviceId": "a", "etag": "x", "version": 7, "status": "enabled",
        "tags": { "$etag": "1", "t": 1 },
        "properties": {
            "desired": { "a": 1, "$version": 1, "$metadata": { "$lastUpdated": "x" } },
            "reported": { "ignored": 1, "$version": 1 },
        },
    });
    let update = TwinUpdate::from_json(object(body), false).unwrap();
    assert_eq!(update.tags, Some(object(json!({ "t": 1 }))));
    assert_eq!(update.desired, Some(object(json!({ "a": 1 }))));
    for wrong in [
        json!({ "tags": [] }),
        json!({ "properties": 1 }),
        json!({ "properties": { "desired": "x" } }),
    ] {
        let error = TwinUpdate::from_json(object(wrong), false).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ARGUMENT_INVALID);
    }
}

#[test]
fn rules_of_what_a_twin_may_hold() {
    let key = |length: usize| json!({ "k".repeat(length): 1 });
    let text = |length: usize| json!({ "a": "ä".repeat(length / 2) });
    let check = |patch: Value, expected: Option<TwinRule>| {
        let shown: String = patch.to_string().chars().take(60).collect();
        let rule = match reported(patch) {
            Ok(_) => None,
            Err(TwinError::Rule { rule, section }) => {
                assert_eq!(section, "properties.reported");
                Some(rule)
            }
            Err(other) => panic!("{other}"),
        };
        assert_eq!(rule, expected, "{shown}");
    };
    check(key(1024), None);
    check(key(1025), Some(TwinRule::KeyBytes("k".repeat(128))));
    check(json!({ "": 1 }), Some(TwinRule::KeyBytes(String::new())));
    for bad in [
        "a.b", "$a", "a b", "a#b", "#", "m2(<#a", "a\u{1}", "a\u{7f}", "a\u{85}",
    ] {
        let rule = || Some(TwinRule::Key(bad.replace(char::is_control, "\u{fffd}")));
        check(json!({ bad: 1 }), rule());
        check(json!({ "o": [{ bad: 1 }] }), rule());
        check(json!({ "o": { bad: null } }), rule());
    }
    let null = |name: &str| Some(TwinRule::Null(name.into()));
    check(json!({ "a": { "b": null } }), None);
    check(json!({ "a": [1, null] }), null("a"));
    check(json!({ "a": [[null]] }), null("a"));
    check(json!({ "a": [{ "b": { "c": null } }] }), null("c"));
    check(json!({ "schlüssel-1_a/b": 1 }), None);
    check(text(4096), None);
    check(text(4098), Some(TwinRule::Text("a".into())));
    check(json!({ "a": { "b": nested(9) } }), None);
    check(json!({ "a": nested(10) }), None);
    check(json!({ "a": nested(11) }), Some(TwinRule::Depth));
    check(json!({ "a": 4_503_599_627_370_495_i64 }), None);
    check(
        json!({ "a": 4_503_599_627_370_496_i64 }),
        Some(TwinRule::Integer),
    );
    check(json!({ "a": -4_503_599_627_370_496_i64 }), None);
    check(
        json!({ "a": -4_503_599_627_370_497_i64 }),
        Some(TwinRule::Integer),
    );
    check(json!({ "a": [u64::MAX] }), Some(TwinRule::Integer));
    check(json!({ "a": 1e300, "b": [true, "x", [1]] }), None);
}

#[test]
fn integers_that_no_number_type_holds_are_refused() {
    let check = |text: &str, expected: Option<TwinError>| {
        assert_eq!(parse_patch(text.as_bytes()).err(), expected, "{text}");
    };
    let rule = TwinRule::Integer;
    let refused = Some(TwinError::Rule {
        section: "the body",
        rule,
    });
    let huge = "1".repeat(21);
    check(&format!(r#"{{"a":{huge}}}"#), refused.clone());
    check(&format!(r#"{{"o":[{{"a":-{huge} }}]}}"#), refused.clone());
    check(&format!(r#"{{"a":"\\","b":{huge}}}"#), refused);
    check(
        &format!(r#"{{"a":{huge}.0,"b":1{huge}e2,"c":{huge}E-2}}"#),
        None,
    );
    check(&format!(r#"{{"a":"\"{huge}","{huge}":1}}"#), None);
}

#[test]
fn sections_have_a_size() {
    // 8 texts of 4000 and names of 2 digits, then what is left but for the last byte.
    let max = crate::limits::TWIN_PROPERTIES_BYTES;
    let mut patch: Object = (10..18)
        .map(|number| (number.to_string(), "x".repeat(4_000).into()))
        .collect();
    let left = max - patch.len() * 4_002;
    patch.insert("z".into(), "x".repeat(left - 1).into());
    let mut twin = Twin::default();
    twin.report(&patch, None, 0).unwrap();
    let before = twin.clone();
    let more = object(json!({ "y": true }));
    let error = twin.report(&more, None, 0).unwrap_err();
    let rule = TwinRule::TooLarge { max_bytes: max };
    let section = "properties.reported";
    assert_eq!(error, TwinError::Rule { section, rule });
    assert_eq!(twin, before, "nothing is changed");
    twin.report(&object(json!({ "y": true, "10": null })), None, 0)
        .unwrap();
    let tags = |length| TwinUpdate {
        tags: Some(
            (10..12)
                .map(|n| (n.to_string(), "x".repeat(length).into()))
                .collect(),
        ),
        ..TwinUpdate::default()
    };
    twin.update(&tags(4_094), 0).unwrap();
    let mut more = tags(4_094);
    more.tags.as_mut().unwrap().insert("y".into(), json!(1));
    assert!(twin.update(&more, 0).is_err());
}

/// Names that meet often, values of every kind, nulls among them.
fn any_object() -> impl Strategy<Value = Object> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-100_i64..100).prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
        prop::collection::vec(0..3_u8, 0..3).prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        prop::collection::btree_map("[a-d]", inner, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    });
    prop::collection::btree_map("[a-d]", value, 0..4).prop_map(|map| map.into_iter().collect())
}

/// RFC 7396, as its pseudo code has it.
fn merge_patch(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut target = match target {
        Value::Object(target) => target,
        _ => Object::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let inner = target.remove(name).unwrap_or(Value::Null);
            target.insert(name.clone(), merge_patch(inner, value));
        }
    }
    Value::Object(target)
}

/// Metadata have the names of the values, and each its time; nothing else.
fn mirrors(metadata: &Value, value: &Value) -> bool {
    let metadata = metadata.as_object().unwrap();
    let empty = Object::new();
    let inner = value.as_object().unwrap_or(&empty);
    let names = metadata.keys().filter(|name| !name.starts_with('$'));
    let of = |name: &String| (name.starts_with('$'), name.clone());
    metadata.contains_key("$lastUpdated")
        && names
            .map(of)
            .eq(inner.keys().filter(|name| !name.starts_with('$')).map(of))
        && inner
            .iter()
            .filter(|(name, _)| !name.starts_with('$'))
            .all(|(name, value)| mirrors(&metadata[name], value))
}

proptest! {
    #[test]
    fn patches_merge_as_the_rfc_says(patches in prop::collection::vec(any_object(), 0..6)) {
        let mut twin = Twin::default();
        let mut expected = json!({});
        let mut seen = json!({});
        for (number, patch) in patches.iter().enumerate() {
            twin.report(patch, None, number as u64).unwrap();
            let update = TwinUpdate { desired: Some(patch.clone()), tags: Some(patch.clone()), replace: false };
            let news = twin.update(&update, number as u64).unwrap().unwrap();
            expected = merge_patch(expected, &Value::Object(patch.clone()));
            seen = merge_patch(seen, &news);
        }
        prop_assert_eq!(&Value::Object(twin.tags.clone()), &expected);
        expected["$version"] = (patches.len() + 1).into();
        prop_assert_eq!(twin.for_device(), json!({ "desired": expected, "reported": expected }));
        if !patches.is_empty() {
            prop_assert_eq!(&seen, &expected, "a device that follows the news has the same");
        }
        for described in [twin.desired.for_service(true), twin.reported.for_service(false)] {
            prop_assert!(mirrors(&described["$metadata"], &described), "{}", described);
        }
        prop_assert_eq!(twin.version, 2 + 2 * patches.len() as u64);
    }

    #[test]
    fn a_replacement_can_be_followed(before in any_object(), after in any_object()) {
        // A replacement has no nulls.
        let after = object(merge_patch(json!({}), &Value::Object(after)));
        let update = |desired: &Object, replace| TwinUpdate { replace, tags: None, desired: Some(desired.clone()) };
        let mut twin = Twin::default();
        let first = twin.update(&update(&before, false), 0).unwrap().unwrap();
        let followed = merge_patch(json!({}), &first);
        let news = twin.update(&update(&after, true), 0).unwrap().unwrap();
        let followed = merge_patch(followed, &news);
        let desired = &twin.for_device()["desired"];
        prop_assert_eq!(&followed, desired);
        let mut expected = merge_patch(json!({}), &Value::Object(after));
        expected["$version"] = 3.into();
        prop_assert_eq!(desired, &expected);
    }

    #[test]
    fn what_is_stored_comes_back(patches in prop::collection::vec(any_object(), 0..4)) {
        let mut twin = Twin::default();
        for patch in &patches {
            twin.report(patch, None, 1_700_000_000_123).unwrap();
        }
        let text = serde_json::to_string(&twin.reported).unwrap();
        prop_assert_eq!(serde_json::from_str::<Section>(&text).unwrap(), twin.reported);
    }

    #[test]
    fn what_is_refused_changes_nothing(good in any_object(), mut bad in any_object()) {
        let mut twin = Twin::default();
        twin.report(&good, None, 0).unwrap();
        let before = twin.clone();
        bad.insert("bad.name".into(), Value::Null);
        prop_assert!(twin.report(&bad, None, 1).is_err());
        let update = TwinUpdate { replace: true, tags: Some(good), desired: Some(bad) };
        prop_assert!(twin.update(&update, 1).is_err());
        prop_assert_eq!(twin, before);
    }
}
