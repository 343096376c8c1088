use super::*;

fn check(flags: &[(&str, &str)], expected: &[&str]) {
    let args = flags
        .iter()
        .fold(good(), |args, (flag, value)| args.with(flag, value));
    check_mistakes(&args, &no_environment(), expected);
}

/// `good()` with another value for its flag.
fn instead(flag: &str, value: &str) -> ServeArgs {
    let all = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("api-key", "key".to_owned()),
        ("hub-connection-string", hub("hub.example", KEY)),
    ];
    all.iter()
        .map(|(known, usual)| {
            (
                *known,
                if *known == flag {
                    value
                } else {
                    usual.as_str()
                },
            )
        })
        .fold(ServeArgs::default(), |args, (flag, value)| {
            args.with(flag, value)
        })
}

#[test]
fn each_mistake_has_its_words() {
    let replaced = |flag: &str, value: &str, expected: &str| {
        check_mistakes(&instead(flag, value), &no_environment(), &[expected]);
    };
    replaced("listen", "here", "--listen: `here` is not an IP address");
    replaced("api-key", "", "--api-key: empty");
    replaced("api-key", "a b", "--api-key: only visible ASCII");
    replaced("api-key", &"x".repeat(600), "--api-key: over 512 bytes");
    replaced(
        "hub-connection-string",
        "HostName=h",
        "--hub-connection-string: ",
    );
    check(
        &[("request-timeout", "0")],
        &["--request-timeout: `0` is not a whole number from 1 to 300"],
    );
    check(&[("request-timeout", "1.5")], &["--request-timeout"]);
    check(
        &[("ca", "/no/such/file")],
        &["--ca: cannot read /no/such/file"],
    );
    check(
        &[("connect", "x"), ("connect", "y=z")],
        &["--connect: `x`", "--connect: `z`"],
    );
    check(
        &[("connect-rate", "-1")],
        &["--connect-rate: `-1` is not a whole number from 0"],
    );
    check(&[("connect-rate", "100001")], &["--connect-rate"]);
    check(&[("dps-rate", "x")], &["--dps-rate"]);
    check(&[("hub-gone-after", "59")], &["--hub-gone-after"]);
    check(
        &[("hub-size", "S4")],
        &["--hub-size: `S4` is not an edition"],
    );
    check(&[("hub-size", "S1xx")], &["--hub-size"]);
    check(
        &[("hub-size", "S3x11")],
        &["--hub-size: S3 hubs have 1 to 10 units, not 11"],
    );
    check(
        &[
            ("allow-callbacks", "10.0.0.1/8"),
            ("allow-callbacks", "http://x"),
            ("allow-callbacks", "169.254.169.254"),
            ("allow-callbacks", "fd00::/8"),
        ],
        &[
            "--allow-callbacks: `10.0.0.1/8` has bits set beyond its prefix; the range begins at 10.0.0.0",
            "--allow-callbacks: `http://x` is neither an address",
            "--allow-callbacks: `169.254.169.254` are link-local",
        ],
    );
    check(
        &[
            ("webhook-secret", "tooshort"),
            ("webhook-secret", "whsec_AAAA"),
        ],
        &[
            "--webhook-secret: a webhook secret begins with whsec_",
            "--webhook-secret: a webhook secret is 24 to 64 bytes, and this is 3",
        ],
    );
    check(
        &[("transport", "mqtt")],
        &["--transport: `mqtt` is neither amqps nor websocket"],
    );
    check(&[("proxy", "https://p:1")], &["--proxy: "]);
    check(
        &[("token-life", "59")],
        &["--token-life: `59` is not a whole number from 60 to 86400"],
    );
    check(&[("state", "")], &["--state: empty"]);
    check(
        &[(
            "hub-connection-string-secondary",
            &hub("other.example", KEY),
        )],
        &["--hub-connection-string-secondary: names another hub or policy"],
    );
}

#[test]
fn the_state_directory_is_no_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    check(
        &[("state", &file.path().display().to_string())],
        &["is not a directory"],
    );
}

#[test]
fn dps_has_its_own_mistakes() {
    let check = |flags: &[(&str, &str)], expected: &[&str]| {
        let args = ServeArgs::default().with("api-key", "k");
        let args = flags
            .iter()
            .fold(args, |args, (flag, value)| args.with(flag, value));
        check_mistakes(&args, &no_environment(), expected);
    };
    let scope = ("id-scope", "0ne000");
    let key = ("group-key", KEY);
    check(&[scope], &["--group-key: missing"]);
    check(&[key], &["--id-scope: missing"]);
    check(
        &[("dps-endpoint", "x")],
        &["--id-scope: missing", "--group-key: missing"],
    );
    check(&[("id-scope", ""), key], &["--id-scope: empty"]);
    check(
        &[("id-scope", "a/b"), key],
        &["--id-scope: not an id scope"],
    );
    check(&[scope, ("group-key", "x")], &["--group-key: "]);
    check(
        &[scope, key, ("group-key-secondary", "x")],
        &["--group-key-secondary: "],
    );
    check(
        &[scope, key, ("dps-endpoint", "http://x")],
        &["--dps-endpoint: must begin with https://"],
    );
    check(
        &[scope, key, ("dps-endpoint", "x:8443")],
        &["--dps-endpoint: DPS is spoken to on port 443"],
    );
    check(
        &[scope, key, ("dps-endpoint", "a_b")],
        &["--dps-endpoint: invalid host name"],
    );
    let args = dps().with("dps-endpoint", "https://DPS.example:443/");
    let Profile::Dps { endpoint, .. } = config(&args).profile else {
        panic!("not DPS")
    };
    assert_eq!(endpoint.as_str(), "dps.example");
}

#[test]
fn exactly_one_profile() {
    let args = ServeArgs::default().with("api-key", "k");
    check_mistakes(
        &args,
        &no_environment(),
        &["missing; say how devices connect"],
    );
    let variables = environment(&[("DRAWSPAN_ID_SCOPE", "S")]);
    check_mistakes(
        &good().with("group-key", KEY),
        &variables,
        &[
            "DRAWSPAN_ID_SCOPE: devices connect in one way only, and several are given: DPS (DRAWSPAN_ID_SCOPE), one hub (--hub-connection-string)",
        ],
    );
    check_mistakes(
        &ServeArgs::default()
            .with("api-key", "k")
            .with("hub-connection-string-secondary", &hub("h.example", KEY)),
        &no_environment(),
        &["the first connection string is missing"],
    );
}

#[test]
fn one_source_gives_a_value_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    let args = dps().with("group-key-file", &file.path().display().to_string());
    check_mistakes(
        &args,
        &no_environment(),
        &["--group-key: also given by --group-key-file; one is enough"],
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let args = ServeArgs::default()
        .with("listen", "x")
        .with("connect", "x")
        .with("request-timeout", "x");
    check_mistakes(
        &args,
        &no_environment(),
        &[
            "--listen",
            "--api-key",
            "--request-timeout",
            "say how devices connect",
            "--connect",
        ],
    );
}

#[test]
fn no_secret_is_shown() {
    let args = dps()
        .with("api-key", "topsecret")
        .with("group-key-secondary", OTHER_KEY)
        .with("proxy", "http://me:topsecret@proxy.example:1");
    let loaded = load(&args, &no_environment());
    let shown = format!(
        "{args:?} {loaded:?} {} {}",
        table(&loaded.effective),
        loaded.config.as_ref().unwrap().profile
    );
    let secrets = ["topsecret", "MDEy", "ZmVk"];
    assert!(
        !secrets.iter().any(|secret| shown.contains(secret)),
        "{shown}"
    );

    let args = ServeArgs::default()
        .with("api-key", "top s3cret")
        .with("group-key", "c2VjcmV0")
        .with("proxy", "socks://me:s3cret@p:1")
        .with(
            "hub-connection-string",
            &hub("h.example", KEY).replace("device", "device;stray-s3cret"),
        );
    let loaded = load(&args, &no_environment());
    let shown = format!(
        "{} {}",
        table(&loaded.effective),
        loaded.config.unwrap_err()
    );
    let secrets = ["s3cret", "MDEy", "c2Vj"];
    assert!(
        !secrets.iter().any(|secret| shown.contains(secret)),
        "{shown}"
    );
}

#[test]
fn a_certificate_that_cannot_be_used_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write(folder.path(), "cert", &made.cert.pem());
    write(folder.path(), "key", &made.signing_key.serialize_pem());
    let with = |cert: &str, key: &str| good().with("tls-cert", &at(cert)).with("tls-key", &at(key));
    let used = config(&with("cert", "key")).tls;
    assert_eq!(used, Some((at("cert").into(), at("key").into())));
    let check = |args: &ServeArgs, expected| check_mistakes(args, &no_environment(), &[expected]);
    check(&with("cert", "cert"), "--tls-cert: ");
    check(&with("cert", "gone"), "--tls-cert: cannot read");
    check(&good().with("tls-cert", &at("cert")), "--tls-key: missing");
    check(&good().with("tls-key", &at("key")), "--tls-cert: missing");
    let check = |args: &ServeArgs, expected| check_mistakes(args, &no_environment(), expected);
    let alone = |flag| good().with(flag, &at("gone"));
    check(
        &alone("tls-cert"),
        &["--tls-cert: cannot read", "--tls-key: missing"],
    );
    check(
        &alone("tls-key"),
        &["--tls-key: cannot read", "--tls-cert: missing"],
    );
}
