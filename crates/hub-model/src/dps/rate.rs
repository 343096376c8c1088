//! The rate limit of registrations.

/// A bucket that a minute fills. Off unless a limit is given.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    per_minute: u32,
    /// Sixty-thousandths of a registration, so that a millisecond adds a whole number of them.
    left: u64,
    at_unix_ms: u64,
}

const PER_REGISTRATION: u64 = 60_000;

impl Rate {
    /// A full bucket.
    pub fn new(per_minute: u32, now_unix_ms: u64) -> Self {
        Self {
            per_minute,
            left: u64::from(per_minute) * PER_REGISTRATION,
            at_unix_ms: now_unix_ms,
        }
    }

    /// Takes one registration in.
    ///
    /// # Errors
    /// After how many seconds there will be room for one, if there is none now.
    pub fn take(&mut self, now_unix_ms: u64) -> Result<(), u32> {
        let rate = u64::from(self.per_minute);
        let passed = now_unix_ms.saturating_sub(self.at_unix_ms);
        self.at_unix_ms = now_unix_ms;
        let full = rate * PER_REGISTRATION;
        self.left = passed
            .saturating_mul(rate)
            .saturating_add(self.left)
            .min(full);
        match self.left.checked_sub(PER_REGISTRATION) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let missing_ms = (PER_REGISTRATION - self.left).div_ceil(rate.max(1));
                Err(u32::try_from(missing_ms.div_ceil(1_000)).unwrap_or(u32::MAX))
            }
        }
    }
}
