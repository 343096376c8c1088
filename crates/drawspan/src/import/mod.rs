//! Import of the data of the bridge that Drawspan replaces, from exports of its two tables.
//!
//! Everything is read and checked before anything is written (`rows.rs`); `cli/import.rs` writes it.

mod cipher;
mod rows;
mod table;

pub use cipher::{InvalidKey, OldKeys};
pub use rows::{BadRow, Hubs, Subscriptions, hubs, subscriptions};
pub use table::Malformed;
