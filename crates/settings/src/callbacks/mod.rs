//! Private addresses that callbacks may point to, as the setting `allow_callbacks` lists them.

mod allowed;
mod special_purpose;

pub use allowed::{Allowed, InvalidAllowed, literal};
pub use special_purpose::{SpecialPurpose, special_purpose};

/// How much is allowed without being listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuardMode {
    /// Public addresses.
    #[default]
    Strict,
    /// Private and loopback addresses as well: for deployments of the original, whose adapters are called back there.
    Permissive,
    /// Everything. For `drawspan dev` alone.
    Off,
}
