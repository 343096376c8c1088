//! Listening and TLS.

mod accept;
mod listening;

pub(crate) use accept::{Accepting, accept};
pub use listening::Addresses;
pub(crate) use listening::{Listeners, Permission, listen};
