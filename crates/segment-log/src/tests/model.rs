//! The log against a plain list: any mixture of appends, reads, searches, restarts and retention.

use proptest::prelude::*;

use super::{record, small};
use crate::{LogLimits, Position, TelemetryLog};

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Pass(u64),
    Read {
        sequence: u64,
        max_records: usize,
        max_bytes: usize,
    },
    Seek(Position),
    Keep,
    Restart,
}

#[derive(Clone, Debug, PartialEq)]
struct Kept {
    sequence: u64,
    unix_ms: u64,
    message: String,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let position = prop_oneof![
        Just(Position::Start),
        Just(Position::End),
        (-2..70_i64, any::<bool>())
            .prop_map(|(value, inclusive)| Position::Sequence { value, inclusive }),
        (-2..6_000_i64, any::<bool>())
            .prop_map(|(value, inclusive)| Position::Offset { value, inclusive }),
        (-2..90_000_i64, any::<bool>())
            .prop_map(|(unix_ms, inclusive)| Position::EnqueuedTime { unix_ms, inclusive }),
    ];
    let step = prop_oneof![
        6 => prop::collection::vec(0..200_usize, 0..5).prop_map(Step::Append),
        2 => (0..8_000_u64).prop_map(Step::Pass),
        4 => (0..70_u64, 1..6_usize, 1..400_usize)
            .prop_map(|(sequence, max_records, max_bytes)| Step::Read { sequence, max_records, max_bytes }),
        4 => position.prop_map(Step::Seek),
        1 => Just(Step::Keep),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

/// Runs `steps` on a log; `on_disk` says which kind.
fn run(steps: &[Step], on_disk: bool) {
    let folder = tempfile::tempdir().unwrap();
    let limits = LogLimits {
        retention_ms: 30_000,
        ..small()
    };
    let open = || TelemetryLog::open(on_disk.then_some(folder.path()), 1, limits).unwrap();
    let mut log = open();
    let mut model: Vec<Kept> = Vec::new();
    let mut now = 1_000;
    for step in steps {
        match step {
            Step::Append(lens) => {
                let texts: Vec<String> = lens.iter().map(|len| "m".repeat(*len)).collect();
                let batch: Vec<_> = texts.iter().map(|text| record("a", text)).collect();
                log.append_batch(&batch, now).unwrap();
                for message in texts {
                    model.push(Kept {
                        sequence: model.len() as u64,
                        unix_ms: now,
                        message,
                    });
                }
            }
            Step::Pass(ms) => now += ms,
            Step::Read {
                sequence,
                max_records,
                max_bytes,
            } => {
                check_read(&log, &model, *sequence, *max_records, *max_bytes);
            }
            Step::Seek(position) => check_seek(&log, &model, *position),
            Step::Keep => {
                log.keep(now).unwrap();
                check_retention(&log, &model, now, limits);
            }
            Step::Restart if on_disk => log = open(),
            Step::Restart => {}
        }
        assert_eq!(log.info(0).unwrap().next_sequence, model.len() as u64);
    }
}

fn check_read(
    log: &TelemetryLog,
    model: &[Kept],
    sequence: u64,
    max_records: usize,
    max_bytes: usize,
) {
    let begin = log.info(0).unwrap().begin_sequence;
    let records = log.read(0, sequence, max_records, max_bytes).unwrap();
    let from = sequence.max(begin) as usize;
    assert_eq!(
        records.is_empty(),
        from >= model.len(),
        "nothing is returned at the end, and only there"
    );
    assert!(records.len() <= max_records);
    for (record, kept) in records.iter().zip(&model[from.min(model.len())..]) {
        let message = String::from_utf8(record.message.to_vec()).unwrap();
        let read = Kept {
            sequence: record.sequence,
            unix_ms: record.enqueued_unix_ms,
            message,
        };
        assert_eq!(read, *kept);
    }
    let all_but_last: usize = records
        .iter()
        .rev()
        .skip(1)
        .map(|record| record.message.len())
        .sum();
    assert!(all_but_last < max_bytes);
}

fn check_seek(log: &TelemetryLog, model: &[Kept], position: Position) {
    let begin = log.info(0).unwrap().begin_sequence;
    // 28 bytes of header, 5 of lengths, 1 of device id, 18 of generation id.
    let offsets: Vec<u64> = model
        .iter()
        .scan(0, |offset, kept| {
            let this = *offset;
            *offset += 28 + 5 + 1 + 18 + kept.message.len() as u64;
            Some(this)
        })
        .collect();
    let reached = |key: u64, value: i64, inclusive: bool| {
        let key = i128::from(key);
        if inclusive {
            key >= i128::from(value)
        } else {
            key > i128::from(value)
        }
    };
    let found = model.iter().position(|kept| match position {
        Position::Start => true,
        Position::End => false,
        Position::Sequence { value, inclusive } => reached(kept.sequence, value, inclusive),
        Position::Offset { value, inclusive } => {
            reached(offsets[kept.sequence as usize], value, inclusive)
        }
        Position::EnqueuedTime { unix_ms, inclusive } => reached(kept.unix_ms, unix_ms, inclusive),
    });
    let expected = (found.unwrap_or(model.len()) as u64).max(begin);
    assert_eq!(log.seek(0, position).unwrap(), expected, "{position:?}");
}

fn check_retention(log: &TelemetryLog, model: &[Kept], now: u64, limits: LogLimits) {
    let begin = log.info(0).unwrap().begin_sequence as usize;
    let too_old = |kept: &Kept| kept.unix_ms + limits.retention_ms < now;
    assert!(
        model[..begin].iter().all(too_old),
        "something was deleted too early"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn on_disk(steps in steps()) {
        run(&steps, true);
    }

    #[test]
    fn in_memory(steps in steps()) {
        run(&steps, false);
    }
}
