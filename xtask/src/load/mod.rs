//! Runs `drawspan load` and reads its result.

pub(crate) mod downlink;

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::process::{Script, bound_to_us};
use crate::workspace::Workspace;

/// A load that runs.
pub(crate) struct Load(Script);

/// The report of a load.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    /// Requests that were sent, or could not be.
    pub(crate) requests: u64,
    /// Of these, how many got 200.
    pub(crate) ok: u64,
    /// Of these, how many got no answer at all.
    pub(crate) no_answer: u64,
    /// From the first request until the last answer.
    pub(crate) seconds: f64,
    /// Requests answered 200 per second.
    pub(crate) ok_per_s: f64,
    /// Of the requests answered 200.
    pub(crate) latency_us: Latencies,
    /// The longest wait of any request, with any result, in microseconds.
    pub(crate) slowest_us: u64,
    /// How many requests got which status.
    pub(crate) statuses: std::collections::BTreeMap<String, u64>,
}

/// Latencies in microseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Latencies {
    /// Half were faster.
    pub(crate) p50: u64,
    /// 99 of 100 were faster.
    pub(crate) p99: u64,
    /// The slowest.
    pub(crate) max: u64,
}

impl Load {
    /// Starts a load of `name`, which also names its log in `folder`, on the bridge at `address` (host and port).
    pub(crate) fn start(
        workspace: &Workspace,
        name: &str,
        address: &str,
        api_key: &str,
        flags: &[String],
        folder: &Path,
    ) -> Result<Self> {
        let mut command = bound_to_us(workspace.program("drawspan"));
        command
            .args(["load", "--json", "--api-key", api_key])
            // The report is judged here; and one run may use subscriptions of another.
            .args(["--allow-failures", "--keep-subscriptions"])
            .args(["--url", &format!("http://{address}")])
            .args(flags);
        Script::start(name, command, folder).map(Self)
    }

    /// The same, with so long to its end from now on.
    pub(crate) fn within(self, limit: Duration) -> Self {
        Self(self.0.within(limit))
    }

    /// Waits for its end.
    pub(crate) fn finish(self) -> Result<Report> {
        last_line(&self.0.finish()?)
    }

    /// Waits for the end of a load of which nothing may succeed. If so, it ends with exit status 1, and says why below its result.
    pub(crate) fn finish_refused(self) -> Result<Report> {
        self.finish_judged().map(|(report, _)| report)
    }

    /// Waits for the end of a load that may have failed by its own judgement. Gives its report, and what it says is wrong.
    fn finish_judged<T: DeserializeOwned>(self) -> Result<(T, String)> {
        let log = self.0.finish_with(&[0, 1])?;
        let start = log.rfind("\n{").map_or(0, |before| before + 1);
        let result = log.get(start..).unwrap_or_default();
        let (report, wrong) = result.split_once('\n').unwrap_or((result, ""));
        Ok((last_line(report)?, wrong.trim().to_owned()))
    }
}

fn last_line<T: DeserializeOwned>(log: &str) -> Result<T> {
    let result = log.lines().last().unwrap_or_default();
    serde_json::from_str(result)
        .map_err(|error| Error::Unexpected(format!("drawspan load said `{result}`: {error}")))
}

impl Report {
    /// An error unless every request got 200.
    pub(crate) fn all_ok(&self, name: &str) -> Result<()> {
        if self.ok == self.requests {
            return Ok(());
        }
        Err(Error::Unexpected(format!(
            "{name}: {} of {} requests got 200; statuses {:?}, {} without an answer",
            self.ok, self.requests, self.statuses, self.no_answer
        )))
    }

    /// An error unless every request got an answer, and some got 200.
    pub(crate) fn all_answered(&self, name: &str) -> Result<()> {
        if self.no_answer == 0 && self.ok > 0 {
            return Ok(());
        }
        Err(Error::Unexpected(format!(
            "{name}: {} of {} requests had no answer, {} got 200",
            self.no_answer, self.requests, self.ok
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_read_and_what_is_not_200_counts() {
        let line = r#"{"requests":3,"ok":2,"no_answer":0,"seconds":1.5,"ok_per_s":1.3,
            "latency_us":{"p50":1,"p90":2,"p99":3,"max":4},"slowest_us":5,"statuses":{"200":2,"503":1},
            "first_id":1,"devices":1,"connections":1}"#;
        let report: Report = serde_json::from_str(line).unwrap();
        assert_eq!((report.latency_us.p99, report.slowest_us), (3, 5));
        let error = report.all_ok("here").unwrap_err().to_string();
        assert!(
            error.contains("here: 2 of 3") && error.contains("\"503\": 1"),
            "{error}"
        );
    }
}
