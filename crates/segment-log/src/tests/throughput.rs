//! Throughput of the log. Prints measurements without judging them: `cargo test -r -- --ignored --nocapture throughput`.

use std::time::{Duration, Instant};

use super::record;
use crate::{LogLimits, NewRecord, TelemetryLog};

const PERIOD: Duration = Duration::from_secs(2);

#[test]
#[ignore = "a measurement"]
fn throughput() {
    let folder = tempfile::tempdir().unwrap();
    for (place, folder) in [("disk", Some(folder.path())), ("memory", None)] {
        for batch_len in [1, 64, 512] {
            let folder = folder.map(|folder| folder.join(batch_len.to_string()));
            let log = TelemetryLog::open(folder.as_deref(), 4, LogLimits::default()).unwrap();
            let batch: Vec<NewRecord> = (0..batch_len)
                .map(|number| record(&format!("device-{number}"), &"x".repeat(300)))
                .collect();
            let (begun, mut appends) = (Instant::now(), 0_u32);
            while begun.elapsed() < PERIOD {
                log.append_batch(&batch, u64::from(appends)).unwrap();
                appends += 1;
            }
            let elapsed = begun.elapsed();
            let read_begun = Instant::now();
            let read = read_all(&log);
            println!(
                "{place}, batches of {batch_len}: {:.0} messages/s, {:.2} µs per append; read back {:.0} messages/s",
                f64::from(appends) * f64::from(batch_len) / elapsed.as_secs_f64(),
                elapsed.as_secs_f64() * 1e6 / f64::from(appends),
                read as f64 / read_begun.elapsed().as_secs_f64(),
            );
        }
    }
}

fn read_all(log: &TelemetryLog) -> usize {
    let mut read = 0;
    for partition in 0..log.partition_count() {
        let mut next = 0;
        loop {
            let records = log.read(partition, next, 1_000, 256 * 1024).unwrap();
            let Some(last) = records.last() else {
                break;
            };
            next = last.sequence + 1;
            read += records.len();
        }
    }
    read
}
