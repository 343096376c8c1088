use super::*;
use crate::percent_encoding::encode_component;
use proptest::prelude::*;

const EXPIRY: u64 = 1_795_342_830;

fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(&[byte; 32]).unwrap()
}

fn host() -> HostName {
    HostName::parse("Hub.azure-devices.net").unwrap()
}

fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

/// The signature of `sr` as base64.
fn signature(sr: &str) -> String {
    STANDARD.encode(key(1).sign(format!("{sr}\n{EXPIRY}").as_bytes()))
}

/// Upper-case hex made lower-case.
fn lower_hex(encoded: &str) -> String {
    let mut out = String::new();
    let mut rest = encoded;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        out.push('%');
        out.push_str(&after[..2].to_ascii_lowercase());
        rest = &after[2..];
    }
    out + rest
}

fn verifies(token: &str, path: &str) {
    let token = Token::parse(token).unwrap();
    assert!(token.signed_by(&key(1)), "{token:?}");
    assert!(!token.signed_by(&key(2)), "{token:?}");
    assert!(token.covers(&host(), path), "{token:?} {path}");
    assert_eq!(token.expiry_unix_s(), EXPIRY);
}

#[test]
fn signs_as_the_sdks_do() {
    let resource = device_resource(&host(), &device("a#b"), None);
    assert_eq!(resource, "hub.azure-devices.net%2Fdevices%2Fa%23b");
    let text = sign(&resource, &key(1), EXPIRY, None);
    let expected = encode_component(&signature(&resource));
    assert_eq!(
        text,
        format!("SharedAccessSignature sr={resource}&sig={expected}&se={EXPIRY}")
    );

    let token = Token::parse(&sign(&resource, &key(1), EXPIRY, Some("my policy"))).unwrap();
    assert_eq!(token.policy(), Some("my policy"));
    assert_eq!(token.resource(), "hub.azure-devices.net/devices/a#b");

    let module = ModuleId::parse("m").unwrap();
    assert_eq!(
        device_resource(&host(), &device("a"), Some(&module)),
        "hub.azure-devices.net%2Fdevices%2Fa%2Fmodules%2Fm"
    );
}

#[test]
fn a_signature_made_elsewhere_verifies() {
    // Made with Python's hmac, base64 and urllib over the text "h.net%2Fdevices%2Fd\n1795342830".
    let token = Token::parse(
        "SharedAccessSignature sr=h.net%2Fdevices%2Fd&sig=JpPV5CRtQsRIMgZmrTwTftA4VKhGtcEPHPiL3NErJdc%3D&se=1795342830",
    )
    .unwrap();
    let key = SymmetricKey::from_base64("MDEyMzQ1Njc4OWFiY2RlZg==").unwrap();
    assert!(token.signed_by(&key));
}

#[test]
fn takes_the_fields_in_any_order() {
    let sr = "hub.azure-devices.net%2Fdevices%2Fd";
    let sig = encode_component(&signature(sr));
    let path = "/devices/d/messages/events";
    for fields in [
        format!("sr={sr}&sig={sig}&se={EXPIRY}"),
        format!("sr={sr}&sig={sig}&skn=&se={EXPIRY}"),
        format!("sr={sr}&sig={sig}&se={EXPIRY}&skn="),
        format!("sig={sig}&se={EXPIRY}&skn=&sr={sr}"),
    ] {
        let text = format!("SharedAccessSignature {fields}");
        verifies(&text, path);
        assert_eq!(Token::parse(&text).unwrap().policy(), None);
    }
}

#[test]
fn takes_every_encoding_of_a_resource() {
    let id = "a#b%2F:c'(x)";
    let plain = format!("hub.azure-devices.net/devices/{id}");
    let once = encode_component(&plain);
    // C# encodes the id, then the whole.
    let twice = encode_component(&format!(
        "hub.azure-devices.net/devices/{}",
        encode_component(id)
    ));
    let path = format!("/devices/{id}/twin");
    for sr in [
        once.clone(),
        lower_hex(&once),
        once.replace('\'', "%27").replace('(', "%28"),
        twice.clone(),
        lower_hex(&twice),
        plain,
    ] {
        let sig = encode_component(&signature(&sr));
        let text = format!("SharedAccessSignature sr={sr}&sig={sig}&se={EXPIRY}");
        verifies(&text, &path);
    }
}

#[test]
fn takes_every_encoding_of_a_signature() {
    // A resource whose signature has both `/` and `+`.
    let sr = (0..)
        .map(|n| format!("hub.azure-devices.net/devices/d{n}"))
        .find(|sr| signature(sr).contains('/') && signature(sr).contains('+'))
        .unwrap();
    let path = sr.strip_prefix("hub.azure-devices.net").unwrap();
    let raw = signature(&sr);
    let encoded = encode_component(&raw);
    for sig in [raw, lower_hex(&encoded), encoded] {
        let text = format!("SharedAccessSignature sr={sr}&sig={sig}&se={EXPIRY}");
        verifies(&text, path);
    }
}

#[test]
fn a_space_in_the_policy_may_be_a_plus() {
    let check = |skn: &str| {
        let token = format!("SharedAccessSignature sr=h&sig=AA==&se=1&skn={skn}");
        assert_eq!(Token::parse(&token).unwrap().policy(), Some("my policy"));
    };
    check("my+policy");
    check("my%20policy");
}

#[test]
fn takes_the_expiry_as_it_was_signed() {
    let sig = encode_component(&STANDARD.encode(key(1).sign(b"h\n007")));
    let token = Token::parse(&format!("SharedAccessSignature sr=h&sig={sig}&se=007")).unwrap();
    assert!(token.signed_by(&key(1)));
    assert_eq!(token.expiry_unix_s(), 7);
}

#[test]
fn takes_a_signature_by_the_text_of_the_key() {
    use hmac::Mac as _;
    let sr = "sb%3A%2F%2Fhub.azure-devices.net%2Fevents";
    let mut mac =
        hmac::Hmac::<sha2::Sha256>::new_from_slice(key(1).to_base64().as_bytes()).unwrap();
    mac.update(format!("{sr}\n{EXPIRY}").as_bytes());
    let sig = encode_component(&STANDARD.encode(mac.finalize().into_bytes()));
    verifies(
        &format!("SharedAccessSignature sr={sr}&sig={sig}&se={EXPIRY}&skn=iothubowner"),
        "Events/ConsumerGroups/$Default/Partitions/0",
    );
}

#[test]
fn what_was_changed_does_not_verify() {
    let good = sign("h", &key(1), EXPIRY, None);
    let other_expiry = good.replace(&EXPIRY.to_string(), "1795342831");
    let other_resource = good.replace("sr=h", "sr=i");
    for text in [other_expiry, other_resource] {
        assert!(!Token::parse(&text).unwrap().signed_by(&key(1)), "{text}");
    }
    let short = "SharedAccessSignature sr=h&sig=AAAA&se=1";
    assert!(!Token::parse(short).unwrap().signed_by(&key(1)));
}

#[test]
fn covers_whole_segments_only() {
    let check = |resource: &str, path: &str, expected: bool| {
        let token = Token::parse(&sign(resource, &key(1), EXPIRY, None)).unwrap();
        assert_eq!(token.covers(&host(), path), expected, "{resource} {path}");
    };
    let hub = "hub.azure-devices.net";
    // A policy for the whole hub.
    for resource in [
        hub.to_owned(),
        format!("https://{hub}"),
        format!("amqps://{hub}:5671/"),
        "HUB.Azure-Devices.NET".to_owned(),
    ] {
        check(&resource, "/devices/a/twin", true);
        check(&resource, "/", true);
    }
    check(&format!("{hub}/devices"), "/devices/a", true);
    check(&format!("{hub}/devices/a"), "/devices/a", true);
    check(
        &format!("{hub}/devices/a"),
        "devices/a/messages/events",
        true,
    );
    check(&format!("{hub}/Devices/a"), "/devices/a/Twin", true);
    check(&format!("{hub}/devices/a"), "/devices/ab", false);
    check(&format!("{hub}/devices/a"), "/devices/A", false);
    check(&format!("{hub}/devices/a"), "/devices", false);
    check(
        &format!("{hub}/devices/a/modules/m"),
        "/devices/a/modules/m/twin",
        true,
    );
    check(
        &format!("{hub}/devices/a/modules/m"),
        "/devices/a/modules/M/twin",
        false,
    );
    check(
        &format!("{hub}/devices/a/modules/m"),
        "/devices/a/twin",
        false,
    );
    check(&format!("other.{hub}"), "/devices/a", false);
    check("other.net", "/devices/a", false);
    check("/", "/devices/a", false);
    // Event Hubs parts compare without case.
    check(&format!("sb://{hub}/Hub"), "hub/$management", true);
    check(
        &format!("sb://{hub}/hub/consumergroups/$default"),
        "HUB/ConsumerGroups/$Default/Partitions/0",
        true,
    );
    check(
        &format!("sb://{hub}/hub/consumergroups/a"),
        "hub/ConsumerGroups/b",
        false,
    );
    check(
        &format!("{hub}/messages/events"),
        "/messages/Events/$management",
        true,
    );
}

#[test]
fn is_current_until_the_grace_ends() {
    let token = Token::parse(&sign("h", &key(1), 1000, None)).unwrap();
    assert!(token.is_current(1000));
    assert!(token.is_current(1300));
    assert!(!token.is_current(1301));
    let forever = Token::parse(&sign("h", &key(1), u64::MAX, None)).unwrap();
    assert!(forever.is_current(u64::MAX));
}

#[test]
fn what_is_no_token_is_refused_by_name() {
    let check = |text: &str, expected: InvalidToken| {
        assert_eq!(Token::parse(text).unwrap_err(), expected, "{text}");
    };
    check("", InvalidToken::Scheme);
    check("SharedAccessSignature", InvalidToken::Scheme);
    check("Bearer sr=h&sig=AA==&se=1", InvalidToken::Scheme);
    check(
        "SharedAccessSignature sr=h&sig=AA==&se=1 x",
        InvalidToken::Scheme,
    );
    let scheme = |fields: &str| format!("SharedAccessSignature {fields}");
    check(&scheme("sr=h&sig"), InvalidToken::Part { number: 2 });
    check(
        &scheme("sig=AA==&se=1"),
        InvalidToken::Missing { field: "sr" },
    );
    check(
        &scheme("sr=&sig=AA==&se=1"),
        InvalidToken::Missing { field: "sr" },
    );
    check(&scheme("sr=h&se=1"), InvalidToken::Missing { field: "sig" });
    check(
        &scheme("sr=h&sig=AA=="),
        InvalidToken::Missing { field: "se" },
    );
    check(
        &scheme("sr=h&sr=h&sig=AA==&se=1"),
        InvalidToken::Twice { field: "sr" },
    );
    check(
        &scheme("sr=%ff&sig=AA==&se=1"),
        InvalidToken::NotText { field: "sr" },
    );
    check(
        &scheme("sr=h&sig=AA==&se=1&skn=%ff"),
        InvalidToken::NotText { field: "skn" },
    );
    check(&scheme("sr=h&sig=!&se=1"), InvalidToken::Signature);
    for expiry in ["x", "-1", "+1", "1.5", "18446744073709551616"] {
        check(
            &scheme(&format!("sr=h&sig=AA==&se={expiry}")),
            InvalidToken::Expiry,
        );
    }
    let long = scheme(&"x".repeat(TOKEN_MAX_CHARS));
    check(&long, InvalidToken::TooLong { length: long.len() });
}

#[test]
fn debug_shows_no_signature() {
    let token = Token::parse(&sign("h", &key(1), EXPIRY, Some("p"))).unwrap();
    assert_eq!(
        format!("{token:?}"),
        r#"Token { resource: "h", policy: Some("p"), expiry_unix_s: 1795342830, .. }"#
    );
}

proptest! {
    #[test]
    fn our_tokens_verify_for_their_device(id in r"[A-Za-z0-9:.+%_#*?!(),=@;$'-]{1,128}") {
        let id = device(&id);
        let text = sign(&device_resource(&host(), &id, None), &key(1), EXPIRY, None);
        verifies(&text, &format!("/devices/{id}/messages/events"));
    }

    #[test]
    fn never_panics(text in any::<String>()) {
        let _ = Token::parse(&text);
        let _ = Token::parse(&format!("SharedAccessSignature {text}"));
    }
}
