use clap::Parser;

use super::*;
use crate::options::{Load, LoadArgs};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: LoadArgs,
}

const HUB: &str = "--hub-connection-string HostName=h.test;SharedAccessKeyName=service;SharedAccessKey=AAAAAAAAAAAAAAAAAAAAAA==";

fn checked(flags: &str) -> Result<Load, Mistakes> {
    let words = std::iter::once("load").chain(flags.split_whitespace());
    Cli::try_parse_from(words).unwrap().args.check(1)
}

fn downlink(flags: &str) -> Downlink {
    checked(&format!("{HUB} {flags}"))
        .unwrap()
        .downlink
        .unwrap()
}

#[test]
fn what_the_rates_need_is_subscribed_to() {
    use SubscriptionType::{C2dMessages, ConnectionStatus, Methods};
    assert!(checked("--rate 5").unwrap().downlink.is_none());
    assert_eq!(downlink("--c2d-rate 5").subscribe, [C2dMessages]);
    let both = downlink("--c2d-rate 5 --method-rate 0.5");
    assert_eq!(both.subscribe, [C2dMessages, Methods]);
    let none = downlink("--method-rate 5 --subscribe none --receive 127.0.0.1:9");
    assert!(none.subscribe.is_empty());
    assert_eq!(none.waited(), [Methods]);
    // Nothing is sent, so that no policy is needed.
    let only = checked("--subscribe status,c2d").unwrap().downlink.unwrap();
    assert_eq!(only.subscribe, [ConnectionStatus, C2dMessages]);
    assert_eq!(only.waited(), [C2dMessages], "a status has no status");
    assert!(only.service.is_none());
    assert_eq!(downlink("--subscribe all").subscribe.len(), 4);
}

#[test]
fn mistakes_are_named_together() {
    let mistakes = |flags: &str| {
        let mistakes = checked(flags).unwrap_err();
        let name = |line: &String| line.split(':').next().unwrap().to_owned();
        mistakes.lines().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(
        mistakes("--c2d-rate 0 --bad-share 101 --method-timeout 4"),
        [
            "--c2d-rate",
            "--bad-share",
            "--method-timeout",
            "--hub-connection-string"
        ]
    );
    assert_eq!(mistakes("--subscribe c2d,all"), ["--subscribe"]);
    let nowhere = format!("{HUB} --c2d-rate 1 --subscribe none");
    assert_eq!(mistakes(&nowhere), ["--receive"]);
    let wrong = format!("{HUB} --c2d-rate 1 --ca /nowhere --connect x");
    assert_eq!(mistakes(&wrong), ["--ca", "--connect"]);
}

#[test]
fn telemetry_is_another_run() {
    for flag in ["--rate 5", "--connections 3", "--messages 4", "--ledger x"] {
        let words = format!("load --c2d-rate 5 {flag}");
        assert!(
            Cli::try_parse_from(words.split_whitespace()).is_err(),
            "{flag}"
        );
    }
}
