//! Subscriptions of callers, and the links of devices that they need.

mod scope;
mod shared;
mod table;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

pub use scope::{Prefix, Scope, Subscription, SubscriptionStatus};
pub use table::{Row, Table, TooMany, Wish};

/// The destination of events, as far as decisions depend on it.
pub trait Callback: Clone + fmt::Debug + PartialEq + Eq + Hash {
    /// Scheme, host and port: what tells receivers from each other, and may be shown.
    fn origin(&self) -> &Arc<str>;

    /// The URL without its query, which may change (a key in it is exchanged) while the receiver stays the same.
    fn without_query(&self) -> &str;

    /// The same, with the given text as its origin if that is equal: so that many share one.
    #[must_use]
    fn with_origin(self, origin: &Arc<str>) -> Self;
}

/// A URL for tests: its origin is what precedes the third slash.
#[cfg(test)]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TestUrl {
    text: Arc<str>,
    origin: Arc<str>,
}

#[cfg(test)]
impl TestUrl {
    pub(crate) fn new(text: &str) -> Self {
        let end = text
            .match_indices('/')
            .nth(2)
            .map_or(text.len(), |(at, _)| at);
        Self {
            text: text.into(),
            origin: text[..end].into(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
impl Callback for TestUrl {
    fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    fn without_query(&self) -> &str {
        &self.text
    }

    fn with_origin(self, origin: &Arc<str>) -> Self {
        match self.origin == *origin {
            true => Self {
                origin: Arc::clone(origin),
                ..self
            },
            false => self,
        }
    }
}
