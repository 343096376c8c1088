//! A log that is copied, and replaced by the copy or by nothing.

use super::*;
use crate::LogError;

#[test]
fn a_log_goes_back_to_its_copy() {
    let (folder, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = open(folder.path(), small());
    for number in 0..20 {
        log.append_batch(&[record("a", &format!("m{number}"))], number)
            .unwrap();
    }
    let copied = (messages(&log), log.info(0).unwrap());
    let copy = copies.path().join("one");
    log.snapshot(&copy).unwrap();
    for number in 20..40 {
        log.append_batch(&[record("a", &format!("m{number}"))], number)
            .unwrap();
    }
    log.replace(Some(&copy)).unwrap();
    assert_eq!((messages(&log), log.info(0).unwrap()), copied);
    // It goes on from there, and the copy stays as it was.
    log.append_batch(&[record("a", "new")], 100).unwrap();
    assert_eq!(messages(&log).last().unwrap(), "new");
    log.replace(Some(&copy)).unwrap();
    assert_eq!(messages(&log), copied.0);
    drop(log);
    let again = TelemetryLog::open(Some(folder.path()), 1, small()).unwrap();
    assert_eq!((messages(&again), again.info(0).unwrap()), copied);
}

#[test]
fn what_the_end_of_the_process_interrupted_is_finished() {
    let (folder, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = open(folder.path(), small());
    log.append_batch(&[record("a", "x")], 1).unwrap();
    let copy = copies.path().join("one");
    log.snapshot(&copy).unwrap();
    log.append_batch(&[record("a", "y")], 2).unwrap();
    drop(log);
    // As if it had ended between the two moves.
    let partition = folder.path().join("partition-0");
    std::fs::rename(&partition, folder.path().join("partition-0.old")).unwrap();
    std::fs::rename(
        copy.join("partition-0"),
        folder.path().join("partition-0.new"),
    )
    .unwrap();
    assert_eq!(messages(&open(folder.path(), small())), ["x"]);
}

#[test]
fn a_log_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    for log in [
        open(folder.path(), small()),
        TelemetryLog::open(None, 1, small()).unwrap(),
    ] {
        log.append_batch(&[record("a", "x")], 1).unwrap();
        log.replace(None).unwrap();
        assert!(log.info(0).unwrap().is_empty());
        log.append_batch(&[record("a", "y")], 2).unwrap();
        assert_eq!(messages(&log), ["y"]);
        assert_eq!(log.info(0).unwrap().next_sequence, 1);
    }
    let again = TelemetryLog::open(Some(folder.path()), 1, small()).unwrap();
    assert_eq!(messages(&again), ["y"]);
}

#[test]
fn a_log_in_memory_is_not_copied() {
    let (log, copies) = (
        TelemetryLog::open(None, 1, small()).unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let copied = log.snapshot(&copies.path().join("one"));
    assert!(matches!(copied, Err(LogError::InMemory)));
}

#[test]
fn a_partition_that_could_not_be_replaced_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small());
    log.append_batch(&[record("a", "x")], 1).unwrap();
    assert!(log.replace(Some(&folder.path().join("nothing"))).is_err());
    let appended = log.append_batch(&[record("a", "y")], 2);
    assert!(matches!(appended, Err(LogError::Broken)));
}
