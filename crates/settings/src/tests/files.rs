use super::*;

fn check(text: &str, expected: &[&str]) {
    let (_folder, args) = file(text);
    let args = args
        .with("api-key", "k")
        .with("hub-connection-string", &hub("hub.example", KEY));
    check_mistakes(&args, &no_environment(), expected);
}

#[test]
fn unknown_keys_are_mistakes_with_a_suggestion() {
    check(
        "listen = '127.0.0.1:1'\n\nrequest-timeout = 30\ngroup_kee = 'x'\ncolour = 'red'\n[dps]\nid_scope = 'x'",
        &[
            "drawspan.toml:5: unknown setting `colour`; docs/operate.md",
            "drawspan.toml:6: unknown table `dps`; all settings stand at the top level",
            "drawspan.toml:4: unknown setting `group_kee`; did you mean `group_key`?",
            "drawspan.toml:3: unknown setting `request-timeout`; did you mean `request_timeout`?",
        ],
    );
}

#[test]
fn wrong_types_are_mistakes() {
    check(
        "request_timeout = true\nlisten = ['127.0.0.1:1']\nstate = 1979-05-27\ntoken_life = 99999999999999999999",
        &[
            "drawspan.toml:2: `listen` must be a text or a number, not a list",
            "drawspan.toml:1: `request_timeout` must be a text or a number, not true or false",
            "drawspan.toml:3: `state` must be a text or a number, not a date",
            "drawspan.toml:4: `token_life` is too large",
        ],
    );
    check(
        "connect = [['x']]",
        &["drawspan.toml:1: `connect` must be a text or a number, not a list"],
    );
}

#[test]
fn secrets_are_texts() {
    let (_folder, args) = file(
        "api_key = [5, '6']\ngroup_key = 1_000\ngroup_key_secondary = 1.50\nwebhook_secret_file = 7\nid_scope = '0ne'",
    );
    let mistakes = load(&args, &no_environment()).config.unwrap_err();
    for expected in [
        "drawspan.toml:1: `api_key` must be a text, in quotes, not a number",
        "drawspan.toml:2: `group_key` must be",
        "drawspan.toml:3: `group_key_secondary` must be",
        "drawspan.toml:4: `webhook_secret_file` must be",
    ] {
        let named = mistakes.lines().iter().any(|line| line.contains(expected));
        assert!(named, "{expected}: {mistakes}");
    }
}

#[test]
fn values_are_checked_with_their_line() {
    check(
        "\nrequest_timeout = 0x1_000\nconnect_rate = 1.5",
        &[
            "drawspan.toml:2: `4096` is not a whole number from 1 to 300",
            "drawspan.toml:3: `1.5` is not a whole number from 0",
        ],
    );
}

#[test]
fn broken_toml_names_its_lines_and_quotes_nothing() {
    let (_folder, args) =
        file("listen = '127.0.0.1:1'\ngroup_key = 'hunter\nid_scope = = hunter\n");
    let mistakes = load(&args, &no_environment()).config.unwrap_err();
    let text = mistakes.to_string();
    assert!(
        text.contains("drawspan.toml:2: ") && text.contains("drawspan.toml:3: "),
        "{text}"
    );
    assert!(!text.contains("hunter"), "{text}");
}

#[test]
fn a_key_that_is_there_twice_is_a_mistake() {
    let (_folder, args) = file("listen = '127.0.0.1:1'\nlisten = '127.0.0.1:2'\n");
    let mistakes = load(&args, &no_environment()).config.unwrap_err();
    assert!(
        mistakes.lines()[0].contains("drawspan.toml:2: duplicate key"),
        "{mistakes}"
    );
}

#[test]
fn files_that_cannot_be_read_are_mistakes() {
    let (folder, args) = file("");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(folder.path().join("binary"), [b'k', 0xff]).unwrap();
    write(folder.path(), "empty", "\n \n");
    write(folder.path(), "long", &"x".repeat(70_000));
    write(folder.path(), "two", "a\nb");
    let args = args
        .with("api-key-file", &at("empty"))
        .with("id-scope", "S")
        .with("group-key-file", &at("two"))
        .with("group-key-secondary-file", &at("long"))
        .with("hub-connection-string-file", &at("binary"))
        .with("hub-connection-string-secondary-file", &at("none"));
    let mistakes = load(&args, &no_environment()).config.unwrap_err();
    let text = mistakes.to_string();
    for expected in [
        "--api-key-file: ",
        "empty must hold values, one per line,",
        "two must hold one line and nothing else",
        "long is over 65536 bytes",
        "binary is not UTF-8 text",
        "--hub-connection-string-secondary-file: cannot read",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn nothing_is_called_missing_that_may_stand_in_a_file_that_cannot_be_read() {
    let (folder, mut args) = file("group_key = 'x\n");
    let mistakes = load(&args, &no_environment()).config.unwrap_err();
    assert!(!mistakes.to_string().contains("missing"), "{mistakes}");
    args.config = Some(folder.path().join("none"));
    let args = args.with("id-scope", "S").with("request-timeout", "0");
    let expected = ["--config: cannot read", "--request-timeout: "];
    check_mistakes(&args, &no_environment(), &expected);
}

#[test]
fn a_secret_whose_file_cannot_be_used_is_not_called_missing_as_well() {
    let check = |setting: &str, content: Option<&str>, expected: &str| {
        let (folder, args) = file(&format!("{setting} = 'secret'\nid_scope = 'S'"));
        if let Some(content) = content {
            write(folder.path(), "secret", content);
        }
        let given = match setting {
            "api_key_file" => ("group-key", KEY),
            _ => ("api-key", "k"),
        };
        let args = args.with(given.0, given.1);
        check_mistakes(&args, &no_environment(), &[expected]);
    };
    for setting in ["api_key_file", "group_key_file"] {
        check(setting, None, "drawspan.toml:1: cannot read");
        check(setting, Some(" \n"), "must hold");
    }
}

#[test]
fn authorities_must_be_certificates() {
    let (folder, args) = file("ca = 'ca.pem'");
    let args = args
        .with("api-key", "k")
        .with("hub-connection-string", &hub("hub.example", KEY));
    let check = |text: &str, expected: &str| {
        write(folder.path(), "ca.pem", text);
        check_mistakes(&args, &no_environment(), &[expected]);
    };
    check("", "drawspan.toml:1: ");
    check("", "holds no certificate");
    let certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    check(
        &format!("{certificate}-----BEGIN CERTIFICATE-----\n!!!"),
        "is not PEM",
    );
    write(folder.path(), "ca.pem", certificate);
    assert_eq!(config(&args).authorities.len(), 1);
}

#[test]
fn the_reference_in_the_documentation_is_current() {
    let document = include_str!("../../../../docs/operate.md");
    let (_, rest) = document.split_once(reference::BEGIN).unwrap();
    let (found, _) = rest.split_once(reference::END).unwrap();
    assert_eq!(
        found.trim(),
        reference::markdown().trim(),
        "write the output of `drawspan config reference` between the marks in docs/operate.md"
    );
}
