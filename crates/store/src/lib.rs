//! The bridge's state across restarts, in one SQLite file of a dedicated directory.
//!
//! * [`Store`]: the open directory. One process has it at a time; one thread writes, and puts what waits into one
//!   transaction.
//! * [`HubCache`]: the hub of each device, so that DPS need not be asked after a restart.
//! * [`Subscriptions`]: subscriptions of callers. Callback URLs are encrypted.
//! * [`DeadLetters`]: undelivered events, encrypted; the newest of them.
//! * [`DesiredMarks`]: the delivered versions of desired properties.
//! * [`Idempotency`]: the requests that were answered already.
//! * [`StoreHealth`]: the health of all of this.
//!
//! [`manage`] has the operations of commands on such a directory, even while another process uses it: keys, backup, restore.
//!
//! Acknowledged changes survive `kill -9` of the process. (A power failure may lose the last second, except for subscriptions.) The
//! keys are in a key ring, a separate file that need not be in the directory.

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
