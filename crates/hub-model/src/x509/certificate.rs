//! One certificate.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::thumbprint;
use crate::limits::CERTIFICATE_BYTES_MAX;

/// A certificate, and those of its fields that a hub looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    common_name: Option<String>,
    subject: String,
    issuer: String,
    serial: String,
    version: u32,
    is_authority: bool,
    not_before_unix_s: i64,
    not_after_unix_s: i64,
}

/// Whether a certificate is valid at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It will be.
    NotYet,
    /// It is.
    Valid,
    /// It was.
    Expired,
}

/// Bytes or text that are no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// None was given.
    #[error("there is no certificate")]
    Missing,
    /// More bytes than are looked at.
    #[error("a certificate has more than {CERTIFICATE_BYTES_MAX} bytes")]
    TooLarge,
    /// No X.509, or followed by something else.
    #[error("this is not an X.509 certificate")]
    Malformed,
    /// Neither PEM nor base64.
    #[error("the certificate is neither PEM nor DER in base64")]
    Encoding,
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    /// When it is not one certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidCertificate> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(InvalidCertificate::TooLarge);
        }
        let (rest, read) =
            X509Certificate::from_der(der).map_err(|_| InvalidCertificate::Malformed)?;
        if !rest.is_empty() {
            return Err(InvalidCertificate::Malformed);
        }
        let common_name = read.subject().iter_common_name().next();
        let common_name = common_name.and_then(|name| name.as_str().ok());
        let constraints = read.basic_constraints().ok().flatten();
        Ok(Self {
            common_name: common_name.map(str::to_owned),
            subject: read.subject().to_string(),
            issuer: read.issuer().to_string(),
            serial: thumbprint::hex(read.raw_serial()),
            version: read.version().0.saturating_add(1),
            is_authority: constraints.is_some_and(|constraints| constraints.value.ca),
            not_before_unix_s: read.validity().not_before.timestamp(),
            not_after_unix_s: read.validity().not_after.timestamp(),
            der: CertificateDer::from(der.to_vec()),
        })
    }

    /// Reads the first certificate of a PEM text, or DER or such a text in base64: the management interfaces take all of these.
    ///
    /// # Errors
    /// When there is none.
    pub fn from_text(text: &str) -> Result<Self, InvalidCertificate> {
        use base64::Engine as _;
        if text.contains("-----BEGIN") {
            return Self::from_pem(text.as_bytes());
        }
        let text: String = text.split_ascii_whitespace().collect();
        if text.is_empty() {
            return Err(InvalidCertificate::Missing);
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(text);
        let decoded = decoded.map_err(|_| InvalidCertificate::Encoding)?;
        match decoded.starts_with(b"-----BEGIN") {
            true => Self::from_pem(&decoded),
            false => Self::from_der(&decoded),
        }
    }

    fn from_pem(text: &[u8]) -> Result<Self, InvalidCertificate> {
        let der = CertificateDer::from_pem_slice(text);
        Self::from_der(&der.map_err(|_| InvalidCertificate::Encoding)?)
    }

    /// Its bytes.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The first common name of its subject, if it is text.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// Its subject, such as `CN=sensor-1`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The subject of whoever signed it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its serial number, in hexadecimal digits.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The version of X.509: 1 to 3.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Whether it may sign others, by its basic constraints.
    pub const fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// When it begins to be valid, seconds since 1970.
    pub const fn not_before_unix_s(&self) -> i64 {
        self.not_before_unix_s
    }

    /// The last second of its validity, seconds since 1970.
    pub const fn not_after_unix_s(&self) -> i64 {
        self.not_after_unix_s
    }

    /// Whether it is valid at `now_unix_s`.
    pub fn validity(&self, now_unix_s: u64) -> Validity {
        let now = i64::try_from(now_unix_s).unwrap_or(i64::MAX);
        if now < self.not_before_unix_s {
            Validity::NotYet
        } else if now > self.not_after_unix_s {
            Validity::Expired
        } else {
            Validity::Valid
        }
    }

    /// Its SHA-1 thumbprint: 40 hexadecimal digits, in capitals as the portal shows them.
    pub fn sha1_thumbprint(&self) -> String {
        use sha1::Digest as _;
        thumbprint::hex(&sha1::Sha1::digest(&self.der))
    }

    /// Its SHA-256 thumbprint: 64 hexadecimal digits.
    pub fn sha256_thumbprint(&self) -> String {
        use sha2::Digest as _;
        thumbprint::hex(&sha2::Sha256::digest(&self.der))
    }

    /// Whether `thumbprint` is one of its two.
    pub fn has_thumbprint(&self, thumbprint: &str) -> bool {
        match thumbprint.len() {
            thumbprint::SHA1_DIGITS => self.sha1_thumbprint(),
            thumbprint::SHA256_DIGITS => self.sha256_thumbprint(),
            _ => return false,
        }
        .eq_ignore_ascii_case(thumbprint)
    }
}
