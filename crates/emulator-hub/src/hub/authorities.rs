//! Changes of a hub's certificate authorities: made under their lock, stored in order.

use std::sync::{Arc, PoisonError, RwLockReadGuard, RwLockWriteGuard};

use drawspan_hub_model::x509::{Authorities, Authority, AuthorityError, Certificate, Presented};
use drawspan_hub_store::Write;

use super::{ChangeError, Hub};
use crate::random;

/// An authority as a caller wants it.
#[derive(Debug)]
pub struct AuthoritySpec {
    /// Its certificate.
    pub certificate: Certificate,
    /// Whether its key counts as proved, which whoever may change the registry can say.
    pub is_verified: bool,
}

impl Hub {
    /// Its certificate authorities. The guard must not be held over an `await`.
    pub fn authorities(&self) -> RwLockReadGuard<'_, Authorities> {
        self.authorities
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an authority, or replaces the version `if_match` of it. Returns it once it is stored.
    ///
    /// # Errors
    /// When it cannot be stored. Within, when it will not do.
    pub async fn put_authority(
        &self,
        name: &str,
        if_match: Option<&str>,
        spec: AuthoritySpec,
    ) -> Result<Result<Authority, AuthorityError>, ChangeError> {
        // Whether a certificate is valid is a question for the machine's clock.
        let (now, etag) = (self.clock.machine_unix_ms(), random::hex()?);
        self.change_authority(|authorities| {
            let (certificate, is_verified) = (spec.certificate, spec.is_verified);
            let put = authorities.put(name, if_match, certificate, is_verified, etag, now);
            put.cloned()
        })
        .await
    }

    /// Has an authority get a new verification code: see [`Authorities::set_code`]. Returns it once it is stored.
    ///
    /// # Errors
    /// When it cannot be stored. Within, when there is no such authority.
    pub async fn new_verification_code(
        &self,
        name: &str,
        if_match: Option<&str>,
    ) -> Result<Result<Authority, AuthorityError>, ChangeError> {
        let (code, etag) = (random::verification_code()?, random::hex()?);
        let now = self.now_unix_ms();
        self.change_authority(|authorities| {
            let set = authorities.set_code(name, if_match, &code, etag, now);
            set.cloned()
        })
        .await
    }

    /// Takes a proof that the owner of an authority has its key: see [`Authorities::verify`]. Returns it once it is stored.
    ///
    /// # Errors
    /// When it cannot be stored. Within, when it proves nothing.
    pub async fn verify_authority(
        &self,
        name: &str,
        if_match: Option<&str>,
        proof: &Presented,
    ) -> Result<Result<Authority, AuthorityError>, ChangeError> {
        // Whether a certificate is valid is a question for the machine's clock.
        let (now, etag) = (self.clock.machine_unix_ms(), random::hex()?);
        self.change_authority(|authorities| {
            let verified = authorities.verify(name, if_match, proof, etag, now);
            verified.cloned()
        })
        .await
    }

    /// Forgets an authority. Devices that are connected by its certificates stay.
    ///
    /// # Errors
    /// When that cannot be stored. Within, when there is no such authority.
    pub async fn delete_authority(
        &self,
        name: &str,
        if_match: Option<&str>,
    ) -> Result<Result<(), AuthorityError>, ChangeError> {
        let delete = |authorities: &mut Authorities| {
            let name = Arc::clone(&authorities.get(name)?.name);
            authorities.delete(&name, if_match)?;
            Ok(((), Write::AuthorityGone(name)))
        };
        self.change_authorities(delete).await
    }

    async fn change_authority(
        &self,
        change: impl FnOnce(&mut Authorities) -> Result<Authority, AuthorityError>,
    ) -> Result<Result<Authority, AuthorityError>, ChangeError> {
        self.change_authorities(|authorities| {
            let authority = change(authorities)?;
            let write = Write::Authority(Box::new(authority.clone()));
            Ok((authority, write))
        })
        .await
    }

    async fn change_authorities<T>(
        &self,
        change: impl FnOnce(&mut Authorities) -> Result<(T, Write), AuthorityError>,
    ) -> Result<Result<T, AuthorityError>, ChangeError> {
        let Some(store) = &self.store else {
            return Ok(change(&mut self.authorities_mut()).map(|(result, _)| result));
        };
        let slot = store.slot().await?;
        let (result, written) = {
            // Handed over under the lock: changes of one authority are stored in the order in which they were made.
            let mut authorities = self.authorities_mut();
            match change(&mut authorities) {
                Ok((result, write)) => (result, slot.send(self.host.clone(), vec![write])),
                Err(error) => return Ok(Err(error)),
            }
        };
        written.wait().await?;
        Ok(Ok(result))
    }

    fn authorities_mut(&self) -> RwLockWriteGuard<'_, Authorities> {
        self.authorities
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
