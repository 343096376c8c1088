//! Guarantees for readers and writers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use drawspan_hub::ModuleId;

use super::{messages, open, record, segments, small};
use crate::limits::{RECORD_BODY_MAX_BYTES, SUBSCRIPTIONS_MAX};
use crate::{AuthScope, LogError, LogLimits, Position, TelemetryLog};

#[test]
fn a_record_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small());
    let sent = record("dev%#?-1", "hello");
    log.append_batch(std::slice::from_ref(&sent), 1_000)
        .unwrap();
    let read = log.read(0, 0, 10, 1_000).unwrap().remove(0);
    assert_eq!(
        (read.sequence, read.offset, read.enqueued_unix_ms),
        (0, 0, 1_000)
    );
    assert_eq!(
        (read.device_id, read.origin, read.message),
        (sent.device_id, sent.origin, sent.message)
    );
}

#[test]
fn a_record_of_a_module_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut sent = record("a", "of a module");
    sent.module_id = Some(ModuleId::parse("m%").unwrap());
    sent.origin.scope = AuthScope::Module;
    let mut by_policy = sent.clone();
    by_policy.origin.scope = AuthScope::Hub;
    by_policy.message = Bytes::new();
    let all = [sent, record("a", "of its device"), by_policy];
    open(folder.path(), small()).append_batch(&all, 5).unwrap();
    let read = open(folder.path(), small())
        .read(0, 0, 10, 1 << 20)
        .unwrap();
    let read = read
        .into_iter()
        .map(|it| (it.module_id, it.origin, it.message));
    let sent = all.map(|it| (it.module_id, it.origin, it.message));
    assert_eq!(read.collect::<Vec<_>>(), sent);
}

#[test]
fn a_device_stays_in_its_partition_and_all_partitions_are_used() {
    let log = TelemetryLog::open(None, 4, LogLimits::default()).unwrap();
    let batch: Vec<_> = (0..200)
        .map(|number| record(&format!("device-{number}"), "x"))
        .collect();
    log.append_batch(&batch, 1).unwrap();
    log.append_batch(&batch, 2).unwrap();
    let mut total = 0;
    for partition in 0..4 {
        let records = log.read(partition, 0, 1_000, 1 << 20).unwrap();
        assert!(
            records.len() > 40,
            "partition {partition} has {}",
            records.len()
        );
        assert!(
            records
                .iter()
                .all(|record| log.partition_of(&record.device_id) == partition)
        );
        assert!(
            records
                .iter()
                .map(|record| record.sequence)
                .eq(0..records.len() as u64)
        );
        total += records.len();
    }
    assert_eq!(total, 400);
}

#[test]
fn the_partition_of_a_device_never_changes_between_versions() {
    let log = TelemetryLog::open(None, 4, LogLimits::default()).unwrap();
    let found: Vec<u16> = ["a", "sensor-1", "dev%#?-1"]
        .iter()
        .map(|id| log.partition_of(&record(id, "").device_id))
        .collect();
    assert_eq!(found, [3, 3, 2]);
}

#[test]
fn time_never_falls_within_a_partition() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small());
    log.append_batch(&[record("a", "1")], 5_000).unwrap();
    log.append_batch(&[record("a", "2")], 4_000).unwrap();
    drop(log);
    let log = open(folder.path(), small());
    log.append_batch(&[record("a", "3")], 3_000).unwrap();
    let times: Vec<u64> = log
        .read(0, 0, 9, 99)
        .unwrap()
        .iter()
        .map(|record| record.enqueued_unix_ms)
        .collect();
    assert_eq!(times, [5_000, 5_000, 5_000]);
    // The growing segment is empty now: the newest time stands in the sealed one.
    log.keep(5_000 + small().segment_age_ms).unwrap();
    assert_eq!(segments(folder.path()).len(), 2);
    drop(log);
    let log = open(folder.path(), small());
    log.append_batch(&[record("a", "4")], 2_000).unwrap();
    assert_eq!(log.read(0, 3, 1, 1).unwrap()[0].enqueued_unix_ms, 5_000);
}

#[test]
fn positions() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small());
    for number in 0..30 {
        log.append_batch(&[record("a", &format!("{number:02}"))], 1_000 + number / 2)
            .unwrap();
    }
    let offset_of_7 = log.read(0, 7, 1, 1).unwrap()[0].offset as i64;
    let check =
        |position, expected| assert_eq!(log.seek(0, position).unwrap(), expected, "{position:?}");
    check(Position::Start, 0);
    check(Position::End, 30);
    check(
        Position::Sequence {
            value: 7,
            inclusive: true,
        },
        7,
    );
    check(
        Position::Sequence {
            value: 7,
            inclusive: false,
        },
        8,
    );
    check(
        Position::Sequence {
            value: -1,
            inclusive: false,
        },
        0,
    );
    check(
        Position::Sequence {
            value: 1_000,
            inclusive: true,
        },
        30,
    );
    check(
        Position::Offset {
            value: offset_of_7,
            inclusive: true,
        },
        7,
    );
    check(
        Position::Offset {
            value: offset_of_7,
            inclusive: false,
        },
        8,
    );
    check(
        Position::Offset {
            value: offset_of_7 + 1,
            inclusive: true,
        },
        8,
    );
    check(
        Position::Offset {
            value: -1,
            inclusive: false,
        },
        0,
    );
    check(
        Position::Offset {
            value: i64::MAX,
            inclusive: false,
        },
        30,
    );
    check(
        Position::EnqueuedTime {
            unix_ms: 1_003,
            inclusive: true,
        },
        6,
    );
    check(
        Position::EnqueuedTime {
            unix_ms: 1_003,
            inclusive: false,
        },
        8,
    );
    check(
        Position::EnqueuedTime {
            unix_ms: 9_999,
            inclusive: true,
        },
        30,
    );
    check(
        Position::EnqueuedTime {
            unix_ms: 0,
            inclusive: true,
        },
        0,
    );
    assert!(
        segments(folder.path()).len() > 2,
        "the test is about several segments"
    );
}

#[test]
fn size_and_age_are_bounds_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let limits = LogLimits {
        disk_bytes: 2_000,
        ..small()
    };
    let log = open(folder.path(), limits);
    for number in 0..100 {
        log.append_batch(&[record("a", &number.to_string())], 1_000)
            .unwrap();
    }
    log.keep(1_000).unwrap();
    let info = log.info(0).unwrap();
    assert!(
        info.begin_sequence > 0 && info.next_sequence == 100,
        "{info:?}"
    );
    assert!(segments(folder.path()).len() <= 4);
    let kept = messages(&log);
    assert_eq!(kept.first(), Some(&info.begin_sequence.to_string()));
    assert_eq!(
        log.read(0, 0, 1, 1).unwrap()[0].sequence,
        info.begin_sequence,
        "what is gone is skipped"
    );
    let offset_of_98 = log.read(0, 98, 1, 1).unwrap()[0].offset as i64;
    // The first look closes the segment for its age, a later one finds it too old to keep.
    log.keep(1_000 + limits.segment_age_ms).unwrap();
    log.keep(1_001 + limits.retention_ms).unwrap();
    let info = log.info(0).unwrap();
    assert!(info.is_empty() && info.begin_sequence == 100, "{info:?}");
    let position = Position::Offset {
        value: offset_of_98,
        inclusive: true,
    };
    assert_eq!(
        log.seek(0, position).unwrap(),
        100,
        "memory forgets what the disk forgot"
    );
    drop(log);
    let log = open(folder.path(), limits);
    assert_eq!(
        log.info(0).unwrap().next_sequence,
        100,
        "numbers go on after everything was deleted"
    );
}

#[test]
fn size_and_age_are_bounds_in_memory() {
    let limits = LogLimits {
        memory_bytes: 2_000,
        ..small()
    };
    let log = TelemetryLog::open(None, 1, limits).unwrap();
    for number in 0..100 {
        log.append_batch(&[record("a", &number.to_string())], 1_000)
            .unwrap();
    }
    let info = log.info(0).unwrap();
    assert!((80..100).contains(&info.begin_sequence), "{info:?}");
    assert_eq!(
        log.read(0, 0, 1, 1).unwrap()[0].sequence,
        info.begin_sequence
    );
    assert_eq!(
        log.seek(
            0,
            Position::EnqueuedTime {
                unix_ms: 5,
                inclusive: true
            }
        )
        .unwrap(),
        info.begin_sequence
    );
    log.keep(1_001 + limits.retention_ms).unwrap();
    assert!(log.info(0).unwrap().is_empty());
}

#[test]
fn what_is_too_large_is_refused_and_nothing_is_stored() {
    let log = TelemetryLog::open(None, 1, small()).unwrap();
    let large = record("a", &"x".repeat(RECORD_BODY_MAX_BYTES));
    let error = log.append_batch(&[record("a", "1"), large], 1).unwrap_err();
    assert!(matches!(error, LogError::TooLarge { .. }), "{error}");
    assert!(log.info(0).unwrap().is_empty());
}

#[test]
fn a_larger_record_than_a_block_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(
        folder.path(),
        LogLimits {
            tail_bytes: 0,
            ..LogLimits::default()
        },
    );
    let large = "x".repeat(RECORD_BODY_MAX_BYTES - 100);
    log.append_batch(
        &[record("a", "1"), record("a", &large), record("a", "3")],
        1,
    )
    .unwrap();
    assert_eq!(messages(&log), ["1", large.as_str(), "3"]);
    assert_eq!(
        log.read(0, 0, 9, 10).unwrap().len(),
        2,
        "nothing more once the bytes are reached"
    );
}

#[test]
fn more_partitions_than_asked_for_are_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    drop(TelemetryLog::open(Some(folder.path()), 4, small()).unwrap());
    let error = TelemetryLog::open(Some(folder.path()), 2, small()).unwrap_err();
    assert!(
        matches!(
            error,
            LogError::PartitionCount {
                found: 4,
                wanted: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_reader_is_woken_once_until_it_looks() {
    let log = TelemetryLog::open(None, 1, small()).unwrap();
    let woken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&woken);
    let subscription = log
        .subscribe(0, move || {
            count.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap()
        .unwrap();
    log.append_batch(&[record("a", "1")], 1).unwrap();
    log.append_batch(&[record("a", "2")], 1).unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    assert!(subscription.rearm() && !subscription.rearm());
    log.append_batch(&[record("a", "3")], 1).unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 2);
    drop(subscription);
    log.append_batch(&[record("a", "4")], 1).unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 2);
}

#[test]
fn readers_that_left_make_room() {
    let log = TelemetryLog::open(None, 1, small()).unwrap();
    let mut waiting: Vec<_> = (0..SUBSCRIPTIONS_MAX)
        .map(|_| log.subscribe(0, || ()).unwrap())
        .collect();
    assert!(matches!(
        log.subscribe(0, || ()),
        Err(LogError::TooManyReaders)
    ));
    waiting.pop();
    assert!(log.subscribe(0, || ()).is_ok());
    assert!(
        log.subscribe(1, || ()).unwrap().is_none(),
        "no such partition"
    );
}
