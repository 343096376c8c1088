//! Flags, environment and file as one valid value. Every mistake is reported at once, and no secret is ever shown.
//!
//! One table ([`settings`]) says what there is; `layers` finds what was given, [`check`](load) makes it valid.

pub mod connect;
pub mod mistakes;
pub mod reference;
pub mod settings;
pub mod template;

mod arguments;
mod authorities;
mod check;
mod devices_file;
mod effective;
mod file;
mod layers;
mod original;
mod profile;
mod reload;
mod service;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod vault;
mod way;

pub use arguments::ServeArgs;
pub use authorities::{InvalidAuthorities, read as read_authorities};
pub use check::{Config, Loaded, Webhooks, check_api_key, load};
pub use connect::ConnectTo;
pub use effective::{Effective, table};
pub(crate) use file::read_text;
pub use layers::Environment;
pub use mistakes::Mistakes;
pub use profile::{OtherProfile, Profile};
pub use reload::Reload;
pub use service::{policy_credentials, service_config, service_connector};
pub use source::Source;

/// Exit code for a command line or environment that cannot be used (`EX_USAGE` of sysexits).
pub const EXIT_USAGE: u8 = 64;
