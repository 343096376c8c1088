//! A hub's pace for what is asked of connected devices. Connects are paced by the [governor](crate::governor).

use std::time::Duration;

use drawspan_hub::limits::{HubSize, Rate};

use crate::Bucket;
use crate::limits::CATCH_UPS_PER_S;

/// The paces of one hub; without limits where its size is not known. Shared by everybody who uses the hub's devices.
#[derive(Debug)]
pub struct Paces {
    /// Telemetry.
    pub sends: Bucket,
    /// Reads of twins.
    pub twin_reads: Bucket,
    /// Changes of reported properties.
    pub twin_updates: Bucket,
    /// Reads that nobody waits for: half of what the hub takes, or a modest number.
    catch_ups: Bucket,
}

impl Paces {
    /// Of a hub of that size, if it is known.
    #[must_use]
    pub fn of(size: Option<HubSize>) -> Self {
        Self {
            sends: Bucket::new(size.map(|size| size.d2c_sends())),
            twin_reads: Bucket::new(size.map(|size| size.twin_reads())),
            twin_updates: Bucket::new(size.map(|size| size.twin_updates())),
            catch_ups: Bucket::new(Some(catch_ups(size))),
        }
    }

    /// A turn for a read that nobody waits for, or how long until there is one.
    pub(crate) fn admit_catch_up(&self, now: Duration) -> Result<(), Duration> {
        let wait = self.catch_ups.wait(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.twin_reads.admit(now, Duration::ZERO)?;
        self.catch_ups.admit(now, Duration::ZERO).map(|_| ())
    }
}

fn catch_ups(size: Option<HubSize>) -> Rate {
    let half = size.map(|size| size.twin_reads().per_minute / 2);
    half.map_or(Rate::per_second(CATCH_UPS_PER_S), |per_minute| {
        Rate::per_minute(per_minute)
    })
}
