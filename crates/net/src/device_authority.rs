//! The authority of a DPS enrollment group, which makes the certificates of its devices.
//!
//! A hub knows a device by the thumbprint of the certificate that it registered with. So that it is the same after a restart, without
//! a file for each device, a device's certificate is a function of the authority and the device's name: its key is derived from
//! the authority's (HKDF, RFC 5869), its times are the authority's, and the signature needs no chance (RFC 6979 for P-256, PKCS #1
//! v1.5 for RSA). Whoever holds the authority's key could make any device's certificate anyway, so that deriving gives nothing away.

use std::fmt;
use std::sync::Arc;

use p256::SecretKey;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
};
use ring::hkdf;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivateSec1KeyDer};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::authority_key::AuthorityKey;
use crate::identity::{ClientIdentity, InvalidIdentity};
use crate::limits::MAX_COMMON_NAME_CHARS;

/// Makes devices' certificates. `Debug` shows neither certificate nor key.
#[derive(Clone)]
pub struct DeviceAuthority(Arc<Inner>);

struct Inner {
    /// The authority's certificate, and those above it.
    chain: Vec<CertificateDer<'static>>,
    issuer: Issuer<'static, AuthorityKey>,
    /// What devices' keys are derived from.
    secret: hkdf::Prk,
    /// When all certificates of the chain are valid.
    from: OffsetDateTime,
    until: OffsetDateTime,
}

/// Why certificate and key are no authority. Holds nothing of either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthority {
    /// Certificate or key cannot be used, or they do not belong together.
    #[error(transparent)]
    Identity(#[from] InvalidIdentity),
    /// A certificate of the file makes no sense.
    #[error("a certificate cannot be read")]
    Certificate,
    /// It may not sign certificates.
    #[error(
        "the first certificate is not an authority's: it needs CA:TRUE, and keyCertSign if it names the uses of its key"
    )]
    NotAuthority,
    /// A key whose signatures do not come out the same each time.
    #[error("the authority's key is neither RSA nor ECDSA on P-256")]
    KeyKind,
}

/// Why there is no certificate for a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCertificate {
    /// The name does not fit into a certificate.
    #[error(
        "`{0}` is too long for the common name of a certificate, which has at most {MAX_COMMON_NAME_CHARS} characters"
    )]
    Name(String),
    /// Too early.
    #[error("the certificate of the enrollment group's authority is not valid before {}", .0.date())]
    NotYet(OffsetDateTime),
    /// Too late.
    #[error("the certificate of the enrollment group's authority has expired, on {}", .0.date())]
    Expired(OffsetDateTime),
    /// Should not happen.
    #[error("no certificate could be signed: {0}")]
    Unsigned(String),
}

impl DeviceAuthority {
    /// Reads the texts of certificates, the authority's own first and then those above it, and of its key.
    ///
    /// # Errors
    /// When they do not belong together, or cannot sign certificates of devices.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, InvalidAuthority> {
        // Finds what is missing, and that the key is the certificate's.
        ClientIdentity::from_pem(chain, key)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let chain = chain.map_err(|_| InvalidIdentity::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let key = key.map_err(|_| InvalidIdentity::Key)?;
        let own = chain.first().ok_or(InvalidIdentity::Certificate)?;
        let public = check_authority(own)?;
        let (from, until) = validity(&chain)?;
        let key = AuthorityKey::new(&key, public).ok_or(InvalidAuthority::KeyKind)?;
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"drawspan device keys 1");
        let secret = salt.extract(key.secret());
        let issuer = Issuer::from_ca_cert_der(own, key);
        Ok(Self(Arc::new(Inner {
            issuer: issuer.map_err(|_| InvalidAuthority::Certificate)?,
            chain,
            secret,
            from,
            until,
        })))
    }

    /// The certificate of the device of that name, with its key: the same each time. It is valid as long as the authority's. Takes
    /// up to some milliseconds, with a large RSA key of the authority.
    ///
    /// # Errors
    /// When the name is too long, or the authority is not valid at `now_unix_s`.
    pub fn certify(&self, name: &str, now_unix_s: u64) -> Result<ClientIdentity, NoCertificate> {
        if name.chars().count() > MAX_COMMON_NAME_CHARS {
            return Err(NoCertificate::Name(name.to_owned()));
        }
        let now = i64::try_from(now_unix_s).unwrap_or(i64::MAX);
        if now < self.0.from.unix_timestamp() {
            return Err(NoCertificate::NotYet(self.0.from));
        }
        if now > self.0.until.unix_timestamp() {
            return Err(NoCertificate::Expired(self.0.until));
        }
        let key = self.device_key(name)?;
        let public = DevicePublicKey(key.public_key().to_encoded_point(false).as_bytes().to_vec());
        let signed = self.params(name).signed_by(&public, &self.0.issuer);
        let signed = signed.map_err(|error| NoCertificate::Unsigned(error.to_string()))?;
        let unsigned = |error: &dyn fmt::Display| NoCertificate::Unsigned(error.to_string());
        let key = key.to_sec1_der().map_err(|error| unsigned(&error))?;
        let key = PrivateSec1KeyDer::from(key.to_vec());
        let mut chain = vec![signed.der().clone()];
        chain.extend_from_slice(&self.0.chain);
        ClientIdentity::new(chain, key.into()).map_err(|error| unsigned(&error))
    }

    /// A number below the order of the curve. Almost every first draw is one.
    fn device_key(&self, name: &str) -> Result<SecretKey, NoCertificate> {
        for draw in 0..=u8::MAX {
            let info = [&[draw][..], name.as_bytes()];
            let mut bytes = [0; 32];
            let drawn = self.0.secret.expand(&info, hkdf::HKDF_SHA256);
            let filled = drawn.and_then(|drawn| drawn.fill(&mut bytes));
            if let (Ok(()), Ok(key)) = (filled, SecretKey::from_slice(&bytes)) {
                return Ok(key);
            }
        }
        Err(NoCertificate::Unsigned("no key was found".to_owned()))
    }

    fn params(&self, name: &str) -> CertificateParams {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, name);
        // Without a serial number of its own it is that of the public key.
        let mut params = CertificateParams::default();
        params.distinguished_name = subject;
        params.not_before = self.0.from;
        params.not_after = self.0.until;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params
    }
}

impl fmt::Debug for DeviceAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceAuthority")
    }
}

struct DevicePublicKey(Vec<u8>);

impl PublicKeyData for DevicePublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// The public key of a certificate that may sign others.
fn check_authority(der: &CertificateDer<'_>) -> Result<Vec<u8>, InvalidAuthority> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| InvalidAuthority::Certificate)?;
    let usage = certificate.key_usage();
    let usage = usage.map_err(|_| InvalidAuthority::Certificate)?;
    let may_sign = usage.is_none_or(|usage| usage.value.key_cert_sign());
    if !certificate.is_ca() || !may_sign {
        return Err(InvalidAuthority::NotAuthority);
    }
    Ok(certificate.public_key().subject_public_key.data.to_vec())
}

/// When all of them are valid.
fn validity(
    chain: &[CertificateDer<'_>],
) -> Result<(OffsetDateTime, OffsetDateTime), InvalidAuthority> {
    let mut found: Option<(OffsetDateTime, OffsetDateTime)> = None;
    for der in chain {
        let read = X509Certificate::from_der(der);
        let (_, certificate) = read.map_err(|_| InvalidAuthority::Certificate)?;
        let of = certificate.validity();
        let (from, until) = (of.not_before.to_datetime(), of.not_after.to_datetime());
        found = Some(match found {
            Some((latest, earliest)) => (latest.max(from), earliest.min(until)),
            None => (from, until),
        });
    }
    found.ok_or(InvalidAuthority::Certificate)
}

#[cfg(test)]
mod tests;
