//! Certificate and key of the listener, and what happens when their files change.

mod validity;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use drawspan_hub::UtcTime;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tracing::{error, info, warn};

use crate::limits::MAX_CA_FILE_BYTES;
use crate::whole_file::{self, UnreadFile};
use validity::Validity;

/// Why certificate and key cannot be used. Holds nothing of the key.
#[derive(Debug, Error)]
pub enum InvalidCertificate {
    /// A file cannot be read.
    #[error(transparent)]
    Unread(#[from] UnreadFile),
    /// No certificate.
    #[error("{0} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate(String),
    /// No key, or an encrypted one.
    #[error(
        "{0} holds no unencrypted private key in PEM (-----BEGIN PRIVATE KEY-----, or RSA or EC)"
    )]
    NoKey(String),
    /// They do not belong together.
    #[error("the key in {key} is not that of the first certificate in {certificate}")]
    NotAPair {
        /// File of the certificate.
        certificate: String,
        /// File of the key.
        key: String,
    },
    /// Something else.
    #[error("{path} cannot be used: {error}")]
    Unusable {
        /// File of the certificate.
        path: String,
        /// Why.
        error: rustls::Error,
    },
}

type Contents = [u8; 32];

/// Certificate and key as they are shown to callers now.
#[derive(Debug)]
pub struct ListenerCertificate {
    certificate: PathBuf,
    key: PathBuf,
    shown: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<Seen>,
}

/// The contents of the files.
#[derive(Debug)]
struct Seen {
    /// When they were looked at last; the hash of nothing readable is that of its error.
    last: Contents,
    /// When something was said of them last.
    told: Contents,
}

impl ListenerCertificate {
    /// Reads certificate and key, both PEM. Blocks, for files.
    ///
    /// # Errors
    /// [`InvalidCertificate`]: a file cannot be read, holds nothing of use, or the two do not belong together.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, InvalidCertificate> {
        let (contents, pair) = read(certificate, key);
        let pair = pair?;
        warn_of(&pair, certificate);
        Ok(Self {
            certificate: certificate.to_path_buf(),
            key: key.to_path_buf(),
            shown: RwLock::new(Arc::new(pair)),
            seen: Mutex::new(Seen {
                last: contents,
                told: contents,
            }),
        })
    }

    /// Applies the contents of the files if they changed. Without `insist`, it waits until two reads agree, since the two files are
    /// not written at once.
    pub fn refresh(&self, insist: bool) {
        let (contents, pair) = read(&self.certificate, &self.key);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = seen.last == contents || insist;
        seen.last = contents;
        if !settled || seen.told == contents {
            return;
        }
        seen.told = contents;
        match pair {
            Ok(pair) => {
                info!(certificate = %self.certificate.display(), "the listener has another certificate");
                warn_of(&pair, &self.certificate);
                *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
            }
            Err(error) => {
                error!(%error, "the listener's new certificate cannot be used; it keeps the one that it has");
            }
        }
    }
}

impl ResolvesServerCert for ListenerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&shown))
    }
}

fn warn_of(pair: &CertifiedKey, certificate: &Path) {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since_1970.map_or(0, |time| time.as_millis());
    let now = UtcTime::from_unix_ms(i64::try_from(ms).unwrap_or(i64::MAX));
    let leaf = pair.cert.first().and_then(|leaf| Validity::of(leaf));
    if let Some(mistake) = leaf.and_then(|validity| validity.mistake(now)) {
        let certificate = certificate.display();
        warn!(%certificate, "the listener's certificate {mistake}; callers that check it will not connect");
    }
}

/// Reads the files, and returns their contents and the resulting certificate.
fn read(certificate: &Path, key: &Path) -> (Contents, Result<CertifiedKey, InvalidCertificate>) {
    let texts = [certificate, key].map(|path| whole_file::read(path, MAX_CA_FILE_BYTES));
    let mut hash = Sha256::new();
    for text in &texts {
        match text {
            Ok(bytes) => {
                hash.update(bytes);
                hash.update([0]);
            }
            Err(error) => hash.update(error.to_string()),
        }
    }
    let [certificates, private] = texts;
    let pair = || pair(&certificates?, &private?, certificate, key);
    (hash.finalize().into(), pair())
}

fn pair(
    certificates: &[u8],
    private: &[u8],
    certificate: &Path,
    key: &Path,
) -> Result<CertifiedKey, InvalidCertificate> {
    let name = |path: &Path| path.display().to_string();
    let certificates = whole_file::as_pem(certificates);
    let chain = CertificateDer::pem_slice_iter(&certificates).collect::<Result<Vec<_>, _>>();
    let chain = chain.unwrap_or_default();
    if chain.is_empty() {
        return Err(InvalidCertificate::NoCertificate(name(certificate)));
    }
    let private = PrivateKeyDer::from_pem_slice(&whole_file::as_pem(private));
    let private = private.map_err(|_| InvalidCertificate::NoKey(name(key)))?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, private, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => InvalidCertificate::NotAPair {
            certificate: name(certificate),
            key: name(key),
        },
        error => InvalidCertificate::Unusable {
            path: name(certificate),
            error,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.path(name), text).unwrap();
        }

        fn open(&self) -> Result<ListenerCertificate, InvalidCertificate> {
            ListenerCertificate::open(&self.path("cert"), &self.path("key"))
        }
    }

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn shown(identity: &ListenerCertificate) -> Vec<CertificateDer<'static>> {
        identity.shown.read().unwrap().cert.clone()
    }

    #[test]
    fn mistakes_are_named_and_show_no_key() {
        let files = Files(tempfile::tempdir().unwrap());
        let (cert, key) = made();
        let check = |cert: &str, key: &str, expected: &str| {
            files.write("cert", cert);
            files.write("key", key);
            let text = files.open().unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains("PRIVATE KEY-----\n"), "{text}");
        };
        check("", &key, "cert holds no certificate");
        check("-----BEGIN CERTIFICATE-----\n%", &key, "no certificate");
        check(&cert, "", "key holds no unencrypted private key");
        check(
            &cert,
            &key.replace("BEGIN P", "BEGIN ENCRYPTED P"),
            "no unencrypted",
        );
        check(&cert, &cert, "no unencrypted private key");
        check(&cert, &made().1, "is not that of the first certificate");
        check(&cert, &"x".repeat(2_000_000), "key is over");
        std::fs::remove_file(files.path("key")).unwrap();
        let text = files.open().unwrap_err().to_string();
        assert!(text.contains("cannot read"), "{text}");
    }

    #[test]
    fn files_with_a_byte_order_mark_are_taken() {
        let files = Files(tempfile::tempdir().unwrap());
        let (cert, key) = made();
        files.write("cert", &format!("\u{feff}{cert}"));
        files.write("key", &format!("\u{feff}{key}"));
        assert_eq!(shown(&files.open().unwrap()).len(), 1);
    }

    #[test]
    fn a_new_pair_counts_once_both_files_are_there_and_a_broken_one_never() {
        let files = Files(tempfile::tempdir().unwrap());
        let write = |(cert, key): &(String, String)| {
            files.write("cert", cert);
            files.write("key", key);
        };
        let (first, second) = (made(), made());
        write(&first);
        let identity = files.open().unwrap();
        let before = shown(&identity);
        identity.refresh(false);
        assert_eq!(shown(&identity), before);

        files.write("cert", &second.0);
        identity.refresh(false);
        identity.refresh(false);
        assert_eq!(shown(&identity), before, "half a pair");
        files.write("key", &second.1);
        identity.refresh(false);
        assert_eq!(shown(&identity), before, "seen once");
        identity.refresh(false);
        let after = shown(&identity);
        assert_ne!(after, before);

        files.write("key", "nonsense");
        identity.refresh(true);
        assert_eq!(shown(&identity), after);
        // An explicit reload need not check twice.
        write(&first);
        identity.refresh(true);
        assert_eq!(shown(&identity), before);
    }
}
