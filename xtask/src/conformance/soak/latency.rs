//! How long telemetry took while the hub was there, from a load's ledger.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// When the hub was away, or had just come back; Unix milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
}

/// One request.
struct Request {
    status: u16,
    latency_us: u64,
    sent_ms: u64,
}

/// All requests of a load.
pub(super) struct Ledger(Vec<Request>);

/// Of the requests that no restart touched.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) messages: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) slowest_ms: f64,
}

impl Ledger {
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::parse(&fs::read_to_string(path).map_err(Error::io("reading", path))?)
    }

    fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().map(|line| {
            let wrong = || Error::Unexpected(format!("the ledger has a line `{line}`"));
            Request::parse(line).ok_or_else(wrong)
        });
        lines.collect::<Result<_>>().map(Self)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// An error when a request failed that no restart touched, or when so few are left that they show nothing.
    pub(super) fn outside(&self, windows: &[Window]) -> Result<Outside> {
        let outside = |request: &&Request| !windows.iter().any(|window| window.touches(request));
        let outside: Vec<_> = self.0.iter().filter(outside).collect();
        if outside.len() < self.0.len() / 2 || outside.is_empty() {
            let (left, all) = (outside.len(), self.0.len());
            let text = format!("only {left} of {all} messages are outside of restarts");
            return Err(Error::Unexpected(text));
        }
        if let Some(failed) = outside.iter().find(|request| request.status != 200) {
            return Err(Error::Unexpected(format!(
                "a message of a good device was answered {} after {} µs, while the hub was there (sent at {} ms)",
                failed.status, failed.latency_us, failed.sent_ms
            )));
        }
        let mut latencies: Vec<_> = outside.iter().map(|request| request.latency_us).collect();
        latencies.sort_unstable();
        let at = |per_cent: usize| {
            let rank = (latencies.len() * per_cent).div_ceil(100).max(1);
            latencies.get(rank - 1).copied().unwrap_or_default() as f64 / 1e3
        };
        Ok(Outside {
            messages: latencies.len(),
            p50_ms: at(50),
            p99_ms: at(99),
            slowest_ms: at(100),
        })
    }
}

impl Request {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t').skip(2);
        let status = fields.next()?.parse().ok()?;
        let latency_us = fields.next()?.parse().ok()?;
        let sent_ms = fields.next()?.parse().ok()?;
        Some(Self {
            status,
            latency_us,
            sent_ms,
        })
    }
}

impl Window {
    /// Whether the request was under way at any time of it.
    fn touches(&self, request: &Request) -> bool {
        let answered_ms = request.sent_ms + request.latency_us / 1_000;
        request.sent_ms <= self.until_ms && answered_ms >= self.from_ms
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length_ms = self.until_ms.saturating_sub(self.from_ms);
        write!(f, "{:.1} s do not count", length_ms as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window {
        from_ms: 1_000,
        until_ms: 2_000,
    };

    /// Good requests outside of the window, and one more.
    fn outside(one: &str) -> Result<Outside> {
        let good = "1\tgood-1\t200\t1000\t500\n".repeat(98);
        let text = format!("{good}1\tgood-1\t200\t7000\t3000\n{one}\n");
        Ledger::parse(&text)?.outside(&[WINDOW])
    }

    #[test]
    fn what_a_restart_touches_does_not_count() {
        for (touched, one) in [
            (false, "1\tgood-1\t200\t9000\t2001"),
            (true, "1\tgood-1\t200\t9000\t2000"),
            (true, "1\tgood-1\t503\t9000\t1500"),
            (false, "1\tgood-1\t200\t9000\t990"),
            (true, "1\tgood-1\t200\t10000\t990"),
            (true, "1\tgood-1\t504\t30000000\t990"),
        ] {
            let found = outside(one).unwrap();
            assert_eq!(found.messages, if touched { 99 } else { 100 }, "{one}");
            assert_eq!(found.slowest_ms, if touched { 7.0 } else { 9.0 }, "{one}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_ledger() {
        let lines = (1..=200).map(|ms| format!("1\tgood-1\t200\t{}\t3000\n", ms * 1_000));
        let found = Ledger::parse(&lines.collect::<String>()).unwrap();
        let found = found.outside(&[WINDOW]).unwrap();
        assert_eq!(
            (found.p50_ms, found.p99_ms, found.slowest_ms),
            (100.0, 198.0, 200.0)
        );
    }

    #[test]
    fn a_failure_while_the_hub_was_there_is_one() {
        for status in ["503", "504", "0"] {
            let line = format!("1\tgood-1\t{status}\t10\t3000");
            assert!(outside(&line).is_err(), "{line}");
        }
        assert!(outside("1\tgood-1\t200\t10").is_err(), "a field is missing");
    }

    #[test]
    fn windows_that_leave_little_show_nothing() {
        let inside = "1\tgood-1\t200\t1000\t1500\n".repeat(101);
        let ledger = Ledger::parse(&format!("{inside}1\tgood-1\t200\t1\t3000")).unwrap();
        assert!(ledger.outside(&[WINDOW]).is_err());
        assert!(Ledger(Vec::new()).outside(&[]).is_err());
    }
}
