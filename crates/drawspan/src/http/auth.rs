//! API keys. Only their hashes are kept, and every comparison takes the same time.

use std::fmt;
use std::hint::black_box;

use axum::http::HeaderMap;
use sha2::{Digest, Sha256};

/// The header that carries the key.
pub const API_KEY_HEADER: &str = "x-api-key";

type Hash = [u8; 32];

/// The keys that open the API. None at all means that everybody may; only `dev` runs so.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<Hash>);

impl ApiKeys {
    /// Keeps the hashes of these keys.
    #[must_use]
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self(
            keys.into_iter()
                .map(|key| Sha256::digest(key.as_bytes()).into())
                .collect(),
        )
    }

    /// Whether there is no key to ask for.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request with these headers may pass. Two keys in one request are no key.
    #[must_use]
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        if self.is_open() {
            return true;
        }
        let mut values = headers.get_all(API_KEY_HEADER).iter();
        let (Some(key), None) = (values.next(), values.next()) else {
            return false;
        };
        let hash: Hash = Sha256::digest(key.as_bytes()).into();
        // No early exit: neither within a hash nor at the first key that fits.
        self.0
            .iter()
            .fold(false, |found, known| found | same(known, &hash))
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

    fn check(keys: &[&str], sent: &[&'static str], admitted: bool) {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append("X-API-Key", (*value).parse().unwrap());
        }
        assert_eq!(
            ApiKeys::new(keys.iter().copied()).admit(&headers),
            admitted,
            "{keys:?} {sent:?}"
        );
    }

    #[test]
    fn only_one_of_the_keys_opens() {
        check(&["one"], &["one"], true);
        check(&["one", "two"], &["two"], true);
        check(&["one"], &[], false);
        check(&["one"], &[""], false);
        check(&["one"], &["One"], false);
        check(&["one"], &["one "], false);
        check(&["one"], &["one", "one"], false);
        check(&[], &[], true);
        check(&[], &["whatever"], true);
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", ApiKeys::new(["secret"])), "ApiKeys(1)");
    }
}
