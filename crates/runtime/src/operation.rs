//! What is asked of a connected device.

use bytes::Bytes;
use drawspan_client::TwinOperation;

/// What is asked of a connected device.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    /// An encoded message to send, and the blocks of the hub's daily quota that it takes.
    Send(Bytes, u32),
    /// Something about its twin.
    Twin(TwinOperation),
}

impl Operation {
    pub(super) const fn only_reads(&self) -> bool {
        matches!(self, Self::Twin(TwinOperation::Get))
    }
}
