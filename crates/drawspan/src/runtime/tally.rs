//! What is counted of hubs and of DPS, by the one task that hears of it.

use drawspan_hub::FailureKind;

use crate::metrics::Sample;

/// How often each kind of failure came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ByFailure([u64; FailureKind::ALL.len()]);

/// What was done at a hub, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct HubTally {
    /// Attempts to connect a device.
    pub(super) attempts: u64,
    /// Those that succeeded.
    pub(super) connects: u64,
    /// Those that failed.
    pub(super) failures: ByFailure,
    /// Connected devices that lost their connection.
    pub(super) disconnects: ByFailure,
    /// Connections that could not be made, or ended by themselves.
    pub(super) ended: ByFailure,
}

/// What came of registrations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DpsTally {
    pub(super) assigned: u64,
    pub(super) failures: ByFailure,
}

impl Default for ByFailure {
    fn default() -> Self {
        Self([0; FailureKind::ALL.len()])
    }
}

impl ByFailure {
    pub(super) fn add(&mut self, kind: FailureKind) {
        if let Some(count) = self.0.get_mut(kind as usize) {
            *count += 1;
        }
    }

    pub(super) fn of_hub(self, hub: &str) -> impl Iterator<Item = Sample> {
        let kinds = FailureKind::ALL.into_iter().zip(self.0);
        kinds.map(move |(kind, count)| Sample::of_hub(hub, [kind.as_str()], count))
    }

    pub(super) fn samples(self) -> impl Iterator<Item = Sample> {
        let kinds = FailureKind::ALL.into_iter().zip(self.0);
        kinds.map(|(kind, count)| Sample::of([kind.as_str()], count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_count() {
        let mut counts = ByFailure::default();
        for (at, kind) in FailureKind::ALL.into_iter().enumerate() {
            for _ in 0..=at {
                counts.add(kind);
            }
        }
        for (at, count) in counts.0.into_iter().enumerate() {
            assert_eq!(count, at as u64 + 1);
        }
    }
}
