//! Authentication: whether a request has an API key, and which one.

mod sent_key;

use axum::http::HeaderMap;
use drawspan_settings::{Admission, ApiKeys};

pub use sent_key::NotAdmitted;
pub(super) use sent_key::key_of;
use sent_key::{Sent, sent};

/// The permissions of a request with these headers, and a number for its key: 0 if no key is needed. The key comes in `x-api-key`
/// or as `Authorization: Bearer KEY`, any number of times as long as it is the same.
///
/// # Errors
/// There is no valid key, or it is not clear which one counts.
pub fn admit(keys: &ApiKeys, headers: &HeaderMap) -> Result<(Admission, u32), NotAdmitted> {
    if keys.is_open() {
        return Ok((Admission::Full, 0));
    }
    match sent(headers)? {
        Sent::One(key) => keys.find(key).ok_or(NotAdmitted::Wrong),
        // A gateway in front may check its own token there, and pass it on.
        Sent::Both { key, bearer } => match (keys.find(key), keys.find(bearer)) {
            (Some(admitted), None) => Ok(admitted),
            _ => Err(NotAdmitted::Different),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(keys: &ApiKeys, sent: &[&'static str]) -> Option<Admission> {
        let headers = sent.iter().map(|value| ("x-api-key", *value));
        let admitted = admit(keys, &headers_of(headers)).ok();
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
            admit(&keys, &headers).map(|(_, number)| number)
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
            let admitted = admit(&keys, &headers_of(sent.to_vec()));
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
}
