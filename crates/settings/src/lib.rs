//! Flags, environment and file as one valid value. Every mistake is reported at once, and secrets are never shown.
//!
//! One table ([`settings`]) defines the settings; `layers` finds the given values, [`check`](load) validates them. The types of
//! their values are here as well, so that their users need no other crate: [`api_keys`], [`callbacks`], [`WebhookSecret`],
//! [`ListenerCertificate`]. [`open_files`] divides the open files that the process may have; [`whole_file`] reads the files that
//! settings name.
// Printing panics if the reader has gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod api_keys;
pub mod callbacks;
pub mod connect;
pub mod limits;
pub mod mistakes;
pub mod open_files;
pub mod plural;
pub mod reference;
pub mod settings;
pub mod template;
pub mod whole_file;

mod authorities;
mod check;
mod devices_file;
mod effective;
mod environment;
mod file;
mod flags;
mod group;
mod layers;
mod legacy;
mod listener_certificate;
mod outbound;
mod profile;
mod provenance;
mod reload;
mod service;
mod suggest;
#[cfg(test)]
mod tests;
mod value;
mod vault;
mod webhook_secret;

pub use api_keys::{API_KEY_HEADER, Admission, ApiKey, ApiKeys, Grant, InvalidApiKey, Scope};
pub use authorities::{InvalidAuthorities, read as read_authorities};
pub use callbacks::{Allowed, GuardMode, InvalidAllowed};
pub use check::{Config, Loaded, Webhooks, check_api_key, load};
pub use connect::ConnectTo;
pub use effective::{Effective, table};
pub use environment::Environment;
pub use file::read_text;
pub use flags::ServeArgs;
pub use listener_certificate::{InvalidCertificate, ListenerCertificate};
pub use mistakes::Mistakes;
pub use profile::{Enrollment, OtherProfile, Profile};
pub use provenance::Source;
pub use reload::Reload;
pub use service::service_connector;
pub use webhook_secret::{InvalidWebhookSecret, WebhookSecret};
