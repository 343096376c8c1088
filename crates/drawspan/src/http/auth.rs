//! API keys. Only their hashes are kept, and every comparison takes the same time.

mod entry;
mod grant;
mod sent;

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use axum::http::HeaderMap;
use sha2::{Digest, Sha256};

use entry::Hash;
pub use entry::{ApiKey, InvalidApiKey, check_plain};
pub use grant::{Grant, Scope};
pub use sent::NotAdmitted;
pub(super) use sent::key_of;
use sent::{Sent, sent};

/// The header that carries the key, if `Authorization` does not.
pub const API_KEY_HEADER: &str = "x-api-key";

/// The keys that open the API. None at all means that everybody may; only `dev` runs so.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<(Hash, Admission)>);

/// What a request may do.
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

    /// What a request with these headers may do, and a number for its key: 0 where no key is asked for. The key comes in `x-api-key` or as `Authorization: Bearer KEY`, any number of
    /// times as long as it is the same.
    ///
    /// # Errors
    /// There is no valid key, or it is not clear which one counts.
    pub fn admit(&self, headers: &HeaderMap) -> Result<(Admission, u32), NotAdmitted> {
        if self.is_open() {
            return Ok((Admission::Full, 0));
        }
        match sent(headers)? {
            Sent::One(key) => self.of(key).ok_or(NotAdmitted::Wrong),
            // A gateway in front may check a token of its own there, and pass it on.
            Sent::Both { key, bearer } => match (self.of(key), self.of(bearer)) {
                (Some(admitted), None) => Ok(admitted),
                _ => Err(NotAdmitted::Different),
            },
        }
    }

    /// What this key allows, and its number.
    fn of(&self, key: &[u8]) -> Option<(Admission, u32)> {
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

    fn admitted(keys: &ApiKeys, sent: &[&'static str]) -> Option<Admission> {
        let headers = sent.iter().map(|value| ("x-api-key", *value));
        let admitted = keys.admit(&headers_of(headers)).ok();
        admitted.map(|(admission, _)| admission)
    }

    fn headers_of(sent: impl IntoIterator<Item = (&'static str, &'static str)>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn check(keys: &[&str], sent: &[&'static str], expected: bool) {
        let keys = ApiKeys::new(keys.iter().copied());
        let found = admitted(&keys, sent);
        assert_eq!(found, expected.then_some(Admission::Full), "{sent:?}");
    }

    #[test]
    fn only_one_of_the_keys_opens() {
        check(&["one"], &["one"], true);
        check(&["one", "two"], &["one"], true);
        check(&["one", "two"], &["two"], true);
        check(&["one"], &[], false);
        check(&["one"], &[""], false);
        check(&["one"], &["One"], false);
        check(&["one"], &["one "], false);
        check(&["one"], &["one", "one"], true);
        check(&["one", "two"], &["one", "two"], false);
        check(&[], &[], true);
        check(&[], &["whatever"], true);
    }

    #[test]
    fn each_key_has_a_number() {
        let number = |keys: &[&str], key| {
            let keys = ApiKeys::new(keys.iter().copied());
            let headers = headers_of([("x-api-key", key)]);
            keys.admit(&headers).map(|(_, number)| number)
        };
        assert_eq!(number(&["one", "two"], "one"), Ok(1));
        assert_eq!(number(&["one", "two"], "two"), Ok(2));
        assert_eq!(number(&[], "one"), Ok(0));
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said() {
        use NotAdmitted as N;
        const KEY: &str = "x-api-key";
        const BEARER: &str = "authorization";
        let keys = ApiKeys::new(["one", "two"]);
        let check = |sent: &[(&'static str, &'static str)], expected: Result<Admission, N>| {
            let admitted = keys.admit(&headers_of(sent.to_vec()));
            let admitted = admitted.map(|(admission, _)| admission);
            assert_eq!(admitted, expected, "{sent:?}");
        };
        let full = Ok(Admission::Full);
        check(&[(BEARER, "Bearer one")], full.clone());
        check(&[(BEARER, "bearer  one")], full.clone());
        check(&[(KEY, "one"), (BEARER, "BEARER one")], full.clone());
        check(&[(KEY, "one"), (KEY, "one")], full.clone());
        check(&[(KEY, ""), (BEARER, "Bearer one")], full.clone());
        // Another scheme, and a token that is no key of ours, are somebody else's.
        check(&[(KEY, "one"), (BEARER, "Basic b25l")], full.clone());
        check(&[(KEY, "one"), (BEARER, "Bearer eyJ0.eyJ1.c2ln")], full);
        check(&[], Err(N::Missing));
        check(&[(KEY, "")], Err(N::Missing));
        check(&[(BEARER, "Bearer")], Err(N::Missing));
        check(&[(BEARER, "Basic b25l")], Err(N::Scheme));
        check(&[(BEARER, "one")], Err(N::Scheme));
        check(&[(KEY, "three")], Err(N::Wrong));
        check(&[(BEARER, "Bearer three")], Err(N::Wrong));
        check(&[(KEY, "three"), (BEARER, "Bearer three")], Err(N::Wrong));
        check(&[(KEY, "one"), (KEY, "two")], Err(N::Different));
        check(&[(KEY, "one"), (KEY, "three")], Err(N::Different));
        check(
            &[(BEARER, "Bearer one"), (BEARER, "Bearer two")],
            Err(N::Different),
        );
        check(&[(KEY, "one"), (BEARER, "Bearer two")], Err(N::Different));
        check(&[(KEY, "three"), (BEARER, "Bearer one")], Err(N::Different));
    }

    #[test]
    fn each_key_brings_its_own_rights() {
        let entries = [
            ApiKey::plain("all"),
            ApiKey::entry("some", Some("send"), Some("a-"), None).unwrap(),
            ApiKey::entry("every", None, None, Some("n")).unwrap(),
        ];
        let keys: ApiKeys = entries.clone().into_iter().collect();
        assert_eq!(admitted(&keys, &["all"]), Some(Admission::Full));
        assert_eq!(admitted(&keys, &["every"]), Some(Admission::Full));
        let limited = Admission::Limited(Arc::new(entries[1].grant.clone()));
        assert_eq!(admitted(&keys, &["some"]), Some(limited));
        // The hash is not the key.
        let hash = ApiKeys::new(["k"]);
        let sent = "8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a";
        assert_eq!(admitted(&hash, &[sent]), None);
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", ApiKeys::new(["secret"])), "ApiKeys(1)");
    }
}
