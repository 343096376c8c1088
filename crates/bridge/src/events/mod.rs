//! Events for subscribers: their contents, their ids, and their outcomes.

mod counters;
mod event;
pub(crate) mod event_id;
pub(crate) mod method_answer;
mod outbox;
mod terms;

pub use counters::EventCounters;
pub use event::{Content, DeliveryOutcome, Event, FinishedEvent};
pub use event_id::Secrets;
pub use method_answer::UnreadCounters;
pub use outbox::{Outbox, Post};
