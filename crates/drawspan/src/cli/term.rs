//! Whether to colour.

/// Whether to colour what goes to a stream: a terminal, and NO_COLOR not set (<https://no-color.org>).
pub(super) fn colour_wanted(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
