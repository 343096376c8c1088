//! Whether a client's certificate was issued by an authority, by the library that rustls itself uses.

use std::time::Duration;

use drawspan_hub_model::x509::{InvalidCertificate, Presented};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// What a client presented in its TLS handshake, its own certificate first.
///
/// # Errors
/// When that is no certificate.
pub fn presented(chain: &[CertificateDer<'_>]) -> Result<Presented, InvalidCertificate> {
    Presented::from_chain(chain, leads_to)
}

fn leads_to(
    leaf: &CertificateDer<'_>,
    above: &[CertificateDer<'_>],
    authority: &CertificateDer<'_>,
    now_unix_s: u64,
) -> bool {
    let (Ok(anchor), Ok(leaf)) = (
        anchor_from_trusted_cert(authority),
        EndEntityCert::try_from(leaf),
    ) else {
        return false;
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now_unix_s));
    let anchors = [anchor];
    let usage = KeyUsage::client_auth();
    leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        above,
        now,
        usage,
        None,
        None,
    )
    .is_ok()
}
