//! Texts that many subscriptions have in common, once in memory.

use std::collections::HashSet;
use std::sync::Arc;

use crate::limits::SHARED_TEXTS;
use crate::webhooks::CallbackUrl;

/// URLs and origins seen lately. Beyond some, texts of their own for each are no harm.
#[derive(Debug, Default)]
pub(super) struct Shared {
    urls: HashSet<CallbackUrl>,
    origins: HashSet<Arc<str>>,
}

impl Shared {
    /// The same URL, with whatever parts are known already.
    pub(super) fn share(&mut self, url: CallbackUrl) -> CallbackUrl {
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
            // Devices with URLs of their own come one after the other: what is shared is soon seen again.
            self.urls.clear();
        }
        self.urls.insert(url.clone());
        url
    }
}
