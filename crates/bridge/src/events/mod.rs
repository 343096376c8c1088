//! Events for subscribers: what they are, what they are called, and what became of them.

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
