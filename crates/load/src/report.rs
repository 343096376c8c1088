//! The report of a load.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use drawspan_settings::plural::count;
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
    /// The longest wait of any request, with any result, in microseconds.
    pub slowest_us: u64,
    /// How many requests got which status.
    pub statuses: BTreeMap<u16, u64>,
    /// The first message id.
    pub first_id: u64,
    /// Number of devices.
    pub devices: u32,
    /// Number of connections.
    pub connections: u32,
    /// How many requests the run was asked for, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
    /// The text of the first failed answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_problem: Option<String>,
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

    /// Requests that got 200.
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
            asked: load.asked(),
            first_problem: None,
        }
    }

    /// Why the run did not do what it was asked for, if so. One that may have failures needs one success only.
    #[must_use]
    pub fn fault(&self, allow_failures: bool) -> Option<String> {
        let first = self
            .first_problem
            .as_ref()
            .map(|problem| format!("; the first: {problem}"))
            .unwrap_or_default();
        let requests = count(self.requests, "request", "requests");
        if self.ok == 0 {
            return Some(format!("none of {requests} got 200{first}"));
        }
        if allow_failures {
            return None;
        }
        let failed = self.requests - self.ok;
        if failed > 0 {
            return Some(format!("{failed} of {requests} did not get 200{first}"));
        }
        // Each connection may be busy with its last one when the time is over.
        let asked = self.asked?;
        let missing = asked.saturating_sub(self.requests);
        (missing > u64::from(self.connections)).then(|| {
            format!(
                "{} of {} were sent: the answers come too slowly for so few connections (--connections)",
                self.requests,
                count(asked, "request", "requests")
            )
        })
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
        writeln!(f, "  slowest    {} (with any result)", ms(self.slowest_us))?;
        for (status, count) in &self.statuses {
            writeln!(f, "  status {status} {count}")?;
        }
        writeln!(f, "  no answer  {}", self.no_answer)?;
        match &self.first_problem {
            Some(problem) => writeln!(f, "  problem    {problem}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_fails_that_did_less_than_it_was_asked_for() {
        let report = |requests, ok, asked| Report {
            requests,
            ok,
            no_answer: 0,
            seconds: 1.0,
            ok_per_s: 0.0,
            latency_us: Latencies {
                p50: 0,
                p90: 0,
                p99: 0,
                max: 0,
            },
            slowest_us: 0,
            statuses: BTreeMap::new(),
            first_id: 0,
            devices: 1,
            connections: 4,
            asked,
            first_problem: (ok < requests).then(|| "502 for device d".to_owned()),
        };
        let check = |report: Report, allow: bool, expected: Option<&str>| {
            let fault = report.fault(allow);
            match expected {
                None => assert_eq!(fault, None),
                Some(part) => {
                    let fault = fault.unwrap_or_default();
                    assert!(fault.contains(part), "{fault}");
                }
            }
        };
        check(report(10, 10, Some(10)), false, None);
        check(report(10, 10, Some(14)), false, None);
        check(
            report(10, 10, Some(15)),
            false,
            Some("10 of 15 requests were sent"),
        );
        check(report(10, 10, Some(15)), true, None);
        check(
            report(10, 9, Some(10)),
            false,
            Some("1 of 10 requests did not get 200; the first: 502 for device d"),
        );
        check(report(10, 9, None), true, None);
        check(
            report(10, 0, None),
            true,
            Some("none of 10 requests got 200; the first: 502"),
        );
        check(report(1, 0, None), false, Some("none of 1 request got 200"));
        check(report(0, 0, Some(5)), false, Some("none of 0 requests"));
    }
}
