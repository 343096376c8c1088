//! Answers within a deadline, or a refusal.

use drawspan_gateway::DeviceError;
use drawspan_gateway::limits::RETRY_AFTER_S;
use tokio::time::{Instant, timeout_at};

use super::problem::{Kind, Problem};

/// Waits for devices within the deadline: look-ups have no deadline of their own in the gateway.
pub(super) async fn by<T>(
    deadline: Instant,
    answer: impl Future<Output = Result<T, DeviceError>>,
) -> Result<T, Problem> {
    match timeout_at(deadline, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::new(
            Kind::NotReady,
            "The bridge is overloaded and did not process this request.",
        )
        .retry_after(RETRY_AFTER_S)),
    }
}
