//! Certificate authorities from a PEM file.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};
use thiserror::Error;

use crate::limits::MAX_CA_FILE_BYTES;
use crate::whole_file::{self, UnreadFile};

/// Why a file gives no authorities.
#[derive(Debug, Error)]
pub enum InvalidAuthorities {
    /// Cannot be read.
    #[error(transparent)]
    Unread(#[from] UnreadFile),
    /// Broken PEM.
    #[error("{path} is not PEM: {error}")]
    Pem {
        /// The file.
        path: String,
        /// The mistake.
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
    let bytes = whole_file::read(path, MAX_CA_FILE_BYTES)?;
    let certificates =
        CertificateDer::pem_slice_iter(&whole_file::as_pem(&bytes)).collect::<Result<Vec<_>, _>>();
    match certificates {
        Err(error) => Err(InvalidAuthorities::Pem { path: name, error }),
        Ok(none) if none.is_empty() => Err(InvalidAuthorities::Empty(name)),
        Ok(certificates) => Ok(certificates),
    }
}
