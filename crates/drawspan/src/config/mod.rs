//! Flags and environment as one valid value. Every mistake is reported at once, and no secret is ever shown.

pub mod connect;
pub mod mistakes;
pub mod serve;

mod authorities;

pub use authorities::{InvalidAuthorities, read as read_authorities};
pub use connect::ConnectTo;
pub use mistakes::Mistakes;
pub use serve::{Config, ServeArgs};

/// Exit code for a command line or environment that cannot be used (`EX_USAGE` of sysexits).
pub const EXIT_USAGE: u8 = 64;
