//! Decryption of callback URLs of the bridge that Drawspan replaces: `{key version}-{base64 IV}:{base64 text}`, the text in AES
//! with CBC and PKCS#7 padding, the key the ASCII bytes of a secret. The encryption is not authenticated, so the result is checked
//! to be a URL.

use std::collections::HashMap;
use std::fmt;

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut as _, KeyIvInit as _};
use aes::{Aes128, Aes192, Aes256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

/// Keys by version. `Debug` shows no key.
#[derive(Default)]
pub struct OldKeys(HashMap<String, SecretString>);

/// Why a text is no key. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// No version.
    #[error(
        "a key is VERSION=SECRET, the version that of the secret iotc-encryption-key in the vault"
    )]
    Form,
    /// AES takes no other lengths.
    #[error("the secret must have 32 characters (16 and 24 are also taken)")]
    Length,
    /// The key version is repeated.
    #[error("the same version twice, with different secrets")]
    Twice,
}

/// Why a text is not decrypted. Never repeats it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Undecipherable {
    /// Something else.
    #[error("the callback URL is neither encrypted as VERSION-IV:TEXT nor a URL")]
    Form,
    /// Its key is missing.
    #[error("no --key for version {0}")]
    NoKey(String),
    /// Most likely another key.
    #[error("the callback URL cannot be decrypted: is the secret of key version {0} right?")]
    WrongKey(String),
}

impl OldKeys {
    /// Adds `VERSION=SECRET`.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn add(&mut self, text: &str) -> Result<(), InvalidKey> {
        let (version, secret) = text.split_once('=').ok_or(InvalidKey::Form)?;
        let version = version.trim();
        if version.is_empty() || version.contains('-') {
            return Err(InvalidKey::Form);
        }
        if ![16, 24, 32].contains(&secret.len()) {
            return Err(InvalidKey::Length);
        }
        let before = self.0.insert(version.to_owned(), secret.into());
        match before.is_some_and(|before| before.expose_secret() != secret) {
            true => Err(InvalidKey::Twice),
            false => Ok(()),
        }
    }

    /// The URL. One that is not encrypted is taken as it is.
    pub(super) fn open(&self, text: &str) -> Result<String, Undecipherable> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(text.to_owned());
        }
        let (version, rest) = text.split_once('-').ok_or(Undecipherable::Form)?;
        let (iv, sealed) = rest.split_once(':').ok_or(Undecipherable::Form)?;
        let decode = |part: &str| STANDARD.decode(part).map_err(|_| Undecipherable::Form);
        let (iv, sealed) = (decode(iv)?, decode(sealed)?);
        let secret = self.0.get(version);
        let secret = secret.ok_or_else(|| Undecipherable::NoKey(shown(version)))?;
        decrypt(secret.expose_secret().as_bytes(), &iv, &sealed)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| Undecipherable::WrongKey(shown(version)))
    }
}

impl fmt::Debug for OldKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OldKeys({})", self.0.len())
    }
}

/// Something that only looks like a version may be anything.
fn shown(version: &str) -> String {
    let legal = |letter: &char| letter.is_ascii_alphanumeric();
    version.chars().filter(legal).take(64).collect()
}

fn decrypt(key: &[u8], iv: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    macro_rules! with {
        ($cipher:ty) => {
            cbc::Decryptor::<$cipher>::new_from_slices(key, iv)
                .ok()?
                .decrypt_padded_vec_mut::<Pkcs7>(sealed)
                .ok()
        };
    }
    match key.len() {
        16 => with!(Aes128),
        24 => with!(Aes192),
        32 => with!(Aes256),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz012345";
    const DIGITS: &str = "0123456789ABCDEF0123456789ABCDEF";

    fn keys() -> OldKeys {
        let mut keys = OldKeys::default();
        keys.add(&format!("0123456789abcdef0123456789abcdef={LETTERS}"))
            .unwrap();
        keys.add(&format!("fedcba9876543210fedcba9876543210={DIGITS}"))
            .unwrap();
        keys.add("aa=0123456789ABCDEF").unwrap();
        keys
    }

    /// Made with `openssl enc -aes-256-cbc -K … -iv …` (OpenSSL 3).
    #[test]
    fn what_openssl_encrypted_is_read() {
        let check = |sealed: &str, expected: &str| {
            assert_eq!(keys().open(sealed).as_deref(), Ok(expected));
        };
        check(
            "0123456789abcdef0123456789abcdef-AAECAwQFBgcICQoLDA0ODw==:fTYpU3Nq6IMuhcEbo/laNN3ekehkvuYDGCcThZOpq2nz4jcKMHdd40D/Xg7lA5aI",
            "http://127.0.0.1:3000/events?code=s3cret",
        );
        check(
            "0123456789abcdef0123456789abcdef-8OHSw7Sllod4aVpLPC0eDw==:XVkE+quoGGVzK+nptSd9JL5hKz1y1oiK0qXh1PHsqUE=",
            "https://example.com/1",
        );
        check(
            "fedcba9876543210fedcba9876543210-EBESExQVFhcYGRobHB0eHw==:2bPIFtfdtyrTjsSjr2eihUb5xL5WYXX1kPjgNsqo2CY=",
            "https://example.com/hook/ü",
        );
        check(
            "aa-ICEiIyQlJicoKSorLC0uLw==:TL72OF92RjQ74RdhLbKvZrz2IbqfdjbrYJguAsUe4PA=",
            "https://example.com/16",
        );
        check(
            "https://example.com/clear-a:b",
            "https://example.com/clear-a:b",
        );
    }

    #[test]
    fn the_rest_says_why_and_shows_nothing() {
        use Undecipherable as E;
        let check = |sealed: &str, expected: E| assert_eq!(keys().open(sealed), Err(expected));
        check("", E::Form);
        check("aa", E::Form);
        check("aa-x", E::Form);
        check("aa-%:%", E::Form);
        check(
            "bb-ICEiIyQlJicoKSorLC0uLw==:TL72OF92RjQ74RdhLbKvZrz2IbqfdjbrYJguAsUe4PA=",
            E::NoKey("bb".to_owned()),
        );
        let wrong = || E::WrongKey("aa".to_owned());
        check(
            "aa-ICEi:TL72OF92RjQ74RdhLbKvZrz2IbqfdjbrYJguAsUe4PA=",
            wrong(),
        );
        check("aa-ICEiIyQlJicoKSorLC0uLw==:TL72", wrong());
        check("aa-ICEiIyQlJicoKSorLC0uLw==:", wrong());
        let mut other = OldKeys::default();
        other.add("aa=0123456789ABCDEG").unwrap();
        let sealed = "aa-ICEiIyQlJicoKSorLC0uLw==:TL72OF92RjQ74RdhLbKvZrz2IbqfdjbrYJguAsUe4PA=";
        assert_eq!(other.open(sealed), Err(wrong()));
        assert_eq!(format!("{:?}", keys()), "OldKeys(3)");
    }

    #[test]
    fn keys_have_a_version_and_a_length() {
        let check = |text: &str, expected| assert_eq!(keys().add(text), Err(expected), "{text}");
        check(LETTERS, InvalidKey::Form);
        check(&format!("={LETTERS}"), InvalidKey::Form);
        check("v=short", InvalidKey::Length);
        check("aa=0123456789ABCDEG", InvalidKey::Twice);
        assert_eq!(keys().add("aa=0123456789ABCDEF"), Ok(()));
    }
}
