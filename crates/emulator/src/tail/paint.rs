//! Colours, or plain text.

use std::fmt::{self, Display};
use std::io::IsTerminal as _;

/// A colour of every terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// For what matters least.
    Grey = 90,
    /// For what is well, and for properties.
    Green = 32,
    /// For names.
    Cyan = 36,
    /// For what is odd.
    Yellow = 33,
}

/// Paints, or does not.
#[derive(Debug, Clone, Copy)]
pub struct Paint(pub bool);

impl Paint {
    /// Colours on a terminal that supports them, unless the user disables them (`NO_COLOR`).
    pub fn of_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(!refused && !dumb && std::io::stdout().is_terminal())
    }

    /// `text` in `colour`.
    pub fn with<T: Display>(self, colour: Colour, text: T) -> impl Display {
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
