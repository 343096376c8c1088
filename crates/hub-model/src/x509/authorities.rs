//! The certificate authorities of a hub.

use std::collections::BTreeMap;
use std::sync::Arc;

use drawspan_hub::ErrorCode;

use super::certificate::{Certificate, Validity};
use super::presented::Presented;
use crate::limits::{AUTHORITIES_MAX, AUTHORITY_NAME_MAX_CHARS};

/// An authority that was given to a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its name, as it was written first.
    pub name: Arc<str>,
    /// Its certificate.
    pub certificate: Certificate,
    /// Whether its key was proved to be the owner's. Only then are its devices accepted.
    pub is_verified: bool,
    /// What a certificate must have as its common name to prove it; `None` until such a code was asked for.
    pub verification_code: Option<Arc<str>>,
    /// Changes with every change; written without quotes.
    pub etag: String,
    /// When it was added, Unix milliseconds.
    pub created_unix_ms: u64,
    /// When it last changed, Unix milliseconds.
    pub updated_unix_ms: u64,
}

/// All authorities of a hub. Names compare without case. Those that its configuration names are given: their names have a `:`, which no
/// other name has, and they do not change while the hub runs.
#[derive(Clone, Debug, Default)]
pub struct Authorities {
    by_name: BTreeMap<String, Authority>,
}

/// Why an authority is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// A name that none can have.
    #[error("a certificate's name has 1 to {AUTHORITY_NAME_MAX_CHARS} letters, digits and - . _")]
    Name,
    /// The certificate may not sign others.
    #[error("the certificate {0} is not an authority's: its basic constraints do not say CA")]
    NotAnAuthority(String),
    /// The certificate's time is over, or has not come.
    #[error("the certificate {0} is not valid now")]
    NotValid(String),
    /// There are as many as there may be.
    #[error("the hub has {AUTHORITIES_MAX} certificates, and takes no more")]
    TooMany,
    /// There is no such authority.
    #[error("the hub has no certificate named {0}")]
    NotFound(String),
    /// The hub's configuration names it.
    #[error("the certificate {0} is given when the hub starts, and changes there alone")]
    Given(Arc<str>),
    /// It is there, and the caller names no version of it.
    #[error("the hub has a certificate named {0}; name its ETag in If-Match to replace it")]
    AlreadyExists(Arc<str>),
    /// It is another version of it that the caller means.
    #[error("the certificate has changed, its ETag is {existing}")]
    PreconditionFailed {
        /// The ETag that it has.
        existing: String,
    },
    /// No code was asked for yet.
    #[error("generate a verification code first")]
    NoCode,
    /// The proof is for another code.
    #[error("the certificate's common name is not the verification code {0}")]
    OtherCode(Arc<str>),
    /// Another key signed the proof.
    #[error("the certificate is not signed by the authority, or not valid now")]
    NotSigned,
}

impl AuthorityError {
    /// The hub's code for it.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound(_) => ErrorCode::GENERIC_NOT_FOUND,
            Self::PreconditionFailed { .. } | Self::AlreadyExists(_) => {
                ErrorCode::PRECONDITION_FAILED
            }
            _ => ErrorCode::ARGUMENT_INVALID,
        }
    }
}

impl Authorities {
    /// Adds the authority that the hub's configuration names so, as verified. `name` must have a `:`.
    ///
    /// # Errors
    /// When the certificate will not do, or there are too many.
    pub fn give(
        &mut self,
        name: &str,
        certificate: Certificate,
        now_unix_ms: u64,
    ) -> Result<(), AuthorityError> {
        check(&certificate, now_unix_ms)?;
        self.check_room(name)?;
        let authority = Authority {
            name: name.into(),
            certificate,
            is_verified: true,
            verification_code: None,
            etag: "given".to_owned(),
            created_unix_ms: now_unix_ms,
            updated_unix_ms: now_unix_ms,
        };
        self.by_name.insert(name.to_ascii_lowercase(), authority);
        Ok(())
    }

    /// Adds authorities as they were stored, beside those that are there. One whose time is over stays, and vouches for none.
    #[must_use]
    pub fn with_stored(mut self, stored: Vec<Authority>) -> Self {
        for authority in stored {
            let key = authority.name.to_ascii_lowercase();
            self.by_name.insert(key, authority);
        }
        self
    }

    /// Adds an authority, or replaces the one of that name, if it has the ETag `if_match`. One that is replaced must be verified
    /// again, unless `is_verified`.
    ///
    /// # Errors
    /// When the name or the certificate will not do, there are too many, or it is another version that is to be replaced.
    pub fn put(
        &mut self,
        name: &str,
        if_match: Option<&str>,
        certificate: Certificate,
        is_verified: bool,
        etag: String,
        now_unix_ms: u64,
    ) -> Result<&Authority, AuthorityError> {
        match (self.version_mut(name, if_match), if_match) {
            (Err(AuthorityError::NotFound(_)), None) => {}
            (Ok(existing), None) => {
                return Err(AuthorityError::AlreadyExists(Arc::clone(&existing.name)));
            }
            (Ok(_), Some(_)) => {}
            (Err(error), _) => return Err(error),
        }
        if !is_name(name) {
            return Err(AuthorityError::Name);
        }
        check(&certificate, now_unix_ms)?;
        self.check_room(name)?;
        let key = name.to_ascii_lowercase();
        let before = self.by_name.get(&key);
        let authority = Authority {
            name: before.map_or_else(|| name.into(), |before| Arc::clone(&before.name)),
            certificate,
            is_verified,
            verification_code: None,
            etag,
            created_unix_ms: before.map_or(now_unix_ms, |before| before.created_unix_ms),
            updated_unix_ms: now_unix_ms,
        };
        let entry = self.by_name.entry(key).insert_entry(authority);
        Ok(entry.into_mut())
    }

    /// An authority, if there is one.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&Authority, AuthorityError> {
        let found = self.by_name.get(&name.to_ascii_lowercase());
        found.ok_or_else(|| AuthorityError::NotFound(name.to_owned()))
    }

    /// All of them, by name.
    pub fn list(&self) -> impl Iterator<Item = &Authority> {
        self.by_name.values()
    }

    /// Sets what a certificate must have as its common name to prove that its owner has the authority's key. `code` must be hard to
    /// guess: whoever knows it beforehand may have had it signed by a trick.
    ///
    /// # Errors
    /// When there is no such authority, or not with the ETag `if_match`.
    pub fn set_code(
        &mut self,
        name: &str,
        if_match: Option<&str>,
        code: &str,
        etag: String,
        now_unix_ms: u64,
    ) -> Result<&Authority, AuthorityError> {
        let authority = self.version_mut(name, if_match)?;
        authority.verification_code = Some(code.into());
        authority.etag = etag;
        authority.updated_unix_ms = now_unix_ms;
        Ok(authority)
    }

    /// Takes `proof`, a certificate that the authority signed over the verification code.
    ///
    /// # Errors
    /// When it proves nothing; the authority stays as it is.
    pub fn verify(
        &mut self,
        name: &str,
        if_match: Option<&str>,
        proof: &Presented,
        etag: String,
        now_unix_ms: u64,
    ) -> Result<&Authority, AuthorityError> {
        let authority = self.version_mut(name, if_match)?;
        let code = authority.verification_code.clone();
        let code = code.ok_or(AuthorityError::NoCode)?;
        let name = proof.leaf().common_name().unwrap_or_default();
        if !name.eq_ignore_ascii_case(&code) {
            return Err(AuthorityError::OtherCode(code));
        }
        if !proof.is_issued_by(&authority.certificate, now_unix_ms / 1_000) {
            return Err(AuthorityError::NotSigned);
        }
        authority.is_verified = true;
        authority.verification_code = None;
        authority.etag = etag;
        authority.updated_unix_ms = now_unix_ms;
        Ok(authority)
    }

    /// Forgets an authority.
    ///
    /// # Errors
    /// When there is no such authority, or not with the ETag `if_match`.
    pub fn delete(&mut self, name: &str, if_match: Option<&str>) -> Result<(), AuthorityError> {
        self.version_mut(name, if_match)?;
        self.by_name.remove(&name.to_ascii_lowercase());
        Ok(())
    }

    /// Whether one of the verified authorities issued what a client presents.
    pub fn vouch_for(&self, presented: &Presented, now_unix_s: u64) -> bool {
        let mut verified = self.list().filter(|authority| authority.is_verified);
        verified.any(|authority| presented.is_issued_by(&authority.certificate, now_unix_s))
    }

    fn check_room(&self, name: &str) -> Result<(), AuthorityError> {
        let is_new = !self.by_name.contains_key(&name.to_ascii_lowercase());
        match is_new && self.by_name.len() >= AUTHORITIES_MAX {
            true => Err(AuthorityError::TooMany),
            false => Ok(()),
        }
    }

    fn version_mut(
        &mut self,
        name: &str,
        if_match: Option<&str>,
    ) -> Result<&mut Authority, AuthorityError> {
        let found = self.by_name.get_mut(&name.to_ascii_lowercase());
        let found = found.ok_or_else(|| AuthorityError::NotFound(name.to_owned()))?;
        if !is_name(&found.name) {
            return Err(AuthorityError::Given(Arc::clone(&found.name)));
        }
        match if_match {
            Some(etag) if etag != "*" && etag != found.etag => {
                Err(AuthorityError::PreconditionFailed {
                    existing: found.etag.clone(),
                })
            }
            _ => Ok(found),
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=AUTHORITY_NAME_MAX_CHARS).contains(&name.len()) && name.bytes().all(allowed)
}

fn check(certificate: &Certificate, now_unix_ms: u64) -> Result<(), AuthorityError> {
    let subject = || certificate.subject().to_owned();
    if !certificate.is_authority() {
        return Err(AuthorityError::NotAnAuthority(subject()));
    }
    match certificate.validity(now_unix_ms / 1_000) {
        Validity::Valid => Ok(()),
        Validity::NotYet | Validity::Expired => Err(AuthorityError::NotValid(subject())),
    }
}
