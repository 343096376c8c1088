use super::words::parse;
use super::*;

fn body(words: &str) -> NewFault {
    let words: Vec<&str> = words.split(' ').collect();
    let call = parse(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    serde_json::from_slice(&call.body).unwrap()
}

#[test]
fn words_mean_what_they_say() {
    let check = |words: &str, expected: &str| {
        let expected: NewFault = serde_json::from_str(expected).unwrap();
        assert_eq!(body(words), expected, "{words}");
    };
    check("drop sensor-1", r#"{"kind":"drop","device":"sensor-1"}"#);
    check("drop all", r#"{"kind":"drop"}"#);
    check(
        "drop hub a.test connection",
        r#"{"kind":"drop","hub":"a.test","how":"connection"}"#,
    );
    check(
        "refuse connects 30s code 503",
        r#"{"kind":"refuse","operation":"connects","durationMs":30000,"code":503001}"#,
    );
    check(
        "refuse renewals all share 10%",
        r#"{"kind":"refuse","operation":"renewals","share":10}"#,
    );
    check(
        "throttle d2c sensor-1 10s",
        r#"{"kind":"refuse","operation":"d2c","device":"sensor-1","durationMs":10000,"code":429001}"#,
    );
    check(
        "slow d2c 500ms 60s",
        r#"{"kind":"slow","operation":"d2c","delayMs":500,"durationMs":60000}"#,
    );
    check(
        "stall device 30s 1m",
        r#"{"kind":"stall","device":"30s","durationMs":60000}"#,
    );
    check("steal a", r#"{"kind":"steal","device":"a"}"#);
    check(
        "detach a telemetry",
        r#"{"kind":"detach","device":"a","part":"telemetry"}"#,
    );
    check(
        "detach telemetry device telemetry",
        r#"{"kind":"detach","device":"telemetry","part":"telemetry"}"#,
    );
}

#[test]
fn other_words_are_mistakes() {
    for words in [
        "fly",
        "drop",
        "drop a b",
        "drop a 10s",
        "throttle d2c 0s",
        "throttle d2c 1.5s",
        "drop all hub a.test",
        "refuse",
        "refuse everything",
        "refuse d2c code",
        "refuse d2c code 7",
        "refuse d2c share 0%",
        "throttle d2c code 503",
        "slow connects 1s",
        "slow d2c",
        "slow d2c soon",
        "stall",
        "steal",
        "steal hub a.test",
        "detach a",
        "detach a everything",
        "off now",
    ] {
        let split: Vec<&str> = words.split(' ').collect();
        assert!(parse(&split).is_err(), "{words}");
    }
}
