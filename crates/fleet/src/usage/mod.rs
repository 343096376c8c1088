//! What each device has used of its hub's sends and daily blocks today, and the limits that a device may be given.
//!
//! A hub cannot throttle one device: its rates and its quota are shared by all. [`DeviceUsage`] counts per device in 16 bytes, without
//! a lock; [`UsageTable`] finds it when a device sends for the first time on a connection, and lists those who used most.

mod device_usage;
mod table;

pub use device_usage::{BLOCK_BYTES, DeviceLimits, DeviceUsage, Excess, Used, blocks_of};
pub use table::{Entry, Listed, Report, Sort, Totals, UsageTable};
