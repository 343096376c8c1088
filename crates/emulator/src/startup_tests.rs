use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use drawspan_emulator_hub::hub::AuthoritySpec;
use drawspan_hub::{DeviceId, HostName, ModuleId};
use drawspan_hub_model::module::ModuleSpec;
use drawspan_hub_model::registry::Change;
use drawspan_hub_model::x509::Certificate;
use drawspan_segment_log::{AuthKind, AuthScope, MessageSource, NewRecord, Origin};

use super::{Opened, open};
use crate::config::Config;
use drawspan_mqtt::Subscriptions;

/// In the suite, and when somebody asks for all.
const FEW: u64 = 48;
const MANY: u64 = 400;

/// Where a start is refused, one of these says what to do.
const WAYS_OUT: [&str; 4] = ["--reset", "put it back", "put the file back", "delete both"];

#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum Verdict {
    Refused,
    Whole,
}

/// Everything that was acknowledged.
#[derive(Debug, PartialEq)]
struct Content {
    keys: Vec<String>,
    devices: Vec<String>,
    telemetry: Vec<Vec<Bytes>>,
    authority: String,
}

fn config(state: &Path) -> Config {
    let mut config = Config::new(vec![HostName::parse("one.test").unwrap()]);
    config.state = Some(state.to_path_buf());
    config.partitions = 2;
    config
}

fn content(opened: &Opened) -> Content {
    let hub = &opened.hubs[0];
    let registry = hub.registry();
    let modules = registry.modules_after(None).map(|entry| {
        let keys: Vec<String> = entry.module.keys().map(|key| key.to_base64()).collect();
        let (module, twin) = (&entry.module, entry.twin());
        let subscriptions = hub.kept_subscriptions(&module.client());
        format!("{module:?} {keys:?} {twin:?} {subscriptions:?}")
    });
    let devices = registry.list(1_000).map(|entry| {
        let device = &entry.device;
        let keys: Vec<String> = device.keys().map(|key| key.to_base64()).collect();
        let twin = entry.twin();
        let waiting = hub.message_count(&device.id);
        let subscriptions = hub.kept_subscriptions(&(&device.id).into());
        format!("{device:?} {keys:?} {twin:?} {waiting} {subscriptions:?}")
    });
    // What is given at each start has a name with a colon.
    let authorities = hub.authorities();
    let kept = authorities.list().filter(|it| !it.name.contains(':'));
    let kept: Vec<String> = kept.map(|it| format!("{it:?}")).collect();
    let telemetry = (0..hub.partition_count()).map(|partition| {
        let records = hub.read(partition, 0, 10_000, usize::MAX).unwrap();
        records.into_iter().map(|record| record.message).collect()
    });
    let strings = hub.connection_strings();
    let keys = strings.iter().map(|it| it.key.to_base64());
    let groups = opened.dps.groups().iter();
    Content {
        devices: devices.chain(modules).chain(kept).collect(),
        telemetry: telemetry.collect(),
        keys: keys
            .chain(groups.map(|group| group.primary.to_base64()))
            .collect(),
        authority: opened.tls.ca_pem.clone(),
    }
}

async fn fill(opened: &Opened, round: u32) {
    let hub = &opened.hubs[0];
    let ids: Vec<DeviceId> = (0..8)
        .map(|number| DeviceId::parse(&format!("device-{number}")).unwrap())
        .collect();
    hub.ensure_devices(&ids, opened.dps.groups().first())
        .await
        .unwrap();
    for (number, id) in (1_u8..).zip(&ids) {
        let device = hub.device(id).unwrap();
        let subscriptions = Subscriptions::from_bits(number);
        hub.keep_subscriptions(&id.into(), &device.generation_id, Some(subscriptions));
        let patch = format!("{{\"round\":{round},\"pad\":\"{}\"}}", "x".repeat(300));
        let patch = drawspan_hub_model::twin::parse_patch(patch.as_bytes()).unwrap();
        hub.change(|registry| {
            let twin = registry
                .report(&id.into(), &patch, None, 1_800_000_000_000)
                .unwrap();
            let change = Change::Twin {
                client: id.into(),
                twin,
                desired: None,
            };
            ((), vec![change])
        })
        .await
        .unwrap();
        let record = NewRecord {
            device_id: id.clone(),
            module_id: None,
            origin: Origin {
                scope: AuthScope::Device,
                kind: AuthKind::Sas,
                generation_id: "638000000000000001".into(),
                source: MessageSource::Telemetry,
            },
            message: Bytes::from(format!("{id} {round} {}", "y".repeat(200))),
        };
        hub.ingest(&[record]).unwrap();
    }
    fill_module(opened, round).await;
    let certificate = Certificate::from_text(&opened.tls.ca_pem).unwrap();
    let spec = AuthoritySpec {
        certificate,
        is_verified: false,
    };
    let name = format!("authority-{round}");
    let put = hub.put_authority(&name, None, spec).await.unwrap();
    assert!(put.is_ok(), "{put:?}");
}

/// A module of a device, with a twin and subscriptions.
async fn fill_module(opened: &Opened, round: u32) {
    let hub = &opened.hubs[0];
    let device = DeviceId::parse("device-0").unwrap();
    let spec = ModuleSpec::new(device, ModuleId::parse(&format!("module-{round}")).unwrap());
    let fresh = drawspan_emulator_hub::random::fresh(0).unwrap();
    let module = hub
        .change(|registry| {
            let module = registry.create_module(spec, fresh).unwrap().module;
            (Arc::clone(&module), vec![Change::PutModule(module)])
        })
        .await
        .unwrap();
    let client = module.client();
    let subscriptions = Subscriptions::from_bits(2);
    hub.keep_subscriptions(&client, &module.generation_id, Some(subscriptions));
    let patch = drawspan_hub_model::twin::parse_patch(b"{\"on\":true}").unwrap();
    hub.change(|registry| {
        let twin = registry.report(&client, &patch, None, 1_800_000_000_000);
        let change = Change::Twin {
            client: client.clone(),
            twin: twin.unwrap(),
            desired: None,
        };
        ((), vec![change])
    })
    .await
    .unwrap();
}

fn close(opened: Opened) {
    if let Some(store) = &opened.store {
        store.close();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Every file, in order of their names.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// SplitMix64, as `java.util.SplittableRandom` has it.
struct Picks(u64);

impl Picks {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }
}

/// One change of the files. Says what it was.
fn damage(directory: &Path, mut picks: Picks) -> String {
    let mut all = Vec::new();
    files(directory, &mut all);
    // The registry is hit most often.
    let registry = ["registry.db", "registry.db-wal"].map(|file| directory.join(file));
    let registry: Vec<PathBuf> = registry.into_iter().filter(|file| file.exists()).collect();
    let of = match picks.below(2) {
        0 => &registry,
        _ => &all,
    };
    let path = &of[picks.below(of.len() as u64) as usize];
    let name = path.strip_prefix(directory).unwrap().display().to_string();
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len() as u64;
    match picks.below(8) {
        0 => {
            fs::remove_file(path).unwrap();
            format!("{name} deleted")
        }
        1 => {
            fs::write(path, "").unwrap();
            format!("{name} emptied")
        }
        2 => {
            let left = picks.below(length);
            fs::write(path, &bytes[..left as usize]).unwrap();
            format!("{name} cut to {left} of {length}")
        }
        3 => {
            let folders = ["hubs", "hubs/one.test", "hubs/one.test/partition-0"];
            let folder = folders[picks.below(3) as usize];
            fs::remove_dir_all(directory.join(folder)).unwrap();
            format!("{folder} deleted")
        }
        4 => {
            for file in ["registry.db", "registry.db-wal", "registry.db-shm"] {
                let _ = fs::remove_file(directory.join(file));
            }
            "registry and log deleted".into()
        }
        5 if length > 0 => {
            let from = picks.below(length);
            let to = (from + 1 + picks.below(4096)).min(length);
            bytes[from as usize..to as usize].fill(0);
            fs::write(path, &bytes).unwrap();
            format!("{name}: zeros from {from} to {to}")
        }
        _ if length > 0 => {
            let (at, bit) = (picks.below(length), picks.below(8));
            bytes[at as usize] ^= 1 << bit;
            fs::write(path, &bytes).unwrap();
            format!("{name}: bit {bit} of byte {at} flipped")
        }
        _ => format!("{name} is empty already"),
    }
}

/// Panics if something is missing without a report.
fn judge(directory: &Path, expected: &Content, what: &str) -> Verdict {
    match open(&config(directory)) {
        Err(error) => {
            let text = error.to_string();
            let found = WAYS_OUT.iter().any(|way| text.contains(way));
            assert!(found, "{what}: refused without a way out: {text}");
            Verdict::Refused
        }
        Ok(opened) => {
            let content = content(&opened);
            close(opened);
            // The authority is no data; clients that trust another one say so themselves.
            let same = Content {
                authority: expected.authority.clone(),
                ..content
            };
            assert!(same == *expected, "{what}: lost in silence\n{same:#?}");
            Verdict::Whole
        }
    }
}

async fn run(count: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let opened = open(&config(&path("live"))).unwrap();
    fill(&opened, 1).await;
    copy(&path("live"), &path("early"));
    let early = Arc::new(content(&opened));
    close(opened);
    copy(&path("live"), &path("closed"));
    // What is in the log is folded when a directory is opened; more comes after that.
    let opened = open(&config(&path("live"))).unwrap();
    fill(&opened, 2).await;
    copy(&path("live"), &path("late"));
    let late = Arc::new(content(&opened));
    close(opened);
    let found = [
        (path("early"), Arc::clone(&early)),
        (path("closed"), early),
        (path("late"), late),
    ];
    for (directory, content) in &found {
        copy(directory, &path("whole"));
        assert_eq!(judge(&path("whole"), content, "nothing"), Verdict::Whole);
        fs::remove_dir_all(path("whole")).unwrap();
    }
    let mut verdicts = HashMap::new();
    for seed in 0..count {
        let (directory, content) = &found[seed as usize % found.len()];
        let damaged = path(&format!("damaged-{seed}"));
        copy(directory, &damaged);
        let what = damage(&damaged, Picks(seed));
        let verdict = judge(&damaged, content, &format!("seed {seed}: {what}"));
        *verdicts.entry(verdict).or_insert(0) += 1;
        fs::remove_dir_all(&damaged).unwrap();
    }
    println!("{count} changes of files: {verdicts:?}, none lost in silence");
}

#[tokio::test]
async fn nothing_is_lost_in_silence() {
    run(FEW).await;
}

#[tokio::test]
#[ignore = "takes a minute"]
async fn nothing_is_lost_in_silence_by_hundreds_of_changes() {
    run(MANY).await;
}

#[tokio::test]
async fn a_reset_begins_anew_and_keeps_the_authority() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(&config(folder.path())).unwrap();
    fill(&opened, 1).await;
    let authority = opened.tls.ca_pem.clone();
    close(opened);
    fs::write(folder.path().join("registry.db"), "").unwrap();
    let error = open(&config(folder.path())).err().unwrap().to_string();
    assert!(error.contains("registry.mark says"), "{error}");
    assert!(error.contains("--reset"), "{error}");
    let mut config = config(folder.path());
    config.reset = true;
    let opened = open(&config).unwrap();
    let found = content(&opened);
    assert_eq!((found.devices.len(), found.authority), (0, authority));
    assert!(found.telemetry.iter().all(Vec::is_empty));
    close(opened);
}

#[tokio::test]
async fn a_partition_that_is_gone_with_its_mark_is_missed() {
    for gone in [
        &["partition-0.mark"][..],
        &["partition-0.mark", "partition-0"],
        &["partition-0.mark", "partition-1.mark"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(&config(folder.path())).unwrap();
        fill(&opened, 1).await;
        close(opened);
        for name in gone {
            let path = folder.path().join("hubs/one.test").join(name);
            match path.is_dir() {
                // The folder stays.
                true => {
                    let mut segments = Vec::new();
                    files(&path, &mut segments);
                    segments.iter().for_each(|it| fs::remove_file(it).unwrap());
                }
                false => fs::remove_file(path).unwrap(),
            }
        }
        let error = open(&config(folder.path())).err().unwrap().to_string();
        assert!(error.contains("partition-0: its mark"), "{error}");
        assert!(error.contains("--reset"), "{error}");
    }
}

#[test]
fn a_directory_of_format_4_opens_with_everything_in_it() {
    let _ =
        opens_with_everything_in_it("f1d6e09", "7cMWYeC7DweEesbu1MQZJUcJjhAsMRAsFBm2CLV2vtY=", 0);
}

#[test]
fn a_directory_of_format_5_opens_with_everything_in_it() {
    let _ =
        opens_with_everything_in_it("b5bab52", "RT89W5Tj7Xj9N8P4NHwx7mbpcfQL9mWgEmw/HNVxl9s=", 0);
}

#[test]
fn a_directory_of_format_6_opens_with_everything_in_it() {
    let _ =
        opens_with_everything_in_it("227dcb7", "cqPqKF+FDCr5mQ5yUIlCB2HIq3Fe6eeCd9imIeOIegU=", 0);
}

#[test]
fn a_directory_of_format_7_opens_with_everything_in_it() {
    let _ =
        opens_with_everything_in_it("56fc64e", "cqPqKF+FDCr5mQ5yUIlCB2HIq3Fe6eeCd9imIeOIegU=", 1);
}

/// That of format 7, with a file that a device uploaded since.
#[test]
fn a_directory_of_format_8_opens_with_everything_in_it() {
    let folder =
        opens_with_everything_in_it("64c4027", "cqPqKF+FDCr5mQ5yUIlCB2HIq3Fe6eeCd9imIeOIegU=", 1);
    let uploaded = "uploads/localhost/0000000000000001-first-1_kept.txt";
    let uploaded = fs::read(folder.path().join(uploaded));
    assert_eq!(uploaded.unwrap(), b"kept");
}

/// A directory that `drawspan emulator` of `commit` made: three devices, these modules, a twin, messages to devices, telemetry.
fn opens_with_everything_in_it(
    commit: &str,
    policy_key: &str,
    modules: usize,
) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/fixtures")
        .join(commit);
    copy(&made, folder.path());
    let mut config = Config::new(vec![HostName::parse("localhost").unwrap()]);
    config.state = Some(folder.path().to_path_buf());
    // Twice: what the first start changed is read by the second.
    for _ in 0..2 {
        let opened = open(&config).unwrap();
        let found = content(&opened);
        assert_eq!(found.devices.len(), 3 + modules, "{found:?}");
        assert_eq!(found.keys[0], policy_key);
        let level = found.devices.iter().filter(|it| it.contains("level"));
        assert_eq!(level.count(), 1);
        let telemetry: usize = found.telemetry.iter().map(Vec::len).sum();
        assert_eq!(telemetry, 3);
        let id = drawspan_hub::RegistrationId::parse("other-3").unwrap();
        assert!(opened.dps.registration(&id).is_some());
        let kept = fs::read_to_string(made.join("ca.pem")).unwrap();
        assert_eq!(found.authority, kept);
        close(opened);
    }
    folder
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_reads_or_enters_a_state_directory() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let opened = open(&config(&state)).unwrap();
    fill(&opened, 1).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut all = Vec::new();
    files(&state, &mut all);
    for path in &all {
        // The authority's certificate is what everybody is to trust.
        let expected = if path.ends_with("ca.pem") {
            0o644
        } else {
            0o600
        };
        assert_eq!(mode(path), expected, "{}", path.display());
    }
    for folder in [
        state.clone(),
        state.join("hubs"),
        state.join("hubs/one.test"),
    ] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
    }
    close(opened);
}
