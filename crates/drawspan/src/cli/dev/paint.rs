//! Colours, or none.

use std::fmt::{self, Display};

/// A colour of every terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Grey = 90,
    Green = 32,
    Cyan = 36,
    Yellow = 33,
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
