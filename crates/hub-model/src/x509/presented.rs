//! What a client presented in its TLS handshake.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::certificate::{Certificate, InvalidCertificate, Validity};
use crate::limits::CHAIN_CERTIFICATES_MAX;

/// A certificate whose key a client has, and the certificates between it and its authority, as far as the client sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    leaf: Certificate,
    intermediates: Vec<CertificateDer<'static>>,
}

impl Presented {
    /// Reads the certificates of a handshake, the client's own first. Those beyond [`CHAIN_CERTIFICATES_MAX`] are not looked at.
    ///
    /// # Errors
    /// When the first is no certificate, or there is none.
    pub fn from_chain(chain: &[CertificateDer<'_>]) -> Result<Self, InvalidCertificate> {
        let (leaf, above) = chain.split_first().ok_or(InvalidCertificate::Missing)?;
        let above = above.iter().take(CHAIN_CERTIFICATES_MAX - 1);
        Ok(Self {
            leaf: Certificate::from_der(leaf)?,
            intermediates: above.map(|it| it.clone().into_owned()).collect(),
        })
    }

    /// The client's own certificate.
    pub const fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// Whether the client's certificate was issued by `authority`, or by one below it whose certificate the client sent, and
    /// everything on the way is valid at `now_unix_s`.
    pub fn is_issued_by(&self, authority: &Certificate, now_unix_s: u64) -> bool {
        is_issued_by(&self.leaf, &self.intermediates, authority, now_unix_s)
    }
}

/// Whether a chain of certificates leads from `leaf` to `authority`.
pub(super) fn is_issued_by(
    leaf: &Certificate,
    intermediates: &[CertificateDer<'static>],
    authority: &Certificate,
    now_unix_s: u64,
) -> bool {
    if !authority.is_authority() || authority.validity(now_unix_s) != Validity::Valid {
        return false;
    }
    let (Ok(anchor), Ok(leaf)) = (
        anchor_from_trusted_cert(authority.der()),
        EndEntityCert::try_from(leaf.der()),
    ) else {
        return false;
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now_unix_s));
    let usage = KeyUsage::client_auth();
    let anchors = [anchor];
    let verified = leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        intermediates,
        now,
        usage,
        None,
        None,
    );
    verified.is_ok()
}
