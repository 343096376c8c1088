//! What tasks of the shell bring back to it: it waits for nobody itself.

use drawspan_bridge::fleet::Attempt;
use drawspan_client::{SendFailure, TwinAnswer};
use drawspan_hub::SubscriptionType;
use drawspan_store::StoreError;

use super::records::Then;
use super::table::Row;
use crate::devices::Scope;

/// Something that a task brings back.
#[derive(Debug)]
pub(super) enum Brought {
    /// A device's twin was read, to look whether a change was missed.
    Twin {
        attempt: Attempt,
        answer: Result<TwinAnswer, SendFailure>,
    },
    /// The outcome of a message that was asked for is told.
    Settled(Attempt),
    /// A change of a subscription is written, or is not.
    Written {
        scope: Scope,
        result: Result<(), StoreError>,
        then: Then,
    },
    /// What is stored of a scope's subscriptions.
    Rows {
        scope: Scope,
        rows: Result<Vec<(SubscriptionType, Row)>, StoreError>,
    },
}
