use std::time::Duration;

use drawspan_fleet::governor::Pace;
use drawspan_hub::Keys;
use drawspan_hub::limits::{HubSize, Rate, Sku};

use super::*;

#[test]
fn the_least_that_is_enough() {
    let config = config(&good());
    assert!(matches!(&config.profile, Profile::Hub { host, policy, .. }
        if host.as_str() == "hub.example" && policy == "device"));
    assert_eq!(config.connect_pace, Pace::Learned);
    assert_eq!(config.dps_pace, Pace::Limited(Rate::per_minute(1_000)));
    assert_eq!(config.request_timeout, Duration::from_secs(30));
    assert_eq!(config.token_life, Duration::from_secs(3_600));
    assert!(config.authorities.is_empty() && config.connect.is_empty());
    assert!(config.state.is_none() && config.proxy.is_none());
}

#[test]
fn defaults_are_those_that_are_told() {
    let loaded = load(&dps(), &no_environment());
    let config = loaded.config.as_ref().unwrap();
    for (key, used) in [
        ("listen", config.listen.to_string()),
        (
            "request_timeout",
            config.request_timeout.as_secs().to_string(),
        ),
        ("token_life", config.token_life.as_secs().to_string()),
        ("dps_rate", "1000".to_owned()),
    ] {
        assert_eq!(effective_of(&loaded, key), (used, "default".to_owned()));
    }
    let Profile::Dps { endpoint, .. } = &config.profile else {
        panic!("{:?}", config.profile)
    };
    assert_eq!(effective_of(&loaded, "dps_endpoint").0, endpoint.as_str());
}

#[test]
fn flags_count_before_variables_before_the_file() {
    let (_folder, mut args) = file(
        "listen = '127.0.0.1:1'\nrequest_timeout = 11\nconnect_rate = 12\n\
         api_key = ['one', 'two']\nid_scope = '0ne000'\ngroup_key = 'MDEyMzQ1Njc4OWFiY2RlZg=='",
    );
    args = args.with("listen", "127.0.0.1:3");
    let variables = environment(&[
        ("DRAWSPAN_LISTEN", "127.0.0.1:2"),
        ("DRAWSPAN_REQUEST_TIMEOUT", "21"),
        ("DRAWSPAN_CONNECT_RATE", ""),
    ]);
    let loaded = load(&args, &variables);
    let check = |key, value: &str, source: &str| {
        let (shown, from) = effective_of(&loaded, key);
        assert_eq!(shown, value, "{key}");
        assert!(from.ends_with(source), "{key}: {from}");
    };
    check("listen", "127.0.0.1:3", "--listen");
    check("request_timeout", "21", "DRAWSPAN_REQUEST_TIMEOUT");
    check("connect_rate", "12", "drawspan.toml:3");
    check("api_key", "*** (2 values)", "drawspan.toml:4");
    check("state", "", "default");
    let config = loaded.config.unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.request_timeout, Duration::from_secs(21));
    assert_eq!(config.connect_pace, Pace::Limited(Rate::per_second(12)));
}

#[test]
fn lists_of_a_higher_source_replace_those_below() {
    let (_folder, args) = file("connect = ['a.example=127.0.0.1:1', 'b.example=127.0.0.1:2']");
    let args = args
        .with("api-key", "k")
        .with("hub-connection-string", &hub("hub.example", KEY));
    assert_eq!(config(&args).connect.len(), 2);
    let variables = environment(&[(
        "DRAWSPAN_CONNECT",
        "c.example=127.0.0.1:3, d.example=127.0.0.1:4,e.example=[::1]:5",
    )]);
    assert_eq!(load(&args, &variables).config.unwrap().connect.len(), 3);
    let args = args.with("connect", "f.example=127.0.0.1:6");
    let found = load(&args, &variables).config.unwrap().connect;
    assert_eq!(found[0].to_string(), "f.example=127.0.0.1:6");
    assert_eq!(found.len(), 1);
}

#[test]
fn secrets_come_from_files_too() {
    let (folder, args) = file("id_scope = '0ne000'\ngroup_key_file = 'secrets/group'");
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    write(folder.path(), "secrets/group", &format!("\n  {KEY}\n\n"));
    write(folder.path(), "keys", "one\n\ntwo\n");
    write(folder.path(), "second", OTHER_KEY);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let args = args.with("api-key-file", &at("keys"));
    let variables = environment(&[("DRAWSPAN_GROUP_KEY_SECONDARY_FILE", &at("second"))]);
    let loaded = load(&args, &variables);
    assert_eq!(effective_of(&loaded, "api_key").1, "--api-key-file");
    let config = loaded.config.unwrap();
    assert_eq!(format!("{:?}", config.api_keys), "ApiKeys(2)");
    let Keys::Group(pair) = config.profile.keys() else {
        panic!("{:?}", config.profile)
    };
    assert_eq!(pair.primary.to_base64(), KEY);
    assert_eq!(pair.secondary.unwrap().to_base64(), OTHER_KEY);
}

#[test]
fn mistakes_in_files_of_secrets_name_file_and_line() {
    let (folder, args) =
        file("id_scope = '0ne000'\ngroup_key_file = 'group'\napi_key_file = 'keys'");
    write(folder.path(), "group", "\n\nno key\n");
    let hash = format!("sha256:{}", "0".repeat(64));
    let keys = format!("good\n\nnot good\n{hash}\n{hash};scopes=all\n{hash};scopes=read\n");
    write(folder.path(), "keys", &keys);
    write(folder.path(), "webhooks", "whsec_\n");
    let webhooks = folder.path().join("webhooks").display().to_string();
    let args = args.with("webhook-secret-file", &webhooks);
    check_mistakes(
        &args,
        &no_environment(),
        &[
            "/keys:3: only visible",
            "/keys:5: scopes are",
            "/keys:6: the same key twice, with different rights, first at ",
            "/group:3: ",
            "/webhooks:1: ",
        ],
    );
    let args = dps()
        .with("api-key", &hash)
        .with("api-key", &format!("{hash};scopes=read"));
    let expected = ["--api-key: the same key twice, with different rights"];
    check_mistakes(&args, &no_environment(), &expected);
}

#[test]
fn paths_in_the_file_are_relative_to_it() {
    let (folder, args) = file("state = 'state'\napi_key = 'k'\nid_scope = 'S'");
    let args = args.with("group-key", KEY);
    assert_eq!(config(&args).state, Some(folder.path().join("state")));
    let args = args.with("state", "elsewhere");
    assert_eq!(config(&args).state, Some("elsewhere".into()));
}

#[test]
fn a_variable_names_the_file() {
    let (folder, _) = file("request_timeout = 7");
    let path = folder.path().join("drawspan.toml").display().to_string();
    let variables = environment(&[("DRAWSPAN_CONFIG", &path)]);
    let loaded = load(&good(), &variables);
    assert_eq!(
        loaded.config.unwrap().request_timeout,
        Duration::from_secs(7)
    );
    let variables = environment(&[("DRAWSPAN_CONFIG", "/no/such/file")]);
    check_mistakes(
        &good(),
        &variables,
        &["DRAWSPAN_CONFIG: cannot read /no/such/file"],
    );
}

#[test]
fn the_usual_variable_names_the_proxy() {
    let check = |variables: &[(&str, &str)], expected: Option<&str>| {
        let found = load(&good(), &environment(variables)).config.unwrap().proxy;
        assert_eq!(
            found.map(|proxy| proxy.to_string()).as_deref(),
            expected,
            "{variables:?}"
        );
    };
    check(&[], None);
    let usual = ("HTTPS_PROXY", "http://p.example:3128");
    check(&[usual], Some("p.example:3128"));
    check(
        &[("https_proxy", "http://q.example:1")],
        Some("q.example:1"),
    );
    check(&[usual, ("NO_PROXY", "*")], None);
    check(&[usual, ("DRAWSPAN_PROXY", "none")], None);
    check(
        &[usual, ("DRAWSPAN_PROXY", "http://u:secret@r.example:2")],
        Some("r.example:2"),
    );
}

#[test]
fn paces_follow_from_rate_and_size() {
    let check = |flags: &[(&str, &str)], expected| {
        let args = flags
            .iter()
            .fold(good(), |args, (flag, value)| args.with(flag, value));
        assert_eq!(config(&args).connect_pace, expected, "{flags:?}");
    };
    let size = HubSize::new(Sku::S2, 3).unwrap();
    check(&[("hub-size", "S2x3")], Pace::of(size));
    check(&[("hub-size", "s2 X 3")], Pace::of(size));
    check(&[("hub-size", "S1")], Pace::of(HubSize::S1));
    check(&[("connect-rate", "0")], Pace::Unlimited);
    check(
        &[("hub-size", "S2x3"), ("connect-rate", "7")],
        Pace::Limited(Rate::per_second(7)),
    );
    let args = dps().with("dps-rate", "0");
    assert_eq!(config(&args).dps_pace, Pace::Unlimited);
    let args = dps().with("dps-rate", "60");
    assert_eq!(config(&args).dps_pace, Pace::Limited(Rate::per_minute(60)));
    assert_eq!(config(&args).hub_gone_after.as_secs(), 900);
    let args = dps().with("hub-gone-after", "60");
    assert_eq!(config(&args).hub_gone_after.as_secs(), 60);
}

#[test]
fn misspelt_variables_are_noted_and_those_of_platforms_are_not() {
    let variables = environment(&[
        ("DRAWSPAN_GROUPKEY", "x"),
        ("DRAWSPAN_SERVICE_HOST", "10.0.0.1"),
        ("DRAWSPAN_PORT_5001_TCP", "tcp://10.0.0.1:5001"),
        ("DRAWSPAN_LOG", "info"),
    ]);
    assert_eq!(
        load(&good(), &variables).notes,
        ["DRAWSPAN_GROUPKEY is no setting; did you mean DRAWSPAN_GROUP_KEY?"]
    );
}
