//! What the bridge remembers across restarts, in one SQLite file of a directory of its own.
//!
//! * [`Store`]: the open directory. One process has it at a time; one thread writes, and puts what waits into one
//!   transaction.
//! * [`HubCache`]: which hub each device belongs to, so that a restart asks DPS for nobody.
//!
//! What was acknowledged survives `kill -9` of the process. (After a power failure the last second may be missing.)

pub mod limits;

mod database;
mod error;
mod hub_cache;
mod lock;
mod loss;
mod store;
mod subscriptions;
#[cfg(test)]
mod tests;
mod writer;

pub use error::{OpenError, StoreError};
pub use hub_cache::{CachedHub, HubCache};
pub use store::Store;
pub use subscriptions::{StoredScope, StoredSubscription};
