//! Parameters of the query string.
//!
//! Names compare without case, and unknown parameters are ignored. An invalid value, or a repeated parameter, is refused by name.
//! `+` is a plus: no value has spaces, and device ids may have pluses.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use drawspan_gateway::Prefix;
use drawspan_hub::{ConnectionStatus, DeviceId, SubscriptionType};

use super::problem::{Kind, Problem};
use super::uri_text::decoded;

const ENCODED: &str = "percent-encoded UTF-8";

/// The parameters of one request. As long as the path may be, so bounded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// Of the part behind the question mark, if there is one.
    pub(super) fn new(text: Option<&'a str>) -> Self {
        Self(text.unwrap_or_default())
    }

    /// The value of `name`, decoded; `None` if it is absent.
    pub(super) fn text(self, name: &str) -> Result<Option<Cow<'a, str>>, Problem> {
        let mut found = None;
        for pair in self.0.split('&') {
            let (given, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !decoded(given).is_some_and(|given| given.eq_ignore_ascii_case(name)) {
                continue;
            }
            let value = decoded(value).ok_or_else(|| invalid(name, ENCODED))?;
            if found.replace(value).is_some() {
                return Err(invalid(name, "given once"));
            }
        }
        Ok(found)
    }

    /// Names the parameter that is no text; there must be one.
    pub(super) fn bad_encoding(self) -> Problem {
        let pairs = self.0.split('&');
        let bad = pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find(|(name, value)| decoded(name).is_none() || decoded(value).is_none());
        match bad.and_then(|(name, _)| decoded(name)) {
            Some(name) => invalid(&name, ENCODED),
            None => Problem::new(
                Kind::InvalidQuery,
                format!("The names of query parameters must be {ENCODED}."),
            ),
        }
    }

    /// A whole number within `range`.
    pub(super) fn number(
        self,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Problem> {
        let what = || match *range.end() {
            u64::MAX => "a number".to_owned(),
            end => format!("a whole number from {} to {end}", range.start()),
        };
        self.read(name, what, |text| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.then(|| text.parse().ok()).flatten();
            number.filter(|number| range.contains(number))
        })
    }

    /// `true` or `false`, false when it is not there.
    pub(super) fn flag(self, name: &str) -> Result<bool, Problem> {
        let what = || "true or false".to_owned();
        let value = self.read(name, what, |text| {
            [("true", true), ("false", false)]
                .into_iter()
                .find_map(|(word, value)| word.eq_ignore_ascii_case(text).then_some(value))
        })?;
        Ok(value.unwrap_or(false))
    }

    /// A device id.
    pub(super) fn device(self, name: &str) -> Result<Option<DeviceId>, Problem> {
        let what = || "a device id".to_owned();
        self.read(name, what, |text| DeviceId::parse(text).ok())
    }

    /// The beginning of device ids; all devices when it is not there.
    pub(super) fn prefix(self) -> Result<Prefix, Problem> {
        let what = || "the beginning of a device id".to_owned();
        let prefix = self.read("prefix", what, |text| Prefix::parse(text).ok())?;
        Ok(prefix.unwrap_or_default())
    }

    /// A kind of events.
    pub(super) fn kind(self, name: &str) -> Result<Option<SubscriptionType>, Problem> {
        let what = || one_of(SubscriptionType::ALL.map(SubscriptionType::as_str));
        self.read(name, what, SubscriptionType::parse)
    }

    /// The public word for a connection.
    pub(super) fn status(self, name: &str) -> Result<Option<ConnectionStatus>, Problem> {
        let what = || one_of(ConnectionStatus::ALL.map(ConnectionStatus::as_str));
        self.read(name, what, |text| {
            ConnectionStatus::ALL
                .into_iter()
                .find(|status| status.as_str().eq_ignore_ascii_case(text))
        })
    }

    /// One of these words, in any case.
    pub(super) fn word<T: Copy, const N: usize>(
        self,
        name: &str,
        words: &[(&str, T); N],
    ) -> Result<Option<T>, Problem> {
        let what = || one_of(words.map(|(word, _)| word));
        self.read(name, what, |text| {
            let found = words
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text));
            found.map(|(_, value)| *value)
        })
    }

    fn read<T>(
        self,
        name: &str,
        what: impl FnOnce() -> String,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        read(&text).map(Some).ok_or_else(|| invalid(name, &what()))
    }
}

fn one_of<const N: usize>(words: [&str; N]) -> String {
    format!("one of {}", words.join(", "))
}

fn invalid(name: &str, what: &str) -> Problem {
    let text = format!("The query parameter `{name}` must be {what}.");
    Problem::new(Kind::InvalidQuery, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query<'_> {
        Query::new(Some(text))
    }

    #[test]
    fn values_are_decoded_and_names_have_no_case() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(
                query(text).text("after").unwrap().as_deref(),
                expected,
                "{text}"
            );
        };
        check("", None);
        check("&&=&x=1&afterwards=2", None);
        check("after=a", Some("a"));
        check("x=1&After=a%2Bb+c", Some("a+b+c"));
        check("%61fter=1", Some("1"));
        check("after", Some(""));
        check("after=a=b", Some("a=b"));
        check("other=%FF&after=1", Some("1"));
        assert_eq!(Query::new(None).text("after").unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |found: Result<(), Problem>, words: &str| {
            let text = String::from_utf8(found.unwrap_err().to_json()).unwrap();
            assert!(text.contains(words), "{text}");
        };
        check(
            query("a=1&A=1").text("a").map(drop),
            "`a` must be given once",
        );
        check(
            query("a=%FF").text("a").map(drop),
            "`a` must be percent-encoded",
        );
        for bad in [
            "wait=",
            "wait=61",
            "wait=-1",
            "wait=+1",
            "wait=1.5",
            "wait=x",
            "wait=99999999999999999999",
        ] {
            check(query(bad).number("wait", 0..=60).map(drop), "from 0 to 60");
        }
        for bad in ["a=%zz", "a=%", "a=x%4", "a=%4g"] {
            let found = query(bad).text("a").map(drop);
            check(found, "`a` must be percent-encoded");
        }
        check(
            query("receive=1").flag("receive").map(drop),
            "true or false",
        );
        check(
            query("deviceId=a%20b").device("deviceId").map(drop),
            "a device id",
        );
        check(query("prefix=%2F").prefix().map(drop), "`prefix`");
        check(
            query("status=connecting").status("status").map(drop),
            "Disconnected_Retrying",
        );
        check(
            query("subscription=c2d").kind("subscription").map(drop),
            "C2DMessages",
        );
    }

    #[test]
    fn what_is_right_is_read() {
        assert_eq!(query("wait=060").number("wait", 0..=60).unwrap(), Some(60));
        assert_eq!(query("").number("wait", 0..=60).unwrap(), None);
        assert!(query("receive=TRUE").flag("receive").unwrap());
        assert!(!query("receive=false").flag("receive").unwrap());
        assert!(!query("").flag("receive").unwrap());
        assert_eq!(query("prefix=").prefix().unwrap(), Prefix::default());
        let status = query("status=disconnected_retrying").status("status");
        assert_eq!(
            status.unwrap(),
            Some(ConnectionStatus::DisconnectedRetrying)
        );
        let kind = query("kind=c2dmessages").kind("kind");
        assert_eq!(kind.unwrap(), Some(SubscriptionType::C2dMessages));
    }
}
