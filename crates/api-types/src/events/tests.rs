use drawspan_hub::{C2dMessage, ConnectionStatus, ConnectionStatusReason, SubscriptionType};

use super::*;

fn text(content: Content) -> String {
    let device = Device::parse("d-1").unwrap();
    let received_at = UtcTime::parse("2026-11-22T10:20:30.5Z").unwrap();
    String::from_utf8(body(&device, received_at, &content).to_vec()).unwrap()
}

fn check(content: Content, kind: &str, members: &str) {
    let start = format!(
        r#"{{"eventType":"{kind}","deviceId":"d-1","deviceReceivedAt":"2026-11-22T10:20:30.5000000Z","#
    );
    assert_eq!(text(content), format!("{start}{members}}}"));
}

#[test]
fn status_changes() {
    let change = |skipped| Content::Status {
        status: ConnectionStatus::Connected,
        reason: ConnectionStatusReason::ConnectionOk,
        skipped,
    };
    let kind = "ConnectionStatusChange";
    let members = r#""status":"Connected","reason":"Connection_Ok""#;
    check(change(0), kind, members);
    check(change(3), kind, &format!(r#"{members},"skipped":3"#));
}

#[test]
fn desired_properties() {
    let change = |full_state| Content::Desired {
        properties: Bytes::from_static(br#"{"a": 1.50, "$version":7}"#),
        full_state,
    };
    let kind = "DesiredPropertyUpdate";
    let members = r#""desiredProperties":{"a": 1.50, "$version":7}"#;
    check(change(false), kind, members);
    check(
        change(true),
        kind,
        &format!(r#"{members},"fullState":true"#),
    );
}

#[test]
fn methods() {
    let call = |payload: &'static [u8], members: &str| {
        let content = Content::Method {
            name: "re\"boot".to_owned(),
            payload: Bytes::from_static(payload),
        };
        let members = format!(r#""methodName":"re\"boot",{members}"#);
        check(content, "DirectMethodInvocation", &members);
    };
    call(b"", r#""requestData":null"#);
    call(b"null", r#""requestData":null"#);
    call(b" [1, 2e400] ", r#""requestData":[1, 2e400]"#);
    call(
        b"{not json",
        r#""requestData":"e25vdCBqc29u","requestDataEncoding":"base64""#,
    );
}

#[test]
fn messages() {
    let send = |message: C2dMessage, members: &str| {
        check(Content::C2d(Box::new(message)), "C2DMessage", members);
    };
    let least = r#""messageId":null,"expirtyTimeUtC":"0001-01-01T00:00:00Z""#;
    let body = |bytes: &'static [u8]| C2dMessage {
        body: Bytes::from_static(bytes),
        ..C2dMessage::default()
    };
    let as_json = |json: &str| format!(r#""messageBody":{json},"properties":{{}},{least}"#);
    let as_base64 = |text: &str| {
        format!(
            r#""messageBody":"{text}","messageBodyEncoding":"base64","properties":{{}},{least}"#
        )
    };
    let twice = r#"{"a":1,"a":2}"#;
    send(body(twice.as_bytes()), &as_json(twice));
    send(body(b"123"), &as_json("123"));
    send(body(b""), &as_base64(""));
    send(body(b"hello"), &as_base64("aGVsbG8="));
    send(body(b"{} {}"), &as_base64("e30ge30="));
    send(body(b"\"\xff\""), &as_base64("Iv8i"));
    let message = C2dMessage {
        properties: [("a", "1"), ("b", "\n"), ("a", "2")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        message_id: Some("m".to_owned()),
        expiry: UtcTime::parse("2026-11-22T11:20:30Z").ok(),
        ..body(b"{}")
    };
    let rest = r#""messageId":"m","expirtyTimeUtC":"2026-11-22T11:20:30.0000000Z""#;
    let properties = r#""properties":{"b":"\n","a":"2"}"#;
    send(
        message,
        &format!(r#""messageBody":{{}},{properties},{rest}"#),
    );
}

#[test]
fn deep_json_is_json() {
    let deep = "[".repeat(5_000) + &"]".repeat(5_000);
    let content = Content::Method {
        name: "m".to_owned(),
        payload: deep.clone().into(),
    };
    assert!(text(content).contains(&deep));
}

#[test]
fn a_replay_is_what_it_was() {
    let event = r#"{"eventType":"C2DMessage"}"#;
    let content = Content::Replay {
        kind: SubscriptionType::C2dMessages,
        event: event.into(),
    };
    assert_eq!(text(content), event);
}

#[test]
fn a_message_that_was_asked_for_says_how_it_is_settled() {
    let message = Held {
        lock_token: "t".to_owned(),
        locked_until: UtcTime::parse("2026-11-22T10:21:30Z").unwrap(),
        received_at: UtcTime::parse("2026-11-22T10:20:30Z").unwrap(),
        message: C2dMessage {
            body: Bytes::from_static(b"[]"),
            ..C2dMessage::default()
        },
    };
    let json = held(&Device::parse("d-1").unwrap(), &message);
    let expected = concat!(
        r#"{"eventType":"C2DMessage","deviceId":"d-1","deviceReceivedAt":"2026-11-22T10:20:30.0000000Z","#,
        r#""messageBody":[],"properties":{},"messageId":null,"expirtyTimeUtC":"0001-01-01T00:00:00Z","#,
        r#""lockToken":"t","lockedUntil":"2026-11-22T10:21:30.0000000Z"}"#
    );
    assert_eq!(json, expected);
}
