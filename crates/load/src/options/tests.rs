use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: LoadArgs,
}

fn checked(flags: &str) -> Result<Load, Mistakes> {
    let words = std::iter::once("load").chain(flags.split_whitespace());
    Cli::try_parse_from(words)
        .unwrap()
        .args
        .check(1_700_000_000)
}

#[test]
fn defaults_are_a_short_run() {
    let load = checked("").unwrap();
    assert_eq!(
        (load.authority.as_str(), load.base_path.as_str()),
        ("127.0.0.1:5001", "")
    );
    assert_eq!(
        (load.duration, load.messages, load.rate),
        (Some(DEFAULT_DURATION), None, None)
    );
    assert_eq!(load.timeout, Duration::from_secs(31));
    assert_eq!(load.first_id, 1_700_000_000_000_000);
}

#[test]
fn messages_alone_have_no_time_limit() {
    let load = checked("--messages 5 --rate 2.5 --url http://[::1]/base/").unwrap();
    assert_eq!(
        (load.duration, load.messages, load.rate),
        (None, Some(5), Some(2.5))
    );
    assert_eq!(
        (load.authority.as_str(), load.base_path.as_str()),
        ("[::1]:80", "/base")
    );
}

#[test]
fn mistakes_are_named_together() {
    let check = |flags: &str, expected: &[&str]| {
        let mistakes = checked(flags).unwrap_err();
        let found: Vec<_> = mistakes
            .lines()
            .iter()
            .map(|line| line.split(':').next().unwrap())
            .collect();
        assert_eq!(found, expected, "{flags}");
    };
    check("--url https://x", &["--url"]);
    check("--url x", &["--url"]);
    check("--url http://u@x", &["--url"]);
    check("--rate 0", &["--rate"]);
    check(
        "--rate fast --devices 0 --connections 0",
        &["--rate", "--devices", "--connections"],
    );
    check("--device-prefix a/b", &["--device-prefix"]);
    check(
        "--duration 0 --messages 0 --timeout 0",
        &["--timeout", "--duration", "--messages"],
    );
    check("--body-bytes 9999999", &["--body-bytes"]);
}
