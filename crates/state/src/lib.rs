//! The common parts of the bridge's and the emulator's state directories.
//!
//! * [`private`]: directories and files that only their owner can read.
//! * [`Lock`]: one process per directory.
//! * [`Mark`]: a small file next to the data that counts what was written, so that missing data is detected.
//! * [`sqlite`]: checks before SQLite opens a file, and the check of its pages and schema.
//! * [`sums`]: checksums over the rows of tables, kept by triggers.
//! * [`whole`]: checks whether the files of an open database still hold what was written to them.

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
