//! The authorities that a client trusts.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// Why a client's TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// No certificate to trust.
    #[error(
        "no certificate authority to trust: the system has none, or the given ones cannot be used"
    )]
    NoAuthority,
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// TLS 1.2 and 1.3, trusting `authorities`, or the system's if it is `None`.
pub fn client_config(
    authorities: Vec<CertificateDer<'static>>,
) -> Result<Arc<ClientConfig>, TrustError> {
    let certificates = if authorities.is_empty() {
        rustls_native_certs::load_native_certs().certs
    } else {
        authorities
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(TrustError::NoAuthority);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
