//! A verb of `drawspan emulator ctl`, and the request that a line of words means.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::operation::{Method, Operation};

/// One verb: words, operations and texts.
pub(super) struct Verb {
    /// The first word.
    pub(super) name: &'static str,
    /// What may follow it, each with what it does.
    pub(super) usages: &'static [Usage],
    /// The operations that it uses.
    pub(super) operations: &'static [Operation],
    /// The request that the words behind the first one mean.
    pub(super) parse: fn(&[&str]) -> Result<Call, InvalidWords>,
}

/// One form of a verb: `("disable ID", "refuse a device from now on")`.
pub(super) type Usage = (&'static str, &'static str);

/// A request, and how its answer is shown to people.
pub(super) struct Call {
    pub(super) method: Method,
    /// Path and query, percent-encoded ([`super::path`]).
    pub(super) target: String,
    /// JSON; empty for none.
    pub(super) body: Vec<u8>,
    pub(super) text: TextOf,
}

type TextOf = Box<dyn Fn(&[u8]) -> Result<String, serde_json::Error> + Send>;

/// Why words are not understood: the mistake alone. What the verb takes is added by the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct InvalidWords(pub(super) String);

impl Call {
    /// A request without a body, whose answer is shown by `text`: lines without a line feed at the end, possibly none.
    pub(super) fn new<A: DeserializeOwned + 'static>(
        method: Method,
        target: impl Into<String>,
        text: impl Fn(&A) -> String + Send + 'static,
    ) -> Self {
        Self {
            method,
            target: target.into(),
            body: Vec::new(),
            text: Box::new(move |answer| Ok(text(&serde_json::from_slice(answer)?))),
        }
    }

    /// The same with a JSON body.
    pub(super) fn with_body(self, body: &impl Serialize) -> Self {
        Self {
            // Our own types: writing them does not fail.
            body: serde_json::to_vec(body).unwrap_or_default(),
            ..self
        }
    }
}

impl InvalidWords {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For words that are no form of the verb.
    pub(super) fn unknown(words: &[&str]) -> Self {
        match words {
            [] => Self::new("something is missing"),
            words => Self(format!("`{}` is not understood", words.join(" "))),
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.target)
    }
}
