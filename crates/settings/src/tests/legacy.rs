//! Settings of the bridge that Drawspan replaces.

use drawspan_fleet::governor::Pace;
use drawspan_hub::limits::{HubSize, Rate};

use super::*;
use crate::GuardMode;
use crate::check::load_with;
use crate::vault::Ask;

const SECRETS: [(&str, &str); 3] = [
    ("iotc-id-scope", "0ne000"),
    ("iotc-sas-key", KEY),
    ("apiKey", "key"),
];

fn of(variables: &[(&str, &str)]) -> Loaded {
    load(&ServeArgs::default(), &environment(variables))
}

fn check(loaded: &Loaded, key: &str, value: &str, source: &str) {
    let (shown, from) = effective_of(loaded, key);
    assert_eq!(shown, value, "{key}");
    assert!(from.ends_with(source), "{key}: {from}");
}

#[test]
fn its_variables_are_enough() {
    let mut variables = SECRETS.to_vec();
    variables.extend([
        ("PORT", "8080"),
        ("MAX_POOL_SIZE", "50"),
        ("DEVICE_CONNECTION_BATCH_SIZE", "75"),
        ("DEVICE_CONNECTION_BATCH_INTERVAL_MS", "500"),
        ("HTTP_RETRY_LIMIT", "3"),
        ("sql-server", "x"),
        ("iotc-encryption-key", "hunter"),
    ]);
    let loaded = of(&variables);
    check(&loaded, "listen", "0.0.0.0:8080", "PORT");
    check(&loaded, "max_connections", "50", "MAX_POOL_SIZE");
    check(
        &loaded,
        "max_connect_rate",
        "150",
        "DEVICE_CONNECTION_BATCH_SIZE",
    );
    check(&loaded, "http_retry_limit", "3", "HTTP_RETRY_LIMIT");
    check(&loaded, "id_scope", "0ne000", "iotc-id-scope");
    check(&loaded, "group_key", "***", "iotc-sas-key");
    check(&loaded, "api_key", "***", "apiKey");
    let notes = loaded.notes.join("\n");
    for part in [
        "sql-server is not used",
        "--key VERSION=SECRET",
        "may point to loopback",
    ] {
        assert!(notes.contains(part), "{notes}");
    }
    assert!(!notes.contains("hunter"), "{notes}");
    let config = loaded.config.unwrap();
    assert_eq!(
        config.connect_pace,
        Pace::LearnedUpTo(Rate::per_second(150))
    );
    assert_eq!(config.max_connections, Some(50));
    assert_eq!(config.webhooks.guard, GuardMode::Permissive);
}

#[test]
fn shells_spell_them_in_capitals() {
    let variables = [
        ("IOTC_ID_SCOPE", "0ne000"),
        ("IOTC_SAS_KEY", KEY),
        ("API_KEY", "key"),
    ];
    let loaded = of(&variables);
    check(&loaded, "id_scope", "0ne000", "IOTC_ID_SCOPE");
    check(&loaded, "api_key", "***", "API_KEY");
    assert!(loaded.config.is_ok());
}

#[test]
fn our_own_settings_count_before_it() {
    let mut variables = SECRETS.to_vec();
    variables.extend([
        ("PORT", "1"),
        ("DRAWSPAN_HTTP_RETRY_LIMIT", "7"),
        ("HTTP_RETRY_LIMIT", "3"),
    ]);
    let args = ServeArgs::default().with("listen", "127.0.0.1:2");
    let loaded = load(&args, &environment(&variables));
    check(&loaded, "listen", "127.0.0.1:2", "--listen");
    check(
        &loaded,
        "http_retry_limit",
        "7",
        "DRAWSPAN_HTTP_RETRY_LIMIT",
    );
    // Another way to get identities is not mixed with it.
    let loaded = load(&good(), &environment(&variables));
    check(&loaded, "id_scope", "", "default");
    assert!(loaded.config.is_ok());
}

#[test]
fn names_that_others_use_too_say_nothing_of_callbacks() {
    let variables = [
        ("PORT", "80"),
        ("API_KEY", "k"),
        ("HTTP_RETRY_LIMIT", "3"),
        ("SQL_SERVER", "x"),
    ];
    let loaded = load(&good(), &environment(&variables));
    assert_eq!(loaded.notes, [""; 0]);
    let config = loaded.config.unwrap();
    assert_eq!(config.webhooks.guard, GuardMode::Strict);
    assert_eq!(config.listen.port(), 0);
}

#[test]
fn its_secrets_lie_in_files_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in SECRETS {
        write(folder.path(), name, &format!("{value}\n"));
    }
    let directory = folder.path().display().to_string();
    let loaded = of(&[
        ("DRAWSPAN_SECRETS_DIR", &directory),
        ("IOTC_ID_SCOPE", "0ne001"),
    ]);
    check(&loaded, "id_scope", "0ne001", "IOTC_ID_SCOPE");
    check(&loaded, "group_key", "***", "/iotc-sas-key");
    check(&loaded, "api_key", "***", "/apiKey");
    assert!(loaded.config.is_ok());

    let empty = tempfile::tempdir().unwrap();
    let args = good().with("secrets-dir", &empty.path().display().to_string());
    let notes = load(&args, &no_environment()).notes.join("\n");
    assert!(notes.contains("has none of iotc-id-scope"), "{notes}");
    let args = good().with("secrets-dir", "/no/such/folder");
    check_mistakes(
        &args,
        &no_environment(),
        &["--secrets-dir: /no/such/folder is not a directory"],
    );
}

#[test]
fn its_mistakes_are_named() {
    let check = |name: &str, value: &str, expected: &[&str]| {
        check_mistakes(&good(), &environment(&[(name, value)]), expected);
    };
    check(
        "DEVICE_CONNECTION_BATCH_SIZE",
        "0",
        &["DEVICE_CONNECTION_BATCH_SIZE: not a whole"],
    );
    check("MAX_POOL_SIZE", "many", &["MAX_POOL_SIZE: "]);
    let variables = [("PORT", "http")];
    let without_listen = ServeArgs::default()
        .with("api-key", "key")
        .with("hub-connection-string", &hub("hub.example", KEY));
    check_mistakes(&without_listen, &environment(&variables), &["PORT: "]);
}

/// Holds all secrets at one address, nothing at another, and cannot be read elsewhere.
fn vault(ask: &Ask<'_>) -> Result<Vec<Option<String>>, String> {
    let of = |name: &&str| {
        let found = SECRETS.into_iter().find(|(known, _)| known == name)?;
        Some(format!("{}\n", found.1))
    };
    match ask.url {
        "https://v" => Ok(ask.names.iter().map(of).collect()),
        "https://empty" => Ok(vec![None; ask.names.len()]),
        _ => Err(format!("asked for {}", ask.names.join(" "))),
    }
}

#[test]
fn a_vault_fills_what_is_missing() {
    let variables = environment(&[("KV_URL", "https://v"), ("API_KEY", "other")]);
    let loaded = load_with(&ServeArgs::default(), &variables, vault);
    check(&loaded, "id_scope", "0ne000", "KV_URL/iotc-id-scope");
    check(&loaded, "api_key", "***", "API_KEY");
    assert_eq!(loaded.config.unwrap().webhooks.guard, GuardMode::Permissive);

    let variables = environment(&[("KV_URL", "https://empty")]);
    let loaded = load_with(&good(), &variables, vault);
    assert!(loaded.config.is_ok());
    let loaded = load_with(&ServeArgs::default(), &variables, vault);
    let notes = loaded.notes.join("\n");
    let note = "the vault has none of iotc-id-scope, iotc-sas-key, apiKey";
    assert!(notes.contains(note), "{notes}");
    assert_eq!(loaded.config.unwrap_err().lines().len(), 2);
}

#[test]
fn a_vault_is_asked_for_what_nothing_else_gives() {
    let check = |args: ServeArgs, variables: &[(&str, &str)], expected: Option<&str>| {
        let mut variables = variables.to_vec();
        variables.push(("KV_URL", "https://w"));
        let loaded = load_with(&args, &environment(&variables), vault);
        // Nor is anything called missing that may lie there.
        let lines = match &loaded.config {
            Ok(_) => &[],
            Err(mistakes) => mistakes.lines(),
        };
        let expected = expected.map(|names| format!("KV_URL: asked for {names}"));
        assert_eq!(lines, expected.as_slice(), "{variables:?}");
    };
    let all = "iotc-id-scope iotc-sas-key apiKey";
    let empty = ServeArgs::default;
    check(empty(), &[], Some(all));
    check(
        empty(),
        &[("API_KEY", "k")],
        Some("iotc-id-scope iotc-sas-key"),
    );
    check(
        empty(),
        &[("DRAWSPAN_API_KEY", "k")],
        Some("iotc-id-scope iotc-sas-key"),
    );
    check(
        empty().with("id-scope", "0ne000"),
        &[],
        Some("iotc-sas-key apiKey"),
    );
    check(dps(), &[], None);
    // Devices with another identity need no DPS.
    let hub = hub("hub.example", KEY);
    check(
        empty().with("hub-connection-string", &hub),
        &[],
        Some("apiKey"),
    );
    check(good(), &[], None);
}

#[test]
fn a_vault_is_asked_on_the_way_that_is_configured() {
    fn vault(ask: &Ask<'_>) -> Result<Vec<Option<String>>, String> {
        let (way, routes) = (&ask.way, &ask.way.routes);
        let proxy = way.proxy.as_ref().map(ToString::to_string);
        let hosts: Vec<_> = routes.iter().map(|route| route.host.as_str()).collect();
        Err(format!("{proxy:?} {hosts:?} {}", way.authorities.len()))
    }
    let check = |args: ServeArgs, variables: &[(&str, &str)], expected: &str| {
        let mut variables = variables.to_vec();
        variables.push(("KV_URL", "https://v"));
        let loaded = load_with(&args, &environment(&variables), vault);
        assert_eq!(loaded.config.unwrap_err().lines(), [expected]);
    };
    let (folder, from_file) = file("ca = 'ca.pem'\nconnect = ['v.test=127.0.0.1:1']\n");
    let made = rcgen::generate_simple_self_signed(["v.test".to_owned()]).unwrap();
    write(folder.path(), "ca.pem", &made.cert.pem());
    let proxy = [("HTTPS_PROXY", "http://u:hunter2@proxy:8080")];
    check(ServeArgs::default(), &[], "KV_URL: None [] 0");
    check(
        from_file,
        &proxy,
        "KV_URL: Some(\"proxy:8080\") [\"v.test\"] 1",
    );
    let none = ServeArgs::default().with("proxy", "none");
    check(none, &proxy, "KV_URL: None [] 0");
    // It is not asked on a way that is not the one that was meant.
    let wrong = "--proxy: only proxies of the form http://host:port are supported";
    check(ServeArgs::default().with("proxy", "socks://p"), &[], wrong);
}

#[test]
fn the_most_bounds_every_pace() {
    let check = |flags: &[(&str, &str)], expected| {
        let args = good().with("max-connect-rate", "50");
        let args = flags
            .iter()
            .fold(args, |args, (flag, value)| args.with(flag, value));
        assert_eq!(config(&args).connect_pace, expected, "{flags:?}");
    };
    let fifty = Rate::per_second(50);
    check(&[], Pace::LearnedUpTo(fifty));
    check(&[("connect-rate", "0")], Pace::Limited(fifty));
    check(&[("connect-rate", "7")], Pace::Limited(Rate::per_second(7)));
    check(&[("connect-rate", "70")], Pace::Limited(fifty));
    check(&[("hub-size", "S1")], Pace::Limited(fifty));
    assert!(HubSize::S1.connections().per_minute > fifty.per_minute);
}
