use clap::{Args as _, Command, FromArgMatches as _};
use drawspan_emulator_hub::faults::Fault;

use super::{EmulatorArgs, InvalidArgs};
use crate::config::{Config, Ports};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn parse(line: &str) -> Result<Config, InvalidArgs> {
    let command = EmulatorArgs::augment_args(Command::new("emulator"));
    let matches = command
        .try_get_matches_from(format!("emulator {line}").split_whitespace())
        .unwrap();
    EmulatorArgs::from_arg_matches(&matches)
        .unwrap()
        .into_config()
}

#[test]
fn nothing_is_needed() {
    let config = parse("").unwrap();
    assert_eq!(config.hubs[0].as_str(), "localhost");
    assert_eq!(
        config.ports,
        Ports {
            amqps: 5671,
            mqtts: None,
            https: None
        }
    );
    assert_eq!(
        (
            config.bind.to_string().as_str(),
            config.partitions,
            config.state
        ),
        ("127.0.0.1", 4, None)
    );
}

#[test]
fn every_flag_counts() {
    let config = parse(&format!(
        "--hub a.test --hub B.test --dps-name dps.test --id-scope 0ne1 --group-key {KEY} --policy-key {KEY} \
         --state dir --bind ::1 --amqps-port 1 --mqtts-port 2 --https-port 3 --device x --device y%#1 --device z-[9-10] --tail \
         --fault renewals=10% --fault stall=x"
    ))
    .unwrap();
    let names: Vec<_> = config
        .names()
        .iter()
        .map(|name| name.as_str().to_owned())
        .collect();
    assert_eq!(names, ["a.test", "b.test", "dps.test"]);
    assert_eq!(
        config.ports,
        Ports {
            amqps: 1,
            mqtts: Some(2),
            https: Some(3)
        }
    );
    assert_eq!(
        config
            .devices
            .iter()
            .map(|id| id.as_str())
            .collect::<Vec<_>>(),
        ["x", "y%#1", "z-9", "z-10"]
    );
    assert_eq!(
        (
            config.provisioning.id_scope.as_str(),
            config.bind.to_string().as_str()
        ),
        ("0ne1", "::1")
    );
    assert_eq!(
        config.faults,
        [
            "renewals=10%".parse::<Fault>().unwrap(),
            "stall=x".parse().unwrap()
        ]
    );
    assert_eq!(config.policy_key.unwrap().to_base64(), KEY);
    assert_eq!(config.group_key.unwrap().to_base64(), KEY);
    assert_eq!(config.state.unwrap().to_str(), Some("dir"));
}

#[test]
fn every_mistake_is_reported_and_no_key_shown() {
    let InvalidArgs(errors) = parse(
        "--hub a.test --hub A.test --hub _ --dps-name a..b --group-key sEcReT --policy-key QUJD --bind nowhere --device a/b \
         --fault renewals=10 --fault renewals=1% --fault renewals=2%",
    )
    .unwrap_err();
    let flags = [
        "--hub: ",
        "--dps-name: ",
        "--group-key: ",
        "--policy-key: ",
        "--bind: ",
        "--device: ",
        "--fault: `renewals=10`",
        "the hub a.test",
        "two faults",
    ];
    assert_eq!(errors.len(), flags.len(), "{errors:#?}");
    for (error, flag) in errors.iter().zip(flags) {
        assert!(
            error.starts_with(flag),
            "{error} does not start with {flag}"
        );
        assert!(
            !error.contains("sEcReT") && !error.contains("QUJD"),
            "{error}"
        );
    }
}

#[test]
fn uploaded_files_have_a_quota_and_may_go_to_an_account() {
    let config = parse("").unwrap();
    assert_eq!(config.limits.blob_bytes, 1024 * 1024 * 1024);
    assert!(config.upload_account.is_none());
    let config = parse(&format!(
        "--upload-size 2 --upload-container files --upload-storage AccountName=a;AccountKey={KEY}"
    ));
    let config = config.unwrap();
    assert_eq!(config.limits.blob_bytes, 2 * 1024 * 1024);
    let to = config.upload_account.unwrap();
    assert_eq!(to.container, "files");
    assert_eq!(to.account.host_name(), "a.blob.core.windows.net");

    let mistakes = |line: &str| parse(line).unwrap_err().to_string();
    let text = mistakes("--upload-storage AccountName=a;AccountKey=sEcReT");
    assert!(text.starts_with("--upload-storage: AccountKey"), "{text}");
    assert!(!text.contains("sEcReT"), "{text}");
    let development = "--upload-storage UseDevelopmentStorage=true --upload-container=";
    for name in ["a", "A-1", "a--b", "-ab", "ab-"] {
        let text = mistakes(&format!("{development}{name}"));
        assert!(text.starts_with("the container"), "{text}");
    }
    let text = mistakes("--id-scope uploads");
    assert!(text.contains("the id scope uploads"), "{text}");
}

#[test]
fn one_name_may_be_the_hubs_and_the_services() {
    let config = parse("--hub a.test --dps A.test").unwrap();
    assert_eq!(config.names(), config.hubs);
    assert_eq!(config.dps_name.as_ref(), config.hubs.first());
}
