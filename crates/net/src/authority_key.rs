//! The key of an authority. The same text has the same signature each time.

use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::Signer;
use secrecy::{ExposeSecret as _, SecretSlice};

/// Signs, and has what other keys are derived from.
pub(crate) struct AuthorityKey {
    signer: Kind,
    /// As in the certificate.
    public: Vec<u8>,
    secret: SecretSlice<u8>,
}

enum Kind {
    P256(Box<SigningKey>),
    Rsa(Box<dyn Signer>),
}

impl AuthorityKey {
    /// `None` for a key of another kind: ECDSA on other curves, whose signatures would differ each time, and Ed25519, which IoT Hub
    /// does not know.
    pub(crate) fn new(key: &PrivateKeyDer<'_>, public: Vec<u8>) -> Option<Self> {
        let der = key.secret_der();
        let on_p256 = match key {
            PrivateKeyDer::Pkcs8(_) => {
                use p256::pkcs8::DecodePrivateKey as _;
                SecretKey::from_pkcs8_der(der).ok()
            }
            PrivateKeyDer::Sec1(_) => SecretKey::from_sec1_der(der).ok(),
            _ => None,
        };
        if let Some(key) = on_p256 {
            return Some(Self {
                secret: key.to_bytes().to_vec().into(),
                signer: Kind::P256(Box::new(key.into())),
                public,
            });
        }
        let rsa = any_supported_type(key).ok()?;
        let signer = rsa.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?;
        Some(Self {
            signer: Kind::Rsa(signer),
            public,
            secret: der.to_vec().into(),
        })
    }

    /// What other keys are derived from; not for logs.
    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.expose_secret()
    }
}

impl PublicKeyData for AuthorityKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.signer {
            Kind::P256(_) => &PKCS_ECDSA_P256_SHA256,
            Kind::Rsa(_) => &PKCS_RSA_SHA256,
        }
    }
}

impl rcgen::SigningKey for AuthorityKey {
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match &self.signer {
            Kind::P256(key) => {
                let signature: DerSignature = key.sign(text);
                Ok(signature.as_bytes().to_vec())
            }
            Kind::Rsa(signer) => signer.sign(text).map_err(|_| rcgen::Error::RemoteKeyError),
        }
    }
}
