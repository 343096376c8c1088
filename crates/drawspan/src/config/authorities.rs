//! Certificate authorities from a PEM file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};
use thiserror::Error;

use crate::limits::MAX_CA_FILE_BYTES;

/// Why a file gives no authorities.
#[derive(Debug, Error)]
pub enum InvalidAuthorities {
    /// Cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// Longer than any such file.
    #[error("{0} is over {MAX_CA_FILE_BYTES} bytes")]
    TooLarge(String),
    /// Broken PEM.
    #[error("{path} is not PEM: {error}")]
    Pem {
        /// The file.
        path: String,
        /// What is wrong.
        error: pem::Error,
    },
    /// No certificate in it.
    #[error("{0} holds no certificate (-----BEGIN CERTIFICATE-----)")]
    Empty(String),
}

/// Reads all certificates of a file.
///
/// # Errors
/// The file cannot be read, is not PEM, or holds no certificate.
pub fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, InvalidAuthorities> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_CA_FILE_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => return Err(InvalidAuthorities::Read { path: name, error }),
        Ok(length) if length as u64 > MAX_CA_FILE_BYTES => {
            return Err(InvalidAuthorities::TooLarge(name));
        }
        Ok(_) => {}
    }
    let certificates = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match certificates {
        Err(error) => Err(InvalidAuthorities::Pem { path: name, error }),
        Ok(none) if none.is_empty() => Err(InvalidAuthorities::Empty(name)),
        Ok(certificates) => Ok(certificates),
    }
}
