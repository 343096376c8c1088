//! Service shared access signatures of blobs, version 2018-03-28: the one with which IoT Hub signs.
//!
//! Source: Azure Storage article "Create a service SAS", string-to-sign of the versions 2015-04-05 to 2018-03-28.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::key::SymmetricKey;
use crate::limits::BLOB_SIGNATURE_MAX_CHARS;
use crate::percent_encoding::{decode, encode_component};
use crate::time::UtcTime;

const VERSION: &str = "2018-03-28";

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// Name of the storage account.
    pub account: &'a str,
    /// Name of the container.
    pub container: &'a str,
    /// Name of the blob; `None` means every blob of the container.
    pub blob: Option<&'a str>,
}

/// Something that a signature may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Read a blob and its properties.
    Read,
    /// Write a blob.
    Write,
    /// Delete a blob.
    Delete,
    /// List the blobs of a container.
    List,
}

/// Why a signature does not allow a request. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// There is none.
    #[error("the request has no shared access signature")]
    Missing,
    /// It is longer than any, lacks a part, or has another version.
    #[error("the shared access signature is not one of version {VERSION}")]
    Malformed,
    /// It is signed with another key, or for another blob, or was changed.
    #[error("the shared access signature is not for this blob, or not signed by this emulator")]
    Wrong,
    /// It has expired.
    #[error("the shared access signature has expired")]
    Expired,
    /// It is for other operations.
    #[error("the shared access signature does not allow this operation")]
    NotAllowed,
}

/// A signature as the query of a URL, with its question mark. A secret until it expires (Unix seconds).
#[must_use]
pub fn sign(
    scope: Scope<'_>,
    key: &SymmetricKey,
    permissions: &[Permission],
    expires_unix_s: u64,
) -> String {
    // The order of Azure Storage, in which a signature must have them.
    let order = [
        Permission::Read,
        Permission::Write,
        Permission::Delete,
        Permission::List,
    ];
    let allowed: String = order
        .into_iter()
        .filter(|it| permissions.contains(it))
        .map(Permission::letter)
        .collect();
    let expiry = expiry_text(expires_unix_s);
    let signature = key.sign(to_sign(scope, &allowed, &expiry).as_bytes());
    format!(
        "?sv={VERSION}&sr={}&sig={}&se={}&sp={allowed}",
        scope.resource(),
        encode_component(&STANDARD.encode(signature)),
        encode_component(&expiry),
    )
}

/// Whether the query of a request, without its question mark, allows one of `wanted` at `now_unix_ms`. A signature for the
/// container is good for its blobs.
///
/// # Errors
/// Why it does not.
pub fn check(
    query: &str,
    scope: Scope<'_>,
    key: &SymmetricKey,
    wanted: &[Permission],
    now_unix_ms: u64,
) -> Result<(), Refused> {
    let signature = query_value(query, "sig").ok_or(Refused::Missing)?;
    if query.len() > BLOB_SIGNATURE_MAX_CHARS {
        return Err(Refused::Malformed);
    }
    let text = |name: &str| query_value(query, name).ok_or(Refused::Malformed);
    if text("sv")? != VERSION {
        return Err(Refused::Malformed);
    }
    let (allowed, expiry) = (text("sp")?, text("se")?);
    let scope = match &*text("sr")? {
        "b" => scope,
        "c" => Scope {
            blob: None,
            ..scope
        },
        _ => return Err(Refused::Malformed),
    };
    let signature = STANDARD.decode(signature.as_bytes());
    let signature = signature.map_err(|_| Refused::Malformed)?;
    if !key.verify(to_sign(scope, &allowed, &expiry).as_bytes(), &signature) {
        return Err(Refused::Wrong);
    }
    let expires = UtcTime::parse(&expiry).map_err(|_| Refused::Malformed)?;
    if expires.unix_ms() <= i64::try_from(now_unix_ms).unwrap_or(i64::MAX) {
        return Err(Refused::Expired);
    }
    let is_allowed = |it: &Permission| allowed.contains(it.letter());
    match wanted.iter().any(is_allowed) {
        true => Ok(()),
        false => Err(Refused::NotAllowed),
    }
}

/// The value of a query's field, decoded. `None` if it is not there, not text, or there twice, which could be read in two ways.
#[must_use]
pub fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name);
    let (_, value) = found.next()?;
    match found.next() {
        None => decode(value),
        Some(_) => None,
    }
}

impl Scope<'_> {
    fn resource(&self) -> &'static str {
        match self.blob {
            Some(_) => "b",
            None => "c",
        }
    }
}

impl Permission {
    const fn letter(self) -> char {
        match self {
            Self::Read => 'r',
            Self::Write => 'w',
            Self::Delete => 'd',
            Self::List => 'l',
        }
    }
}

/// Fields that are not used are there all the same, empty: start, policy, addresses, protocol, five headers of answers.
fn to_sign(scope: Scope<'_>, permissions: &str, expiry: &str) -> String {
    let Scope {
        account, container, ..
    } = scope;
    let blob = scope.blob.map(|blob| format!("/{blob}"));
    let blob = blob.as_deref().unwrap_or_default();
    format!(
        "{permissions}\n\n{expiry}\n/blob/{account}/{container}{blob}\n\n\n\n{VERSION}\n\n\n\n\n"
    )
}

/// Whole seconds, which every version of Azure Storage reads.
fn expiry_text(unix_s: u64) -> String {
    let ms = i64::try_from(unix_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let text = UtcTime::from_unix_ms(ms).to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    format!("{seconds}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn key(byte: u8) -> SymmetricKey {
        SymmetricKey::from_bytes(&[byte; 64]).unwrap()
    }

    fn scope(blob: &str) -> Scope<'_> {
        Scope {
            account: "account",
            container: "uploads",
            blob: Some(blob),
        }
    }

    fn signed(blob: &str) -> String {
        let permissions = [Permission::Write, Permission::Read];
        sign(scope(blob), &key(1), &permissions, NOW_MS / 1000 + 60)
    }

    fn check_at(query: &str, blob: &str, wanted: Permission, now: u64) -> Result<(), Refused> {
        let query = query.trim_start_matches('?');
        check(query, scope(blob), &key(1), &[wanted], now)
    }

    #[test]
    fn signs_as_azure_storage_does() {
        // generateBlobSASQueryParameters of @azure/storage-blob 12.8.0 for version 2018-03-28.
        let query = signed("device/ä b");
        let expected = "?sv=2018-03-28&sr=b&sig=Eii3kiS0snqhi9lDP7PySjqFHhaL6cy%2FI2RU5IJ%2FKLw%3D\
            &se=2027-01-15T08%3A01%3A00Z&sp=rw";
        assert_eq!(query, expected);
    }

    #[test]
    fn a_signature_is_good_for_its_blob_its_operations_and_its_time() {
        let query = signed("device/a");
        for wanted in [Permission::Read, Permission::Write] {
            assert_eq!(check_at(&query, "device/a", wanted, NOW_MS), Ok(()));
        }
        let refused =
            |query: &str, blob, wanted, now| check_at(query, blob, wanted, now).unwrap_err();
        let (write, end) = (Permission::Write, NOW_MS + 60_000);
        assert_eq!(refused(&query, "device/b", write, NOW_MS), Refused::Wrong);
        assert_eq!(refused(&query, "device/a", write, end), Refused::Expired);
        let delete = Permission::Delete;
        assert_eq!(
            refused(&query, "device/a", delete, NOW_MS),
            Refused::NotAllowed
        );
        let more = query.replace("sp=rw", "sp=rwd");
        assert_eq!(refused(&more, "device/a", delete, NOW_MS), Refused::Wrong);
        let longer = query.replace("2027", "2028");
        assert_eq!(refused(&longer, "device/a", write, NOW_MS), Refused::Wrong);
        let all = query.replace("sr=b", "sr=c");
        assert_eq!(refused(&all, "device/a", write, NOW_MS), Refused::Wrong);
        let twice = format!("{query}&sp=rwd");
        assert_eq!(
            refused(&twice, "device/a", write, NOW_MS),
            Refused::Malformed
        );
        assert_eq!(
            refused("comp=block", "device/a", write, NOW_MS),
            Refused::Missing
        );
        let newer = query.replace("2018-03-28", "2022-11-02");
        assert_eq!(
            refused(&newer, "device/a", write, NOW_MS),
            Refused::Malformed
        );
        let other = sign(scope("device/a"), &key(2), &[write], NOW_MS / 1000 + 60);
        assert_eq!(refused(&other, "device/a", write, NOW_MS), Refused::Wrong);
    }

    #[test]
    fn a_signature_for_a_container_is_good_for_its_blobs() {
        let all = Scope {
            blob: None,
            ..scope("")
        };
        let permissions = [Permission::List, Permission::Read];
        let query = sign(all, &key(1), &permissions, NOW_MS / 1000 + 60);
        assert!(
            query.contains("&sr=c&") && query.ends_with("&sp=rl"),
            "{query}"
        );
        assert_eq!(
            check_at(&query, "any/blob", Permission::Read, NOW_MS),
            Ok(())
        );
        let written = check_at(&query, "any/blob", Permission::Write, NOW_MS);
        assert_eq!(written, Err(Refused::NotAllowed));
    }
}
