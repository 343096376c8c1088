//! Colours, where somebody can see them and did not refuse them.

use std::fmt::{self, Display};

/// A colour of every terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Grey = 90,
    Green = 32,
    Cyan = 36,
    Yellow = 33,
}

/// Whether to colour what goes to a stream: a terminal, and NO_COLOR not set (<https://no-color.org>).
pub(super) fn colour_wanted(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Paints, or does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    /// `text` in `colour`.
    pub(super) fn with<T: Display>(self, colour: Colour, text: T) -> impl Display {
        Painted {
            text,
            colour: self.0.then_some(colour),
        }
    }
}

struct Painted<T> {
    text: T,
    colour: Option<Colour>,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.colour {
            Some(colour) => write!(f, "\u{1b}[{}m{}\u{1b}[0m", colour as u8, self.text),
            None => self.text.fmt(f),
        }
    }
}
