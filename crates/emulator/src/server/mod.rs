//! Listening and TLS.

mod accept;
mod client_certificate;
mod listening;

pub(crate) use accept::{Accepting, accept};
pub(crate) use client_certificate::AnyCertificate;
pub use listening::Addresses;
pub(crate) use listening::{Listeners, Permission, listen};
