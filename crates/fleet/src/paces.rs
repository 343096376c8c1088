//! A hub's rates for operations of connected devices. The [governor](crate::governor) paces connects.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use drawspan_hub::limits::{HubSize, Rate};

use crate::limits::{CATCH_UPS_PER_S, FAULT_AFTER};
use crate::{FairLimiter, RateLimiter, SendQuota};

/// The paces of one hub; without limits where its size is not known. Shared by everybody who uses the hub's devices.
#[derive(Debug)]
pub struct Paces {
    /// Telemetry.
    pub sends: FairLimiter,
    /// Reads of twins.
    pub twin_reads: FairLimiter,
    /// Changes of reported properties.
    pub twin_updates: FairLimiter,
    /// Background reads: half of what the hub accepts, or a modest number.
    catch_ups: RateLimiter,
    /// Whether messages may go, as far as the hub's daily quota is known.
    pub send_quota: SendQuota,
    /// Requests in a row that the hub has not answered.
    unanswered: AtomicU32,
}

impl Paces {
    /// Of a hub of that size, if it is known.
    #[must_use]
    pub fn of(size: Option<HubSize>) -> Self {
        Self {
            sends: FairLimiter::new(size.map(|size| size.d2c_sends())),
            twin_reads: FairLimiter::new(size.map(|size| size.twin_reads())),
            twin_updates: FairLimiter::new(size.map(|size| size.twin_updates())),
            catch_ups: RateLimiter::new(Some(catch_ups(size))),
            send_quota: SendQuota::default(),
            unanswered: AtomicU32::new(0),
        }
    }

    /// The hub left a request of a connected device without an answer. True if the controller is to know: it is one of the first in a
    /// row.
    pub fn unanswered(&self) -> bool {
        let before = self.unanswered.fetch_add(1, Ordering::Relaxed);
        before < FAULT_AFTER
    }

    /// The hub answered one. True if the controller is to know: it had left some without an answer.
    pub fn answered(&self) -> bool {
        // Reading is cheaper than writing where many requests pass.
        self.unanswered.load(Ordering::Relaxed) > 0
            && self.unanswered.swap(0, Ordering::Relaxed) > 0
    }

    /// A turn for a background read, or how long until there is one.
    pub fn admit_catch_up(&self, now: Duration) -> Result<(), Duration> {
        let wait = self.catch_ups.wait(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.twin_reads.admit_background(now)?;
        self.catch_ups.admit(now, Duration::ZERO).map(|_| ())
    }
}

fn catch_ups(size: Option<HubSize>) -> Rate {
    let half = size.map(|size| size.twin_reads().per_minute / 2);
    half.map_or(Rate::per_second(CATCH_UPS_PER_S), |per_minute| {
        Rate::per_minute(per_minute)
    })
}
