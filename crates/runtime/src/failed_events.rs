//! The count of consecutive requests that ran out of time.

use std::sync::atomic::{AtomicU32, Ordering};

use drawspan_gateway::{DeviceError, Unready};

use crate::limits::REQUESTS_IN_VAIN;

/// Counts the requests since the last one that got an answer, a refusal included.
#[derive(Debug, Default)]
pub(super) struct InVain(AtomicU32);

impl InVain {
    /// A request has ended.
    pub(super) fn ended(&self, error: Option<&DeviceError>) {
        match error {
            Some(error) if error.is_out_of_time() => {
                // More of them than fit would take a century.
                self.0.fetch_add(1, Ordering::Relaxed);
            }
            // Reading is cheaper than writing where many requests pass.
            _ if self.0.load(Ordering::Relaxed) > 0 => self.0.store(0, Ordering::Relaxed),
            _ => {}
        }
    }

    /// The fault to report for it.
    pub(super) fn problem(&self) -> Option<Unready> {
        let count = self.0.load(Ordering::Relaxed);
        (count >= REQUESTS_IN_VAIN).then_some(Unready::RequestsTimeOut(count))
    }
}

#[cfg(test)]
mod tests {
    use drawspan_hub::{Failure, FailureKind};

    use super::*;

    #[test]
    fn only_requests_in_a_row_count() {
        let in_vain = InVain::default();
        for _ in 0..REQUESTS_IN_VAIN {
            assert_eq!(in_vain.problem(), None);
            in_vain.ended(Some(&DeviceError::FateUnknown));
        }
        assert_eq!(
            in_vain.problem(),
            Some(Unready::RequestsTimeOut(REQUESTS_IN_VAIN))
        );
        let refused = DeviceError::Refused(Failure::local(FailureKind::Forbidden, "no"));
        in_vain.ended(Some(&refused));
        assert_eq!(in_vain.problem(), None);
        in_vain.ended(Some(&DeviceError::NotSent));
        in_vain.ended(None);
        in_vain.ended(None);
        assert_eq!(in_vain.problem(), None);
    }
}
