//! Keys and the certificates over them: ECDSA on P-256, which every SDK takes.

use drawspan_emulator_hub::certificate_chain;
use drawspan_hub_model::x509::{Certificate, Presented};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// A certificate and its key.
pub(super) struct Made {
    pub(super) certificate: Certificate,
    pub(super) certificate_pem: String,
    pub(super) key_pem: String,
}

/// An authority that signs.
pub(super) struct Signer(Issuer<'static, KeyPair>);

impl Signer {
    /// From PEM.
    pub(super) fn new(certificate: &str, key: &str) -> Result<Self, rcgen::Error> {
        Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key)?).map(Self)
    }

    /// A device's certificate.
    pub(super) fn issue(&self, name: &str, days: i64) -> Result<Made, rcgen::Error> {
        let (params, key) = (device(name, days)?, KeyPair::generate()?);
        made(&params.signed_by(&key, &self.0)?, &key)
    }

    /// Whether what it signs is taken for issued by `certificate`.
    pub(super) fn signs_for(&self, certificate: &Certificate) -> Result<bool, rcgen::Error> {
        let trial = self.issue("trial", 1)?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let presented = certificate_chain::presented(&[trial.certificate.der().clone()]);
        let issued = |it: Presented| it.is_issued_by(certificate, u64::try_from(now).unwrap_or(0));
        Ok(presented.is_ok_and(issued))
    }
}

/// A device's certificate that signs itself.
pub(super) fn self_signed(name: &str, days: i64) -> Result<Made, rcgen::Error> {
    let (params, key) = (device(name, days)?, KeyPair::generate()?);
    made(&params.self_signed(&key)?, &key)
}

/// An authority, which may have others below it.
pub(super) fn authority(name: &str, days: i64) -> Result<Made, rcgen::Error> {
    let (mut params, key) = (named(name, days)?, KeyPair::generate()?);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    made(&params.self_signed(&key)?, &key)
}

fn device(name: &str, days: i64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = named(name, days)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn named(name: &str, days: i64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(days);
    // A little in the past, as clocks differ, and before the end in any case.
    params.not_before = params.not_after - Duration::days(days.max(0) + 1);
    Ok(params)
}

fn made(certificate: &rcgen::Certificate, key: &KeyPair) -> Result<Made, rcgen::Error> {
    let read = Certificate::from_der(certificate.der());
    Ok(Made {
        certificate: read.map_err(|_| rcgen::Error::CouldNotParseCertificate)?,
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    })
}
