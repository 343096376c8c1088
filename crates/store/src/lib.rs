//! What the bridge remembers across restarts, in one SQLite file of a directory of its own.
//!
//! * [`Store`]: the open directory. One process has it at a time; one thread writes, and puts what waits into one
//!   transaction.
//! * [`HubCache`]: which hub each device belongs to, so that a restart asks DPS for nobody.
//! * [`Subscriptions`]: what callers subscribed to. Callback URLs are encrypted.
//! * [`DeadLetters`]: events that their receivers did not take, encrypted; the newest of them.
//! * [`DesiredMarks`]: which desired properties were delivered.
//! * [`Idempotency`]: which requests were answered already.
//! * [`StoreHealth`]: whether all that works, as a level.
//!
//! [`manage`] is what commands do with such a directory, also beside the process that has it: keys, backup, restore.
//!
//! What was acknowledged survives `kill -9` of the process. (After a power failure the last second may be missing, but for
//! subscriptions.) The keys lie in a key ring, a file of its own that need not be in the directory.

pub mod limits;
pub mod manage;

mod change;
mod clock;
mod database;
mod dead_letters;
mod desired_marks;
mod error;
mod files;
mod health;
mod hub_cache;
mod idempotency;
mod key_rotation;
mod keyring;
mod loss_counter;
mod queue;
mod reader;
mod scheduler;
mod state_files;
mod store;
mod subscriptions;
#[cfg(test)]
mod tests;
mod traces;
mod watch;
mod writer;

pub use dead_letters::{DeadLetterFilter, DeadLetters, NewDeadLetter, StoredDeadLetter};
pub use desired_marks::{DesiredMark, DesiredMarks};
pub use error::{OpenError, StoreError};
pub use health::{FoundLost, Health, StoreFault, StoreFile, StoreHealth};
pub use hub_cache::{CachedHub, HubCache};
pub use idempotency::{Idempotency, StoredAnswer};
pub use keyring::{KeyRingError, NoNewKey};
pub use store::{Store, default_keyring};
pub use subscriptions::{StoredScope, StoredSubscription, Subscriptions, Written};
pub use traces::Trace;
