//! Whether the bridge's memory stays as it is after the first quarter.

use crate::conformance::outage::say;
use crate::error::{Error, Result};

/// Resident bytes over time.
#[derive(Default)]
pub(super) struct Memory(Vec<(f64, u64)>);

/// The first quarter's end, in parts of the run. The first restart is over then.
const QUARTER: std::ops::Range<f64> = 0.20..0.25;
const END: std::ops::Range<f64> = 0.95..2.0;
/// Growth that is allowed: a fifth, and what an allocator may keep.
const ALLOWED_PERCENT: u64 = 20;
const ALLOWED_BYTES: u64 = 16 << 20;

impl Memory {
    /// Resident bytes when `part` of the run was over.
    pub(super) fn add(&mut self, part: f64, bytes: u64) {
        self.0.push((part, bytes));
    }

    /// Shows how memory developed; an error when it grew.
    pub(super) fn check(&self) -> Result<()> {
        let most = self.0.iter().map(|(_, bytes)| *bytes).max();
        let (quarter, end) = (self.median(&QUARTER), self.median(&END));
        let (Some(most), Some(quarter), Some(end)) = (most, quarter, end) else {
            return Err(Error::Unexpected("memory was not measured".into()));
        };
        let mb = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        say(&format!(
            "memory of the bridge: {:.1} MB after the first quarter, {:.1} MB at the end, {:.1} MB at most",
            mb(quarter),
            mb(end),
            mb(most)
        ));
        if end <= quarter + quarter * ALLOWED_PERCENT / 100 + ALLOWED_BYTES {
            return Ok(());
        }
        let (quarter, end) = (mb(quarter), mb(end));
        let text = format!("memory grew from {quarter:.1} to {end:.1} MB");
        Err(Error::Unexpected(text))
    }

    fn median(&self, parts: &std::ops::Range<f64>) -> Option<u64> {
        let within = self.0.iter().filter(|(part, _)| parts.contains(part));
        let mut bytes: Vec<_> = within.map(|(_, bytes)| *bytes).collect();
        bytes.sort_unstable();
        bytes.get(bytes.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_after_the_first_quarter_is_seen() {
        let check = |samples: &[(f64, u64)], is_flat: bool| {
            let memory = Memory(samples.iter().map(|(at, mb)| (*at, mb << 20)).collect());
            assert_eq!(memory.check().is_ok(), is_flat, "{samples:?}");
        };
        check(&[(0.1, 20), (0.22, 100), (0.99, 136)], true);
        check(&[(0.1, 20), (0.22, 100), (0.99, 137)], false);
        // A peak in between, or one sample, is not growth.
        check(
            &[(0.22, 100), (0.5, 900), (0.96, 90), (0.97, 90), (0.98, 900)],
            true,
        );
        check(&[(0.22, 100), (0.5, 100)], false);
        check(&[], false);
    }
}
