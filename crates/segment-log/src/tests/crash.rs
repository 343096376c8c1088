//! The state after the process ended at any point, and the reports of damage.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::{messages, open, record, segments, small};
use crate::limits::READ_BLOCK_BYTES;
use crate::{Damage, LogError, LogLimits, TelemetryLog};

/// One segment with the messages `first`, `second`, `third`; each a separate append.
fn three(folder: &Path) -> (Vec<u8>, std::path::PathBuf) {
    let log = open(
        folder,
        LogLimits {
            segment_bytes: 1 << 20,
            ..small()
        },
    );
    for message in ["first", "second", "third"] {
        log.append_batch(&[record("a", message)], 1).unwrap();
    }
    let path = segments(folder).remove(0);
    (fs::read(&path).unwrap(), path)
}

#[test]
fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let sent: Vec<String> = (0..60).map(|number| format!("message {number}")).collect();
    for chunk in sent.chunks(7) {
        // Opened again for each chunk, never closed properly: dropping the log does nothing.
        let log = open(folder.path(), small());
        log.append_batch(
            &chunk
                .iter()
                .map(|text| record("a", text))
                .collect::<Vec<_>>(),
            1,
        )
        .unwrap();
    }
    let log = open(folder.path(), small());
    assert_eq!(messages(&log), sent);
    let info = log.info(0).unwrap();
    assert_eq!(
        (info.next_sequence, info.last_enqueued_unix_ms),
        (60, Some(1))
    );
}

#[test]
fn a_torn_end_is_cut_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, path) = three(folder.path());
    let whole_records = {
        fs::write(&path, &bytes).unwrap();
        let log = open(folder.path(), small());
        log.info(0).unwrap().last_offset.unwrap() as usize + 12
    };
    for len in whole_records..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        let log = open(folder.path(), small());
        assert_eq!(messages(&log), ["first", "second"], "cut at {len}");
        assert_eq!(
            fs::metadata(&path).unwrap().len() as usize,
            whole_records,
            "nothing stays"
        );
        log.append_batch(&[record("a", "again")], 1).unwrap();
        drop(log);
        let log = open(
            folder.path(),
            LogLimits {
                segment_bytes: 1 << 20,
                ..small()
            },
        );
        assert_eq!(
            messages(&log),
            ["first", "second", "again"],
            "cut at {len}, then written on"
        );
    }
}

#[test]
fn a_segment_without_a_record_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, path) = three(folder.path());
    for len in 0..=12 {
        fs::write(&path, &bytes[..len]).unwrap();
        let log = open(folder.path(), small());
        assert!(log.info(0).unwrap().is_empty());
        log.append_batch(&[record("a", "new")], 1).unwrap();
        drop(log);
        assert_eq!(
            messages(&open(folder.path(), small())),
            ["new"],
            "cut at {len}"
        );
    }
}

#[test]
fn rubbish_behind_the_end_is_cut() {
    for rubbish in [vec![0; 1], vec![0; 4_096], vec![0xff; 5_000]] {
        let folder = tempfile::tempdir().unwrap();
        let (_, path) = three(folder.path());
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(&rubbish)
            .unwrap();
        assert_eq!(
            messages(&open(folder.path(), small())),
            ["first", "second", "third"]
        );
    }
}

#[test]
fn damage_in_the_middle_is_reported_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, path) = three(folder.path());
    let record_len = (bytes.len() - 12) / 3;
    // All of the first record; the third one proves that it once was whole.
    for at in 12..12 + record_len - 1 {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        let error = TelemetryLog::open(Some(folder.path()), 1, small()).unwrap_err();
        let LogError::Corrupt {
            path: named,
            position: 12,
            sequence: 0,
            ..
        } = &error
        else {
            panic!("byte {at}: {error}");
        };
        assert_eq!(named, &path);
        assert!(
            error
                .to_string()
                .contains(path.file_name().unwrap().to_str().unwrap()),
            "{error}"
        );
    }
    assert_eq!(
        fs::read(&path).unwrap().len(),
        bytes.len(),
        "nothing was cut"
    );
}

#[test]
fn damage_across_a_large_distance_is_still_found() {
    // The search begins one byte behind the damaged record's start, and looks at 256 KiB at a time: the next record's
    // header begins there in the second block, ends there, or lies across.
    let first_block_end = 12 + 1 + READ_BLOCK_BYTES;
    for header_at in [
        first_block_end - 28,
        first_block_end - 10,
        first_block_end,
        400_000,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path(), LogLimits::default());
        // A record takes 52 bytes in addition to its message.
        let large = "x".repeat(header_at - 12 - 52);
        log.append_batch(&[record("a", &large), record("a", "behind")], 1)
            .unwrap();
        let path = segments(folder.path()).remove(0);
        let mut bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), header_at + 52 + "behind".len());
        bytes[12] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = TelemetryLog::open(Some(folder.path()), 1, small()).unwrap_err();
        let expected = matches!(
            error,
            LogError::Corrupt {
                sequence: 0,
                damage: Damage::Header,
                ..
            }
        );
        assert!(expected, "{header_at}: {error}");
    }
}

#[test]
fn damage_in_a_closed_segment_is_met_by_its_reader_and_by_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small());
    for number in 0..40 {
        log.append_batch(&[record("a", &number.to_string())], 1)
            .unwrap();
    }
    drop(log);
    let path = segments(folder.path()).remove(1);
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    fs::write(&path, bytes).unwrap();
    let log = open(folder.path(), small());
    let mut next = 0;
    let error = loop {
        match log.read(0, next, 1, 1) {
            Ok(records) => next = records[0].sequence + 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, LogError::Corrupt { path: named, .. } if *named == path),
        "{error}"
    );
    assert_eq!(log.read(0, 39, 1, 1).unwrap()[0].message, "39");
    log.append_batch(&[record("a", "still")], 1).unwrap();
}

#[test]
fn a_missing_or_cut_segment_is_a_gap() {
    let check = |harm: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path(), small());
        for number in 0..40 {
            log.append_batch(&[record("a", &number.to_string())], 1)
                .unwrap();
        }
        drop(log);
        harm(&segments(folder.path())[2]);
        let error = TelemetryLog::open(Some(folder.path()), 1, small()).unwrap_err();
        assert!(matches!(error, LogError::Gap { .. }), "{error}");
    };
    check(&|path| fs::remove_file(path).unwrap());
    check(&|path| super::super::scan::cut(path, path.metadata().unwrap().len() - 1).unwrap());
    check(&|path| super::super::scan::cut(path, 3).unwrap());
}

#[test]
fn a_foreign_file_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let (mut bytes, path) = three(folder.path());
    bytes[8] = 2;
    fs::write(&path, &bytes).unwrap();
    let error = TelemetryLog::open(Some(folder.path()), 1, small()).unwrap_err();
    assert!(matches!(error, LogError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_write_that_fails_leaves_nothing_behind() {
    // The device that is always full stands for a full disk: opening works, writing does not.
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small());
    log.append_batch(&[record("a", "1")], 1).unwrap();
    let path = segments(folder.path()).remove(0);
    drop(log);
    let good = fs::read(&path).unwrap();
    let log = open(
        folder.path(),
        LogLimits {
            segment_bytes: 1,
            ..small()
        },
    );
    // The next append must begin a new segment, and cannot: its name is taken by a folder.
    let next_offset = good.len() - 12;
    let obstacle = folder
        .path()
        .join("partition-0")
        .join(format!("{:020}-{next_offset:020}.segment", 1));
    fs::create_dir(&obstacle).unwrap();
    let error = log.append_batch(&[record("a", "2")], 1).unwrap_err();
    assert!(
        matches!(
            error,
            LogError::Io {
                doing: "create",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(log.info(0).unwrap().next_sequence, 1);
    fs::remove_dir(&obstacle).unwrap();
    log.append_batch(&[record("a", "2")], 1).unwrap();
    assert_eq!(messages(&log), ["1", "2"]);
}

#[test]
fn messages_that_were_stored_and_are_gone_are_missed() {
    let check = |harm: &dyn Fn(&Path, &Path), expected: Option<&str>| {
        let folder = tempfile::tempdir().unwrap();
        let (_, path) = three(folder.path());
        harm(folder.path(), &path);
        let opened = TelemetryLog::open(Some(folder.path()), 1, small());
        let error = opened.err().map(|error| error.to_string());
        match (error, expected) {
            (None, None) => {}
            (Some(error), Some(expected)) => {
                assert!(error.contains(expected), "{error}: not {expected}");
                assert!(error.contains("--reset"), "{error}");
            }
            (error, expected) => panic!("{error:?} is not {expected:?}"),
        }
    };
    let mark = |folder: &Path| folder.join("partition-0.mark");
    let cut = |_: &Path, path: &Path| {
        let bytes = fs::read(path).unwrap();
        let record_len = (bytes.len() - 12) / 3;
        fs::write(path, &bytes[..bytes.len() - record_len]).unwrap();
    };
    check(&cut, Some("messages 2 to 2 were stored"));
    let remove = |_: &Path, path: &Path| fs::remove_file(path).unwrap();
    check(&remove, Some("messages 0 to 2 were stored"));
    let all = |folder: &Path, _: &Path| fs::remove_dir_all(folder.join("partition-0")).unwrap();
    check(&all, Some("messages 0 to 2 were stored"));
    let both = |folder: &Path, path: &Path| {
        remove(folder, path);
        fs::write(mark(folder), "x").unwrap();
    };
    check(&both, Some("its mark is damaged"));
    check(&|folder, _| fs::remove_file(mark(folder)).unwrap(), None);
    check(&|folder, _| fs::write(mark(folder), "x").unwrap(), None);
    check(&|_, _| {}, None);
}
