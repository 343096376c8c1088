//! The certificate by which a client proves itself in the TLS handshake.

use std::fmt;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// A certificate, those that lead to its authority, and its key. `Debug` shows none of them.
#[derive(Clone)]
pub struct ClientIdentity(Arc<CertifiedKey>);

/// Why certificate and key are of no use. Holds nothing of either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentity {
    /// No certificate.
    #[error("there is no certificate in PEM")]
    Certificate,
    /// No key.
    #[error("there is no unencrypted private key in PEM")]
    Key,
    /// A key of a kind that TLS does not use here, or of another certificate.
    #[error("the key is not the certificate's, or neither RSA nor ECDSA on P-256 or P-384")]
    OtherKey,
}

impl ClientIdentity {
    /// Reads the texts of certificates, the client's own first, and of its key.
    ///
    /// # Errors
    /// When one of them is missing, or they do not belong together.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, InvalidIdentity> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let chain = chain.map_err(|_| InvalidIdentity::Certificate)?;
        if chain.is_empty() {
            return Err(InvalidIdentity::Certificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let key = key.map_err(|_| InvalidIdentity::Key)?;
        let certified = CertifiedKey::from_der(chain, key, &default_provider());
        let certified = certified.map_err(|_| InvalidIdentity::OtherKey)?;
        Ok(Self(Arc::new(certified)))
    }

    pub(crate) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.0)))
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}
