//! Counters of hubs and of DPS.

use drawspan_hub::FailureKind;

/// How often each kind of failure came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByFailure([u64; FailureKind::ALL.len()]);

/// Operations at a hub, and their results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HubCounters {
    /// Attempts to connect a device.
    pub attempts: u64,
    /// Successful ones.
    pub connects: u64,
    /// Failed ones.
    pub failures: ByFailure,
    /// Connected devices that lost their connection.
    pub disconnects: ByFailure,
    /// Connections that could not be made, or ended by themselves.
    pub ended: ByFailure,
}

/// Results of registrations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DpsCounters {
    /// Devices that DPS assigned.
    pub assigned: u64,
    /// Registrations that failed.
    pub failures: ByFailure,
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

    /// Each kind with its count.
    pub fn counts(self) -> impl Iterator<Item = (FailureKind, u64)> {
        FailureKind::ALL.into_iter().zip(self.0)
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
