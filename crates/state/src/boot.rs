//! The id of the machine's current boot.

use std::fs;

/// Names the time since the machine was started. What a process wrote during it is in the system's cache, even if it was
/// never brought to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot(pub(crate) u128);

impl Boot {
    /// The present one.
    #[must_use]
    pub fn current() -> Self {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        Self(u128::from_str_radix(&digits, 16).unwrap_or_default())
    }

    /// Whether this is known to be the present one. False where the system does not name its starts.
    #[must_use]
    pub fn is_current(self) -> bool {
        self.0 != 0 && self == Self::current()
    }
}
