//! Numbers with their nouns, in texts for people.

use std::fmt::Display;

/// The number, and `one` or `many`.
#[must_use]
pub fn count<N: Display + PartialEq + From<u8>>(number: N, one: &str, many: &str) -> String {
    let noun = if number == N::from(1) { one } else { many };
    format!("{number} {noun}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(0_usize, "device", "devices"), "0 devices");
        assert_eq!(count(1_u64, "device", "devices"), "1 device");
        assert_eq!(count(2_u32, "device", "devices"), "2 devices");
    }
}
