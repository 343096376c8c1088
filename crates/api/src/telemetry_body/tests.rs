use super::*;

fn parsed(text: &str) -> Result<Envelope, String> {
    parse(&Bytes::copy_from_slice(text.as_bytes())).map_err(|error| error.to_string())
}

#[test]
fn data_is_passed_on_byte_for_byte() {
    for data in [
        "{}",
        r#"{"a":1}"#,
        "{ \"b\" :\t1.0e+00 ,\r\n \"a\": [ 1,2 ] }",
        r#"{"n":12345678901234567890123,"t":"\u00e9\/é","twice":1,"twice":2}"#,
    ] {
        let envelope = parsed(&format!(
            " {{ \"x\": [1], \"data\" : {data} , \"y\": null }} \n"
        ))
        .unwrap();
        assert_eq!(envelope.data, data);
    }
}

#[test]
fn data_shares_the_memory_of_the_body() {
    let body = Bytes::from_static(br#"{"data":{"a":1}}"#);
    let envelope = parse(&body).unwrap();
    assert!(body.as_ptr_range().contains(&envelope.data.as_ptr()));
}

#[test]
fn member_names_have_no_case() {
    let text = r#"{"DATA":{"a":1},"Properties":{"P":"v"},"componentname":"c","CreationTimeUTC":"2026-11-22T10:20:30"}"#;
    let envelope = parsed(text).unwrap();
    assert_eq!(envelope.data, r#"{"a":1}"#);
    assert_eq!(envelope.properties, [("P".to_owned(), "v".to_owned())]);
    assert_eq!(envelope.component.as_deref(), Some("c"));
    assert_eq!(
        envelope.creation_time.unwrap().to_string(),
        "2026-11-22T10:20:30.0000000Z"
    );
}

#[test]
fn escaped_member_names_are_the_same_names() {
    let envelope = parsed(r#"{"d\u0061ta":{},"properties":{"\u0061":"\u0062"}}"#).unwrap();
    assert_eq!(envelope.properties, [("a".to_owned(), "b".to_owned())]);
}

#[test]
fn null_members_are_absent() {
    let envelope =
        parsed(r#"{"data":{},"properties":null,"componentName":null,"creationTimeUtc":null}"#)
            .unwrap();
    assert_eq!(
        (
            envelope.properties.len(),
            envelope.component,
            envelope.creation_time
        ),
        (0, None, None)
    );
}

#[test]
fn properties_that_are_null_are_left_out() {
    let text = r#"{"data":{},"properties":{"a":null,"b":"","c":"1","c":null,"d":null,"d":"2"}}"#;
    let expected = [("b", ""), ("d", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(parsed(text).unwrap().properties, expected);
}

#[test]
fn a_date_alone_is_its_midnight_in_utc() {
    let check = |time: &str, expected: &str| {
        let text = format!(r#"{{"data":{{}},"creationTimeUtc":"{time}"}}"#);
        let found = parsed(&text).unwrap().creation_time.unwrap();
        assert_eq!(found.to_string(), expected, "{time}");
    };
    check("2021-04-21", "2021-04-21T00:00:00.0000000Z");
    check("2021-04-21T11:30", "2021-04-21T11:30:00.0000000Z");
    check("2021-04-21T11:30+02", "2021-04-21T09:30:00.0000000Z");
    check(r"2021\u002d04-21", "2021-04-21T00:00:00.0000000Z");
}

#[test]
fn of_two_the_last_one_counts() {
    let text = r#"{"data":{"a":1},"Data":{"a":2},"properties":{"p":"1","q":"2","p":"3","P":"4"}}"#;
    let envelope = parsed(text).unwrap();
    assert_eq!(envelope.data, r#"{"a":2}"#);
    let expected = [("p", "3"), ("q", "2"), ("P", "4")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(envelope.properties, expected);
}

#[test]
fn many_properties_keep_their_order() {
    let members = (0..1000)
        .map(|n| format!("\"{}\":\"{n}\"", n % 900))
        .collect::<Vec<_>>()
        .join(",");
    let envelope = parsed(&format!("{{\"data\":{{}},\"properties\":{{{members}}}}}")).unwrap();
    assert_eq!(envelope.properties.len(), 900);
    assert_eq!(envelope.properties[5], ("5".to_owned(), "905".to_owned()));
    assert_eq!(
        envelope.properties[899],
        ("899".to_owned(), "899".to_owned())
    );
}

#[test]
fn times_with_an_offset_are_converted() {
    let envelope =
        parsed(r#"{"data":{},"creationTimeUtc":"2026-11-22T10:20:30.25+02:00"}"#).unwrap();
    assert_eq!(
        envelope.creation_time.unwrap().to_string(),
        "2026-11-22T08:20:30.2500000Z"
    );
}

#[test]
fn mistakes_are_named() {
    let check = |text: &str, expected: &str| {
        let error = parsed(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("", "empty");
    check(" \r\n\t", "empty");
    check("null", "invalid type: null, expected an object");
    check("[]", "invalid type: list, expected an object");
    check("\"data\"", "expected an object");
    check("{", "it ends within an object");
    check(r#"{"data":{"a":"#, "it ends within a value, in `data.a`");
    check("{\"data\":{}}\0", "a NUL byte (0x00) after its end");
    check("{'data':{}}", "key must be a string");
    check(
        r#"{"data":{"a":}}"#,
        "expected a value, found `}`, in `data.a`, at line 1 column 14",
    );
    check(r#"{"data":{}} x"#, "`x` after its end");
    check(r#"{"data":{}}{"data":{}}"#, "`{` after its end");
    check("{}", "`data` is required");
    check(r#"{"data":null}"#, "`data` is required");
    check(r#"{"dato":{}}"#, "`data` is required");
    check(r#"{"data":5}"#, "`data` must be a JSON object");
    check(r#"{"data":[{}]}"#, "`data` must be a JSON object");
    check(r#"{"data":"{}"}"#, "`data` must be a JSON object");
    check(
        r#"{"data":{},"properties":[]}"#,
        "expected `properties` to be an object of strings",
    );
    check(
        r#"{"data":{},"properties":"a"}"#,
        "expected `properties` to be an object of strings",
    );
    check(
        r#"{"data":{},"properties":{"a":1}}"#,
        "expected the property `a` to be a string",
    );
    check(
        r#"{"data":{},"properties":{"a":true}}"#,
        "expected the property `a` to be a string",
    );
    check(
        r#"{"data":{},"properties":{"a":{}}}"#,
        "invalid type: object, expected the property `a` to be a string",
    );
    let long = "x".repeat(10_000);
    check(
        &format!(r#"{{"data":{{}},"properties":{{"{long}":1}}}}"#),
        "expected the values of `properties` to be strings",
    );
    check(
        r#"{"data":{},"componentName":1}"#,
        "expected `componentName` to be a string",
    );
    check(
        r#"{"data":{},"creationTimeUtc":1}"#,
        "expected `creationTimeUtc` to be a string",
    );
    check(r#"{"data":{},"creationTimeUtc":"soon"}"#, "ISO 8601");
    check(r#"{"data":{},"creationTimeUtc":""}"#, "ISO 8601");
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for body in [
        &b"{\"data\":{\"a\":\"\xff\"}}"[..],
        b"{\"data\":{},\"x\xff\":1}",
        b"\xff\xfe{\0}",
    ] {
        assert!(parse(&Bytes::copy_from_slice(body)).is_err(), "{body:?}");
    }
}

#[test]
fn absurd_depth_is_no_danger() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    assert!(parsed(&format!("{{\"data\":{{\"a\":{deep}}}}}")).is_ok());
    assert!(parsed(&format!("{{\"data\":{{}},\"other\":{deep}}}")).is_ok());
    assert!(
        parsed(&format!(
            "{{\"data\":{{}},\"properties\":{{\"a\":{deep}}}}}"
        ))
        .is_err()
    );
}
