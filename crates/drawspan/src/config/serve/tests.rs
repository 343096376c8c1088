use std::io::Write;

use super::*;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";

fn hub() -> String {
    format!("HostName=hub.example;SharedAccessKeyName=device;SharedAccessKey={KEY}")
}

/// What is enough to run.
fn good() -> ServeArgs {
    ServeArgs {
        listen: "127.0.0.1:0".into(),
        api_key: vec!["key".into()],
        hub_connection_string: Some(hub()),
        request_timeout: "30".into(),
        ..ServeArgs::default()
    }
}

fn check(change: impl FnOnce(&mut ServeArgs), expected: &[&str]) {
    let mut args = good();
    change(&mut args);
    let mistakes = args.check().expect_err("there are mistakes");
    let lines = mistakes.lines();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{line} / {expected}");
    }
}

#[test]
fn the_least_that_is_enough() {
    let config = good().check().unwrap();
    assert_eq!(config.hub.host.as_str(), "hub.example");
    assert_eq!(config.connect_pace, Pace::Learned);
    assert_eq!(config.request_timeout, Duration::from_secs(30));
    assert!(
        config.authorities.is_empty()
            && config.connect.is_empty()
            && config.without_effect.is_empty()
    );
}

#[test]
fn each_mistake_has_its_words() {
    check(
        |args| args.listen = "here".into(),
        &["--listen: `here` is not an IP address"],
    );
    check(|args| args.api_key.clear(), &["--api-key: missing"]);
    check(
        |args| args.api_key.push(String::new()),
        &["--api-key: empty"],
    );
    check(
        |args| args.api_key.push("a b".into()),
        &["--api-key: only visible ASCII"],
    );
    check(
        |args| args.api_key.push("x".repeat(600)),
        &["--api-key: over 512 bytes"],
    );
    check(|args| args.group_key = Some("x".into()), &["--group-key: "]);
    check(
        |args| args.id_scope = Some(String::new()),
        &["--id-scope: empty"],
    );
    check(
        |args| args.dps_endpoint = Some("http://x".into()),
        &["--dps-endpoint: must begin with https://"],
    );
    check(
        |args| args.ca = Some("/no/such/file".into()),
        &["--ca: cannot read /no/such/file"],
    );
    check(
        |args| args.hub_connection_string = None,
        &["--hub-connection-string: missing"],
    );
    check(
        |args| args.hub_connection_string = Some("HostName=h".into()),
        &["--hub-connection-string: "],
    );
    check(
        |args| args.connect = vec!["x".into(), "y=z".into()],
        &["--connect: `x`", "--connect: `z`"],
    );
    check(
        |args| args.connect_rate = Some("-1".into()),
        &["--connect-rate: `-1` is not a whole number from 0"],
    );
    check(
        |args| args.connect_rate = Some("100001".into()),
        &["--connect-rate"],
    );
    check(
        |args| args.request_timeout = "0".into(),
        &["--request-timeout: `0` is not a whole number from 1 to 300"],
    );
    check(
        |args| args.request_timeout = "1.5".into(),
        &["--request-timeout"],
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let everything = |args: &mut ServeArgs| {
        *args = ServeArgs {
            listen: "x".into(),
            connect: vec!["x".into()],
            ..ServeArgs::default()
        };
    };
    check(
        everything,
        &[
            "--listen",
            "--api-key",
            "--hub-connection-string",
            "--connect",
            "--request-timeout",
        ],
    );
}

#[test]
fn dps_without_a_hub_is_not_there_yet() {
    check(
        |args| {
            args.hub_connection_string = None;
            args.id_scope = Some("0ne000".into());
            args.group_key = Some(KEY.into());
        },
        &["not there yet"],
    );
}

#[test]
fn dps_beside_a_hub_is_accepted_and_said_to_have_no_effect() {
    let args = ServeArgs {
        id_scope: Some("0ne000".into()),
        store: Some("s.db".into()),
        ..good()
    };
    assert_eq!(
        args.check().unwrap().without_effect,
        ["--id-scope", "--store"]
    );
}

#[test]
fn no_rate_is_no_limit() {
    let args = ServeArgs {
        connect_rate: Some("0".into()),
        ..good()
    };
    assert_eq!(args.check().unwrap().connect_pace, Pace::Unlimited);
}

#[test]
fn no_secret_is_shown() {
    let args = ServeArgs {
        api_key: vec!["topsecret".into()],
        group_key: Some(KEY.into()),
        ..good()
    };
    let shown = format!("{args:?} {:?}", args.check().unwrap());
    assert!(
        !shown.contains("topsecret") && !shown.contains("MDEy"),
        "{shown}"
    );

    let broken = hub().replace("device", "device;stray-secret");
    let bad = ServeArgs {
        api_key: vec!["top secret".into()],
        group_key: Some("c2VjcmV0".into()),
        ..good()
    };
    let bad = ServeArgs {
        hub_connection_string: Some(broken),
        ..bad
    };
    let shown = bad.check().unwrap_err().to_string();
    assert!(
        !shown.contains("secret") && !shown.contains("MDEy") && !shown.contains("c2Vj"),
        "{shown}"
    );
}

#[test]
fn authorities_must_be_certificates() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_owned();
    let args = ServeArgs {
        ca: Some(path),
        ..good()
    };
    assert!(
        args.check()
            .unwrap_err()
            .to_string()
            .contains("holds no certificate")
    );

    writeln!(
        file,
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"
    )
    .unwrap();
    assert_eq!(args.check().unwrap().authorities.len(), 1);

    writeln!(file, "-----BEGIN CERTIFICATE-----\n!!!").unwrap();
    assert!(args.check().unwrap_err().to_string().contains("is not PEM"));
}
