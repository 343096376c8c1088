//! Events for subscribers: what they are, what they are called, and what became of them.

mod event;
pub(crate) mod event_id;
pub(crate) mod method_answer;
mod outbox;
mod tally;
mod terms;

pub use event::{Content, Delivery, Event, Verdict};
pub use event_id::Secrets;
pub use method_answer::UnreadTally;
pub use outbox::{Outbox, Post};
pub use tally::EventTally;
