//! State shared by handlers.

use std::sync::Arc;
use std::time::Duration;

use super::counts::Counts;
use super::idempotency::Idempotency;
use super::listeners::Listeners;

/// The state of the handlers.
pub(super) struct State<D> {
    pub(super) devices: D,
    pub(super) request_timeout: Duration,
    pub(super) idempotency: Idempotency,
    pub(super) counts: Arc<Counts>,
    pub(super) listeners: Arc<Listeners>,
}
