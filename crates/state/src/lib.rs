//! What the bridge's and the emulator's state directories have in common.
//!
//! * [`private`]: directories and files that nobody but their owner reads.
//! * [`Lock`]: one process per directory.
//! * [`Mark`]: a small file beside the data that says how much was written, so that data that went missing is noticed.
//! * [`sqlite`]: what is looked at before SQLite opens a file, and the check of its pages and schema.
//! * [`sums`]: checksums over the rows of tables, kept by triggers.
//! * [`whole`]: whether the files of an open database still hold what was written to them.

pub mod limits;
pub mod private;
pub mod sqlite;
pub mod sums;
pub mod whole;

mod boot;
mod lock;
mod mark;

pub use boot::Boot;
pub use lock::{Lock, LockError};
pub use mark::{Mark, Recorded, Said};
