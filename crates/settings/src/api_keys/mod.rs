//! API keys. Only their hashes are kept, and every comparison takes the same time.

mod entry;
mod grant;

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use entry::Hash;
pub use entry::{ApiKey, InvalidApiKey, check_plain};
pub use grant::{Grant, Scope};

/// The header that carries the key, if `Authorization` does not.
pub const API_KEY_HEADER: &str = "x-api-key";

/// The keys that the API accepts. If there are none, everyone may use it, as in `dev`.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<(Hash, Admission)>);

/// The permissions of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// Everything.
    Full,
    /// This.
    Limited(Arc<Grant>),
}

impl ApiKeys {
    /// Keeps the hashes of these keys, each of which allows everything.
    #[must_use]
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        keys.into_iter().map(ApiKey::plain).collect()
    }

    /// Whether there is no key to ask for.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// The permissions of this key, and its number, from 1; `None` if it is unknown.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<(Admission, u32)> {
        let hash: Hash = Sha256::digest(key).into();
        // No early exit: neither within a hash nor at the first key that fits.
        let fitting = |found, (number, (known, admission))| match same(known, &hash) {
            true => Some((admission, number)),
            false => found,
        };
        let all = self.0.iter().map(|(known, admission)| (known, admission));
        let found = (1..).zip(all).fold(None, fitting);
        found.map(|(admission, number): (&Admission, u32)| (admission.clone(), number))
    }
}

impl FromIterator<ApiKey> for ApiKeys {
    fn from_iter<T: IntoIterator<Item = ApiKey>>(keys: T) -> Self {
        let held = |key: ApiKey| match key.grant.is_everything() {
            true => (key.hash, Admission::Full),
            false => (key.hash, Admission::Limited(Arc::new(key.grant))),
        };
        Self(keys.into_iter().map(held).collect())
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({})", self.0.len())
    }
}

fn same(a: &Hash, b: &Hash) -> bool {
    let difference = a
        .iter()
        .zip(b)
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_brings_its_own_rights() {
        let entries = [
            ApiKey::plain("all"),
            ApiKey::entry("some", Some("send"), Some("a-"), None).unwrap(),
            ApiKey::entry("every", None, None, Some("n")).unwrap(),
        ];
        let keys: ApiKeys = entries.clone().into_iter().collect();
        let admitted = |keys: &ApiKeys, key: &str| {
            let found = keys.find(key.as_bytes());
            found.map(|(admission, _)| admission)
        };
        assert_eq!(admitted(&keys, "all"), Some(Admission::Full));
        assert_eq!(admitted(&keys, "every"), Some(Admission::Full));
        let limited = Admission::Limited(Arc::new(entries[1].grant.clone()));
        assert_eq!(admitted(&keys, "some"), Some(limited));
        // The hash is not the key.
        let hash = ApiKeys::new(["k"]);
        let sent = "8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a";
        assert_eq!(admitted(&hash, sent), None);
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", ApiKeys::new(["secret"])), "ApiKeys(1)");
    }
}
