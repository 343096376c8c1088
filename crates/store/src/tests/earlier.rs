//! State directories written by earlier builds. Each folder below `fixtures` is named by the commit of its build.

use std::fs;
use std::path::Path;

use super::open;
use super::tables::subscriptions;
use crate::DeadLetterFilter;

/// Made by `drawspan serve` in front of the emulator: two devices with subscriptions and rejected messages, a third one by DPS.
#[tokio::test]
async fn a_directory_of_format_2_opens_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/fixtures/f1d6e09");
    for file in ["drawspan.db", "keyring"] {
        fs::copy(made.join(file), folder.path().join(file)).unwrap();
    }
    // Twice: what the first start changed is read by the second.
    for _ in 0..2 {
        let store = open(folder.path()).unwrap();
        let of = |text: &str| format!("{text} true false");
        let lines = subscriptions(&store);
        let lines: Vec<String> = lines
            .iter()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                // Without the times.
                format!(
                    "{} {} {} {} {}",
                    words[0], words[1], words[2], words[4], words[5]
                )
            })
            .collect();
        let (bad, hang) = ("http://127.0.0.1:19555/bad", "http://127.0.0.1:19556/hang");
        assert_eq!(lines.len(), 6, "{lines:?}");
        for expected in [
            of(&format!("Device(\"sensor-1\") C2DMessages {hang}")),
            of(&format!("Device(\"sensor-2\") C2DMessages {hang}")),
            of(&format!("Device(\"sensor-1\") Methods {bad}")),
            of(&format!("Device(\"sensor-1\") DesiredProperties {bad}")),
        ] {
            assert!(lines.contains(&expected), "{expected} is not in {lines:#?}");
        }
        assert_eq!(super::names(&store), ["other-3", "sensor-1", "sensor-2"]);
        let filter = DeadLetterFilter {
            limit: 1_000,
            ..DeadLetterFilter::default()
        };
        let letters = store.dead_letters().list(filter).await.unwrap();
        assert_eq!(letters.len(), 11);
        assert!(
            letters[0]
                .letter
                .event
                .starts_with(b"{\"eventType\":\"C2DMessage\"")
        );
        let versions = store.desired_marks().load_all().unwrap();
        // Versions without a receiver are dropped: each receiver gets everything once.
        assert_eq!(versions, []);
        assert_eq!(store.health().found_lost(), crate::FoundLost::default());
    }
}

/// Made as the one above: a device with three subscriptions, a version of its desired properties and one rejected message.
#[tokio::test]
async fn a_directory_of_format_3_opens_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/fixtures/b40eba4");
    for file in ["drawspan.db", "drawspan.mark", "keyring"] {
        fs::copy(made.join(file), folder.path().join(file)).unwrap();
    }
    let mark = crate::DesiredMark {
        fingerprint: Some(7),
        ..super::mark(2)
    };
    // Versions without a receiver are dropped. Twice: what the first start changed is read by the second.
    for marks in [vec![], vec![(super::id("sensor-1"), mark)]] {
        let store = open(folder.path()).unwrap();
        assert_eq!(subscriptions(&store).len(), 3);
        assert_eq!(super::names(&store), ["sensor-1"]);
        let filter = DeadLetterFilter {
            limit: 10,
            ..DeadLetterFilter::default()
        };
        let letters = store.dead_letters().list(filter).await.unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(store.desired_marks().load_all().unwrap(), marks);
        assert_eq!(store.health().found_lost(), crate::FoundLost::default());
        store.desired_marks().put(super::id("sensor-1"), mark);
        super::settle(&store).await;
    }
    // A version that was reached by a change has no fingerprint, nor does one that is forgotten.
    let store = open(folder.path()).unwrap();
    let marks = store.desired_marks();
    marks.put(super::id("sensor-1"), super::mark(3));
    marks.put(super::id("gone"), mark);
    marks.remove(super::id("gone"));
    super::settle(&store).await;
    let all = marks.load_all().unwrap();
    assert_eq!(all, [(super::id("sensor-1"), super::mark(3))]);
}
