//! Benchmarks of the store: `cargo test --release -p drawspan-store -- --ignored --nocapture measure`. They judge nothing.

use std::io::Write as _;
use std::time::Instant;

use drawspan_hub::SubscriptionType;

use super::open;
use super::tables::subscription;
use crate::manage::{Backup, backup, rotate_keys};

const DEVICES: usize = 50_000;

/// CPU time of this thread, which a busy machine does not change; `None` if the system does not provide it.
fn processor_s() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = told.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    ns.unwrap_or_default() / 1e9
}

fn tell(what: &str, count: usize, (start, before_s): (Instant, f64)) {
    let seconds = start.elapsed().as_secs_f64();
    let (rate, processor_s) = (count as f64 / seconds, processor_s() - before_s);
    writeln!(
        std::io::stdout(),
        "{what}: {count} in {seconds:.3} s, {rate:.0}/s; {processor_s:.3} s of it on the processor"
    )
    .unwrap();
}

#[tokio::test]
#[ignore = "measures, and says what it found"]
async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let handle = store.subscriptions();
    let start = (Instant::now(), processor_s());
    for group in 0..DEVICES / 1_000 {
        let mut written = Vec::new();
        for number in 0..1_000 {
            let device = format!("device-{:06}", group * 1_000 + number);
            for kind in SubscriptionType::ALL {
                let url = format!(
                    "https://receiver.example.com/hooks/{device}/{kind}?key=0123456789abcdef"
                );
                written.push(handle.put(subscription(&device, kind, &url)));
            }
        }
        for written in written {
            written.await.unwrap();
        }
    }
    tell("puts, 4,000 under way", 4 * DEVICES, start);
    let start = (Instant::now(), processor_s());
    for number in 0..200 {
        let device = format!("device-{number:06}");
        let put = subscription(&device, SubscriptionType::Methods, "https://x.test/");
        handle.put(put).await.unwrap();
    }
    tell("puts, one after the other", 200, start);
    drop(store);

    let start = (Instant::now(), processor_s());
    let store = open(folder.path()).unwrap();
    tell("opened", 1, start);
    let start = (Instant::now(), processor_s());
    let found = store.subscriptions().load_all().unwrap();
    tell("loaded", found.len(), start);
    let start = (Instant::now(), processor_s());
    let rotated = rotate_keys(folder.path(), &folder.path().join("keyring"), &mut |_| {}).unwrap();
    assert!(rotated.beside && rotated.left == 0);
    tell("encrypted anew beside a running store", 4 * DEVICES, start);
    let to = folder.path().join("copy.db");
    let what = Backup {
        directory: folder.path(),
        to: &to,
        keyring: None,
        force: false,
    };
    let start = (Instant::now(), processor_s());
    let done = backup(&what, &mut |_| {}).unwrap();
    tell(
        "bytes of a backup",
        usize::try_from(done.bytes).unwrap(),
        start,
    );
}
