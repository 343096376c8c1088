//! A key as it is configured: in plaintext, or its hash with its permissions.

use std::fmt;

use drawspan_bridge::subscriptions::Prefix;
use drawspan_hub::InvalidDeviceId;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::grant::{Grant, Scope};
use crate::limits::{MAX_API_KEY_BYTES, MAX_API_KEY_NAME_CHARS};

/// How an entry with a hash begins.
const HASHED: &str = "sha256:";

pub(super) type Hash = [u8; 32];

/// A key of a caller. `Display` is the entry of its hash, whichever form it was made from; `Debug` shows no hash.
#[derive(Clone, PartialEq)]
pub struct ApiKey {
    pub(super) hash: Hash,
    /// Its permissions.
    pub grant: Grant,
    /// Its name for people; may be empty.
    name: String,
    hashed: bool,
}

/// Why a text is no entry. Never repeats a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidApiKey {
    /// The text is empty.
    #[error("empty")]
    Empty,
    /// Too long.
    #[error("over {MAX_API_KEY_BYTES} bytes")]
    TooLong,
    /// It cannot be sent in a header.
    #[error("only visible ASCII characters without spaces can be sent in a header")]
    NotVisible,
    /// Something else behind `sha256:`.
    #[error("sha256: must be followed by 64 hexadecimal digits")]
    Hash,
    /// Neither scopes nor prefix nor name, or one of them twice.
    #[error("after the hash there may be ;scopes=…, ;prefix=… and ;name=…, each once")]
    Part,
    /// A scope that there is not.
    #[error("scopes are read, send and manage, with commas between them")]
    Scope,
    /// Not the beginning of device ids.
    #[error("the prefix is not the beginning of device ids: {0}")]
    Prefix(InvalidDeviceId),
    /// Not a name.
    #[error("a name has 1 to {MAX_API_KEY_NAME_CHARS} letters, digits and - _ .")]
    Name,
}

impl ApiKey {
    /// The key in clear, which allows everything.
    #[must_use]
    pub fn plain(key: &str) -> Self {
        Self {
            hash: Sha256::digest(key.as_bytes()).into(),
            grant: Grant::default(),
            name: String::new(),
            hashed: false,
        }
    }

    /// An entry: a key in clear, or `sha256:HEX[;scopes=read,send,manage][;prefix=P][;name=N]`.
    ///
    /// # Errors
    /// [`InvalidApiKey`].
    pub fn parse(entry: &str) -> Result<Self, InvalidApiKey> {
        let Some(rest) = entry.strip_prefix(HASHED) else {
            check_plain(entry)?;
            return Ok(Self::plain(entry));
        };
        let mut parts = rest.split(';');
        let hash = parts.next().and_then(from_hex).ok_or(InvalidApiKey::Hash)?;
        let (mut scopes, mut prefix, mut name) = (None, None, None);
        for part in parts {
            let (key, value) = part.split_once('=').ok_or(InvalidApiKey::Part)?;
            let known = match key.trim() {
                "scopes" => scopes.replace(parse_scopes(value)?).is_some(),
                "prefix" => prefix.replace(parse_prefix(value)?).is_some(),
                "name" => name.replace(parse_name(value)?).is_some(),
                _ => true,
            };
            if known {
                return Err(InvalidApiKey::Part);
            }
        }
        let everything = Grant::default();
        Ok(Self {
            hash,
            grant: Grant {
                scopes: scopes.unwrap_or(everything.scopes),
                prefix: prefix.unwrap_or_default(),
            },
            name: name.unwrap_or_default(),
            hashed: true,
        })
    }

    /// The entry of a new key.
    ///
    /// # Errors
    /// [`InvalidApiKey`] of what is wrong with scopes, prefix or name.
    pub fn entry(
        key: &str,
        scopes: Option<&str>,
        prefix: Option<&str>,
        name: Option<&str>,
    ) -> Result<Self, InvalidApiKey> {
        check_plain(key)?;
        let plain = Self::plain(key);
        Ok(Self {
            grant: Grant {
                scopes: scopes.map_or(Ok(plain.grant.scopes), parse_scopes)?,
                prefix: prefix.map_or(Ok(plain.grant.prefix), parse_prefix)?,
            },
            name: name.map_or(Ok(plain.name), parse_name)?,
            hash: plain.hash,
            hashed: true,
        })
    }

    /// The part that may be shown: nothing of a plaintext key, everything except the hash of others.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.hashed {
            true => format!("sha256:***{}", Parts(self)),
            false => "***".to_owned(),
        }
    }

    /// Whether it is the same key as another, with other rights.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        self.hash == other.hash && self.grant != other.grant
    }

    /// Whether it was given by its hash.
    #[must_use]
    pub const fn is_hashed(&self) -> bool {
        self.hashed
    }
}

/// Whether a text can be sent as a key.
///
/// # Errors
/// [`InvalidApiKey`].
pub fn check_plain(key: &str) -> Result<(), InvalidApiKey> {
    if key.is_empty() {
        Err(InvalidApiKey::Empty)
    } else if key.len() > MAX_API_KEY_BYTES {
        Err(InvalidApiKey::TooLong)
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(InvalidApiKey::NotVisible)
    } else {
        Ok(())
    }
}

fn parse_scopes(text: &str) -> Result<Vec<Scope>, InvalidApiKey> {
    let words = text.split(',').map(|word| Scope::of(word.trim()));
    let given = words.collect::<Option<Vec<_>>>();
    let given = given.ok_or(InvalidApiKey::Scope)?;
    let scopes = Scope::ALL.into_iter().filter(|scope| given.contains(scope));
    Ok(scopes.collect())
}

fn parse_prefix(text: &str) -> Result<Prefix, InvalidApiKey> {
    // An empty prefix would look like a limit without being one.
    drawspan_hub::DeviceId::parse(text).map_err(InvalidApiKey::Prefix)?;
    Prefix::parse(text).map_err(InvalidApiKey::Prefix)
}

fn parse_name(text: &str) -> Result<String, InvalidApiKey> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = (1..=MAX_API_KEY_NAME_CHARS).contains(&text.len());
    match fits && text.bytes().all(legal) {
        true => Ok(text.to_owned()),
        false => Err(InvalidApiKey::Name),
    }
}

fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let [high, low] = *pair else { return None };
        *byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    }
    Some(hash)
}

/// The text after the hash.
struct Parts<'a>(&'a ApiKey);

impl fmt::Display for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApiKey { grant, name, .. } = self.0;
        if grant.scopes.len() < Scope::ALL.len() {
            let words: Vec<_> = grant.scopes.iter().map(|scope| scope.as_str()).collect();
            write!(f, ";scopes={}", words.join(","))?;
        }
        if grant.is_for_some() {
            write!(f, ";prefix={}", grant.prefix.as_str())?;
        }
        match name.as_str() {
            "" => Ok(()),
            name => write!(f, ";name={name}"),
        }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HASHED)?;
        self.hash
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        Parts(self).fmt(f)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `k`, by another program.
    const HASH: &str = "8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a";

    #[test]
    fn entries_say_what_a_key_allows() {
        let check = |parts: &str, shown: &str| {
            let key = ApiKey::parse(&format!("sha256:{HASH}{parts}")).unwrap();
            assert_eq!(key.hash, ApiKey::plain("k").hash);
            assert_eq!(key.shown(), format!("sha256:***{shown}"));
            assert_eq!(key.to_string(), format!("sha256:{HASH}{shown}"));
            assert_eq!(ApiKey::parse(&key.to_string()).unwrap(), key);
            assert!(!format!("{key:?}").contains("8254"), "{key:?}");
        };
        check("", "");
        check(";scopes=manage,send,read", "");
        check(
            ";name=a.b;scopes= send , read",
            ";scopes=read,send;name=a.b",
        );
        check(";prefix=line-1-;scopes=send", ";scopes=send;prefix=line-1-");
        let plain = ApiKey::parse("k").unwrap();
        assert_eq!(plain.shown(), "***");
        assert!(plain.grant.is_everything());
        let made = ApiKey::entry("k", Some("send"), Some("p"), Some("n")).unwrap();
        let expected = format!("sha256:{HASH};scopes=send;prefix=p;name=n");
        assert_eq!(made.to_string(), expected);
    }

    #[test]
    fn the_rest_is_a_mistake() {
        use InvalidApiKey as E;
        let check = |text: &str, expected: E| {
            assert_eq!(ApiKey::parse(text), Err(expected), "{text}");
        };
        check("", E::Empty);
        check("a b", E::NotVisible);
        check(&"x".repeat(600), E::TooLong);
        check("sha256:", E::Hash);
        check(&format!("sha256:{}", &HASH[1..]), E::Hash);
        check(&format!("sha256:{}g", &HASH[1..]), E::Hash);
        let check = |parts: &str, expected: E| check(&format!("sha256:{HASH}{parts}"), expected);
        check(";", E::Part);
        check(";scope=send", E::Part);
        check(";name=a;name=b", E::Part);
        check(";scopes=", E::Scope);
        check(";scopes=send,admin", E::Scope);
        check(";name=", E::Name);
        check(";name=a b", E::Name);
        assert!(matches!(
            ApiKey::parse(&format!("sha256:{HASH};prefix=")),
            Err(E::Prefix(_))
        ));
        assert!(matches!(
            ApiKey::parse(&format!("sha256:{HASH};prefix=a b")),
            Err(E::Prefix(_))
        ));
    }
}
