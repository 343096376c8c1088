//! How long a token lives beyond its expiry, and by which clock.

use std::time::Duration;

use drawspan_hub::limits::{SAS_CONNECTED_GRACE_S, SAS_GRACE_S};

/// How much time a hub gives a token beyond its expiry, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SasGrace {
    /// To one that is presented.
    pub connect_s: u64,
    /// To one that holds a connection.
    pub live_s: u64,
}

impl Default for SasGrace {
    fn default() -> Self {
        Self {
            connect_s: SAS_GRACE_S,
            live_s: SAS_CONNECTED_GRACE_S,
        }
    }
}

/// When a token or a certificate is presented.
#[derive(Clone, Copy, Debug)]
pub struct Presentation {
    /// The time of day by which clients sign, Unix milliseconds: it tells whether the token or the certificate is valid.
    pub machine_unix_ms: u64,
    /// Time of the hub that has passed since some moment; what is left of the token is spent in this time.
    pub elapsed: Duration,
    /// What a token has beyond its expiry.
    pub grace: SasGrace,
}

impl Presentation {
    /// The machine's time of day, Unix seconds.
    pub const fn machine_unix_s(&self) -> u64 {
        self.machine_unix_ms / 1_000
    }

    /// Whether a token with this expiry is taken.
    pub const fn takes(&self, expiry_unix_s: u64) -> bool {
        self.machine_unix_s() <= expiry_unix_s.saturating_add(self.grace.connect_s)
    }

    /// Until when, in the hub's time, a token with this expiry holds a connection.
    pub fn holds_until(&self, expiry_unix_s: u64) -> Duration {
        let end_s = expiry_unix_s.saturating_add(self.grace.live_s);
        let left_ms = end_s
            .saturating_mul(1_000)
            .saturating_sub(self.machine_unix_ms);
        self.elapsed.saturating_add(Duration::from_millis(left_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_token_is_spent_in_the_hubs_time() {
        let grace = SasGrace::default();
        let check = |now_s: u64, elapsed_s, expected: Option<u64>| {
            let presented = Presentation {
                machine_unix_ms: now_s * 1_000,
                elapsed: Duration::from_secs(elapsed_s),
                grace,
            };
            let holds = presented.takes(1_000).then(|| presented.holds_until(1_000));
            assert_eq!(holds, expected.map(Duration::from_secs), "{now_s}");
        };
        check(400, 0, Some(1_200));
        check(400, 3_660, Some(4_860));
        check(1_000, 50, Some(650));
        check(1_300, 50, Some(350));
        check(1_301, 50, None);
    }

    #[test]
    fn a_token_without_end_holds_for_ever() {
        let presented = Presentation {
            machine_unix_ms: 1,
            elapsed: Duration::MAX,
            grace: SasGrace::default(),
        };
        assert!(presented.takes(u64::MAX));
        assert_eq!(presented.holds_until(u64::MAX), Duration::MAX);
    }
}
