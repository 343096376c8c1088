//! Capabilities of a terminal, and preferences of its user.

use std::ffi::OsStr;

/// Whether to colour what goes to a stream: a terminal, and NO_COLOR not set (<https://no-color.org>).
pub(super) fn colour_wanted(is_terminal: bool) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && is_lively(is_terminal)
}

/// Whether a stream may be given control sequences, such as those of colours and progress bars: a terminal that knows any.
pub(super) fn is_lively(is_terminal: bool) -> bool {
    is_terminal && !is_dumb(std::env::var_os("TERM").as_deref())
}

/// A terminal that knows no control sequences says so by `TERM`.
fn is_dumb(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumb_terminal_says_so() {
        assert!(is_dumb(Some(OsStr::new("dumb"))));
        assert!(!is_dumb(Some(OsStr::new("xterm"))));
        assert!(!is_dumb(None));
    }
}
