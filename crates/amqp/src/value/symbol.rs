//! `symbol`.

use std::borrow::Cow;
use std::fmt;

/// ASCII text from a constrained domain (specification 1.6.21).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(Cow<'static, str>);

/// A symbol was to be made of text that is not ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a symbol holds ASCII only")]
pub struct NotAscii;

impl Symbol {
    /// A symbol of program text; costs nothing.
    ///
    /// # Panics
    /// When the text is not ASCII: a mistake in the program, found by the compiler where the result is a constant.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        assert!(text.is_ascii(), "a symbol holds ASCII only");
        Self(Cow::Borrowed(text))
    }

    /// A symbol of any text.
    ///
    /// # Errors
    /// [`NotAscii`]
    pub fn new(text: impl Into<String>) -> Result<Self, NotAscii> {
        let text = text.into();
        if text.is_ascii() {
            Ok(Self(Cow::Owned(text)))
        } else {
            Err(NotAscii)
        }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Symbol {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Symbol {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Symbol {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
