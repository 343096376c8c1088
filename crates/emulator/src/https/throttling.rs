//! What the hub's rates and its quota do to a request: it waits for its time, or is refused.

use axum::body::HttpBody as _;
use axum::response::Response;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::throttle_text::throttled_text;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::throttle::{OperationClass, RateLimits};

use super::refusal::Refusal;

/// Waits until operations of a class that come together may pass. `cost` counts for the rate, the `sizes` of their data in bytes for
/// the quota. `client` is whom they are of, if they are one's.
///
/// # Errors
/// When they may not pass.
pub(super) async fn turn(
    hub: &Hub,
    client: Option<&ClientId>,
    class: OperationClass,
    cost: u64,
    sizes: impl IntoIterator<Item = usize>,
) -> Result<(), Refusal> {
    let passed = hub.pass(client, class, cost, sizes).await;
    passed.map_err(|refused| {
        let refusal = Refusal::new(refused.code, throttled_text(refused.code));
        match hub.rate_limits(RateLimits::retry_after_s) {
            Some(seconds) if refused.code.http_status() == 429 => refusal.with_wait(seconds),
            _ => refusal,
        }
    })
}

/// Waits for the turn of a read or change of so many identities of the registry.
///
/// # Errors
/// As for [`turn`].
pub(super) async fn registry_turn(hub: &Hub, identities: usize) -> Result<(), Refusal> {
    turn(hub, None, OperationClass::Registry, identities as u64, []).await
}

/// Counts the body of an answer as messages of the quota.
pub(super) fn charge_answer(hub: &Hub, answer: &Response) {
    let bytes = answer.body().size_hint().lower();
    hub.charge([usize::try_from(bytes).unwrap_or(usize::MAX)]);
}
