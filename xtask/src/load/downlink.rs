//! What `drawspan load` says of messages and methods to devices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Load, last_line};
use crate::error::Result;

/// The report of a load of messages and methods to devices. Its fields are those of `drawspan load --json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) devices: u32,
    /// How long subscribing took.
    pub(crate) subscribing_s: f64,
    /// How long it took then until all were connected.
    pub(crate) connecting_s: f64,
    pub(crate) seen_running: u64,
    pub(crate) seconds: f64,
    pub(crate) c2d: Messages,
    pub(crate) methods: Calls,
    /// Of the second receiver.
    pub(crate) bad_c2d: Messages,
    /// Of the second receiver.
    pub(crate) bad_methods: Calls,
    /// Of an earlier load.
    pub(crate) strays: u64,
    /// Changes of status, and of desired properties.
    pub(crate) notices: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Messages {
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
    pub(crate) unknown: u64,
    pub(crate) arrived: u64,
    pub(crate) taken: u64,
    pub(crate) again: u64,
    pub(crate) twice: u64,
    pub(crate) lost: u64,
    pub(crate) other_webhook_ids: u64,
    pub(crate) latency_us: Latencies,
    pub(crate) reasons: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Calls {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) wrong: u64,
    pub(crate) failed: u64,
    pub(crate) arrived: u64,
    pub(crate) again: u64,
    pub(crate) twice: u64,
    pub(crate) latency_us: Latencies,
    pub(crate) reasons: BTreeMap<String, u64>,
}

/// In microseconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Latencies {
    pub(crate) mean: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl Load {
    /// Waits for the end of a load of messages and methods to devices, which fails when something was lost, done twice or
    /// answered wrongly.
    pub(crate) fn finish_downlink(self) -> Result<Report> {
        last_line(&self.0.finish()?)
    }

    /// The same, but gives the report also when the load failed, with what it says is wrong.
    pub(crate) fn finish_downlink_judged(self) -> Result<(Report, String)> {
        self.finish_judged()
    }
}
