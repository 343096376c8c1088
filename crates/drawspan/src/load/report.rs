//! What came of a load.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::histogram::Histogram;
use super::options::Load;

/// Counts of some requests.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    statuses: BTreeMap<u16, u64>,
    ok_latencies: Histogram,
    slowest_us: u64,
}

/// The result of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Requests that were sent, or could not be.
    pub requests: u64,
    /// Of these, how many got 200.
    pub ok: u64,
    /// Of these, how many got no answer at all.
    pub no_answer: u64,
    /// From the first request until the last answer.
    pub seconds: f64,
    /// Requests answered 200 per second.
    pub ok_per_s: f64,
    /// Of the requests answered 200.
    pub latency_us: Latencies,
    /// The longest wait of any request, whatever came of it, in microseconds.
    pub slowest_us: u64,
    /// How many requests got which status.
    pub statuses: BTreeMap<u16, u64>,
    /// The first message id.
    pub first_id: u64,
    /// Number of devices.
    pub devices: u32,
    /// Number of connections.
    pub connections: u32,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Latencies {
    /// Half were faster.
    pub p50: u64,
    /// Nine of ten were faster.
    pub p90: u64,
    /// 99 of 100 were faster.
    pub p99: u64,
    /// The slowest.
    pub max: u64,
}

impl Tally {
    /// Counts one request; status 0 means no answer.
    pub fn count(&mut self, status: u16, latency_us: u64) {
        *self.statuses.entry(status).or_default() += 1;
        self.slowest_us = self.slowest_us.max(latency_us);
        if status == 200 {
            self.ok_latencies.record(latency_us);
        }
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.ok_latencies.add(&other.ok_latencies);
        self.slowest_us = self.slowest_us.max(other.slowest_us);
    }

    /// All requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Those that got 200.
    #[must_use]
    pub fn ok(&self) -> u64 {
        self.ok_latencies.count()
    }
}

impl Report {
    /// The result of `load`, from its counts.
    #[must_use]
    pub fn new(load: &Load, total: &Tally, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        let latencies = &total.ok_latencies;
        let mut statuses = total.statuses.clone();
        let no_answer = statuses.remove(&0).unwrap_or_default();
        Self {
            requests: total.requests(),
            ok: total.ok(),
            no_answer,
            seconds,
            ok_per_s: if seconds > 0.0 {
                total.ok() as f64 / seconds
            } else {
                0.0
            },
            latency_us: Latencies {
                p50: latencies.percentile_us(50),
                p90: latencies.percentile_us(90),
                p99: latencies.percentile_us(99),
                max: latencies.max_us(),
            },
            slowest_us: total.slowest_us,
            statuses,
            first_id: load.first_id,
            devices: load.devices,
            connections: load.connections,
        }
    }

    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers only: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u64| format!("{:.2} ms", us as f64 / 1000.0);
        let latency = &self.latency_us;
        writeln!(f, "  requests   {} in {:.1} s", self.requests, self.seconds)?;
        writeln!(f, "  ok         {}, {:.0}/s", self.ok, self.ok_per_s)?;
        writeln!(
            f,
            "  latency    p50 {}  p90 {}  p99 {}  max {}",
            ms(latency.p50),
            ms(latency.p90),
            ms(latency.p99),
            ms(latency.max)
        )?;
        writeln!(
            f,
            "  slowest    {} (whatever came of it)",
            ms(self.slowest_us)
        )?;
        for (status, count) in &self.statuses {
            writeln!(f, "  status {status} {count}")?;
        }
        writeln!(f, "  no answer  {}", self.no_answer)
    }
}
