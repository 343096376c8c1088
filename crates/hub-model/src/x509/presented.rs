//! What a client presented in its TLS handshake.

use std::fmt;

use rustls_pki_types::CertificateDer;

use super::certificate::{Certificate, InvalidCertificate, Validity};
use crate::limits::CHAIN_CERTIFICATES_MAX;

/// A certificate whose key a client has, and the certificates between it and its authority, as far as the client sent them.
#[derive(Clone)]
pub struct Presented {
    leaf: Certificate,
    intermediates: Vec<CertificateDer<'static>>,
    leads_to: LeadsTo,
}

/// Whether the signatures of a chain of certificates lead from the first to the last, and all of them are valid at a time (Unix seconds)
/// but the last, which is not looked at. The arguments: a client's certificate, those that it sent with it, an authority's. Given from
/// outside, since the libraries for it know a source of randomness.
pub type LeadsTo = fn(&CertificateDer<'_>, &[CertificateDer<'_>], &CertificateDer<'_>, u64) -> bool;

impl Presented {
    /// Reads the certificates of a handshake, the client's own first. Those beyond [`CHAIN_CERTIFICATES_MAX`] are not looked at.
    ///
    /// # Errors
    /// When the first is no certificate, or there is none.
    pub fn from_chain(
        chain: &[CertificateDer<'_>],
        leads_to: LeadsTo,
    ) -> Result<Self, InvalidCertificate> {
        let (leaf, above) = chain.split_first().ok_or(InvalidCertificate::Missing)?;
        let above = above.iter().take(CHAIN_CERTIFICATES_MAX - 1);
        Ok(Self {
            leaf: Certificate::from_der(leaf)?,
            intermediates: above.map(|it| it.clone().into_owned()).collect(),
            leads_to,
        })
    }

    /// The client's own certificate.
    pub const fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// Whether the client's certificate was issued by `authority`, or by one below it whose certificate the client sent, and
    /// everything on the way is valid at `now_unix_s`.
    pub fn is_issued_by(&self, authority: &Certificate, now_unix_s: u64) -> bool {
        authority.is_authority()
            && authority.validity(now_unix_s) == Validity::Valid
            && (self.leads_to)(
                self.leaf.der(),
                &self.intermediates,
                authority.der(),
                now_unix_s,
            )
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Presented")
            .field(&self.leaf.subject())
            .finish()
    }
}
