//! Texts that many subscriptions share, stored once in memory.

use std::collections::HashSet;
use std::sync::Arc;

use super::Callback;
use crate::limits::SHARED_TEXTS;

/// Bounded intern cache for callback URLs and their origins. When it is full, it is cleared, and new URLs are shared from then on.
#[derive(Debug)]
pub(super) struct Shared<C> {
    urls: HashSet<C>,
    origins: HashSet<Arc<str>>,
}

impl<C> Default for Shared<C> {
    fn default() -> Self {
        Self {
            urls: HashSet::new(),
            origins: HashSet::new(),
        }
    }
}

impl<C: Callback> Shared<C> {
    /// The same URL, with any parts that are known already.
    pub(super) fn share(&mut self, url: C) -> C {
        if let Some(known) = self.urls.get(&url) {
            return known.clone();
        }
        let url = match self.origins.get(url.origin()) {
            Some(origin) => url.with_origin(origin),
            None => {
                if self.origins.len() >= SHARED_TEXTS {
                    self.origins.clear();
                }
                self.origins.insert(Arc::clone(url.origin()));
                url
            }
        };
        if self.urls.len() >= SHARED_TEXTS {
            // Devices with individual URLs follow each other, so shared URLs are soon seen again.
            self.urls.clear();
        }
        self.urls.insert(url.clone());
        url
    }
}
