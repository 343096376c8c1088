//! The log as a whole: rules, crashes, a comparison with a plain list, and a measurement.

mod crash;
mod model;
mod replacing;
mod rules;
mod throughput;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use drawspan_hub::DeviceId;

use super::{AuthKind, AuthScope, LogLimits, MessageSource, NewRecord, Origin, TelemetryLog};

/// Small enough that a few records close a segment, fill an index and overflow the tail.
fn small() -> LogLimits {
    LogLimits {
        segment_bytes: 600,
        segment_age_ms: 10_000,
        retention_ms: 100_000,
        disk_bytes: 1 << 40,
        memory_bytes: 1 << 20,
        tail_bytes: 500,
        index_stride_bytes: 150,
    }
}

fn record(device: &str, message: &str) -> NewRecord {
    NewRecord {
        device_id: DeviceId::parse(device).unwrap(),
        module_id: None,
        origin: Origin {
            scope: AuthScope::Device,
            kind: AuthKind::Sas,
            generation_id: "638000000000000001".into(),
            source: MessageSource::Telemetry,
        },
        message: Bytes::copy_from_slice(message.as_bytes()),
    }
}

/// Without the mark, so that files may be cut as a failure of the machine would.
fn open(folder: &Path, limits: LogLimits) -> TelemetryLog {
    let _ = std::fs::remove_file(folder.join("partition-0.mark"));
    TelemetryLog::open(Some(folder), 1, limits).unwrap()
}

/// Every message of partition 0, read in small steps.
fn messages(log: &TelemetryLog) -> Vec<String> {
    let mut next = 0;
    let mut all = Vec::new();
    loop {
        let records = log.read(0, next, 3, 1 << 20).unwrap();
        let Some(last) = records.last() else {
            return all;
        };
        next = last.sequence + 1;
        all.extend(
            records
                .iter()
                .map(|record| String::from_utf8(record.message.to_vec()).unwrap()),
        );
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("partition-0"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}
