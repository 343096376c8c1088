//! Modules of devices.

use super::caller::Caller;
use super::refusal::Refusal;

/// Everything about modules.
pub(super) async fn not_yet(_: Caller) -> Refusal {
    Refusal::not_yet("This emulator does not serve modules yet, only devices")
}
