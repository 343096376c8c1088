//! While a hub is down, one probe at a time tries it, less and less often.

use std::time::Duration;

use drawspan_fleet::limits::{PROBE_WAIT_MAX, PROBE_WAIT_MIN};

use super::{Violation, ensure};

/// A hub, or DPS, according to the fleet's reports of outages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outage {
    since: Option<Duration>,
    last: Option<Duration>,
}

impl Outage {
    pub(crate) const fn begins(&mut self, now: Duration) {
        self.since = Some(now);
        self.last = None;
    }

    pub(crate) const fn lasts(&self) -> bool {
        self.since.is_some()
    }

    pub(crate) fn lasted(&self, now: Duration) -> Option<Duration> {
        self.since.map(|since| now.saturating_sub(since))
    }

    pub(crate) const fn ends(&mut self) {
        self.since = None;
    }

    /// An attempt starts.
    pub(crate) fn starts(&mut self, who: &str, now: Duration) -> Result<(), Violation> {
        let Some(since) = self.since else {
            return Ok(());
        };
        let (before, wait) = match self.last.replace(now) {
            None => (since, PROBE_WAIT_MIN),
            Some(last) => (last, (last - since).clamp(PROBE_WAIT_MIN, PROBE_WAIT_MAX)),
        };
        let gap = now - before;
        ensure(gap >= wait, "PROBES", || {
            format!("{who} is down and was tried after {gap:?} instead of {wait:?}")
        })
    }
}
