//! The emulator's own certificate authority, and the certificate of its servers.

mod authority;
mod files;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drawspan_hub::HostName;
use drawspan_state::private;
use rustls::ServerConfig;

/// File name of the authority's certificate, which clients must trust.
pub const CA_FILE: &str = "ca.pem";
/// File name of the authority's key.
pub(crate) const KEY_FILE: &str = "ca-key.pem";

/// An authority, and TLS as the emulator's servers speak it.
#[derive(Debug)]
pub(crate) struct Tls {
    /// The authority's certificate, PEM.
    pub(crate) ca_pem: String,
    /// The path of that certificate.
    pub(crate) ca_path: PathBuf,
    /// TLS 1.2 and 1.3 with a certificate of this authority.
    pub(crate) server: Arc<ServerConfig>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The file system refused.
    #[error("cannot {doing} {}: {cause}{}", path.display(), way_out(doing))]
    Io {
        /// The operation.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
    /// A certificate could not be issued, or the stored key is invalid.
    #[error(
        "cannot make a certificate with the key at {}: {cause}; if the key is damaged, put it back, or delete it and {CA_FILE} and have clients trust the new one",
        path.display()
    )]
    Certificate {
        /// The key's file.
        path: PathBuf,
        /// The certificate library's error.
        #[source]
        cause: rcgen::Error,
    },
    /// The stored authority does not vouch for what its key signs.
    #[error(
        "the certificate at {} has expired or does not belong to {KEY_FILE} beside it; \
         delete both, start again, and have clients trust the new one ({cause})",
        path.display()
    )]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// The check's error.
        #[source]
        cause: rustls::Error,
    },
}

/// Advice on a file that cannot be read.
fn way_out(doing: &str) -> &'static str {
    match doing {
        "read" => {
            "; if it is damaged, put it back, or delete both ca.pem and ca-key.pem and have clients trust the new authority"
        }
        _ => "",
    }
}

/// Takes the authority that lies in `folder`, or makes one there, and issues a certificate for `localhost`, the loopback
/// addresses, `bind` and `names`. With `keep_key` false the authority's key is not written.
pub(crate) fn prepare(
    folder: &Path,
    keep_key: bool,
    bind: IpAddr,
    names: &[HostName],
) -> Result<Tls, CaError> {
    let (ca_path, key_path) = (folder.join(CA_FILE), folder.join(KEY_FILE));
    let unmade = |cause| CaError::Certificate {
        path: key_path.clone(),
        cause,
    };
    let key = match files::read(&key_path)? {
        Some(pem) => authority::Key::from_pem(&pem).map_err(unmade)?,
        None => authority::Key::generate().map_err(unmade)?,
    };
    private::close_file(&key_path);
    let stored = files::read(&ca_path)?;
    let ca_pem = match &stored {
        Some(pem) => pem.clone(),
        None => key.certificate().map_err(unmade)?,
    };
    let leaf = key.issue(bind, names).map_err(unmade)?;
    let unusable = |cause| CaError::Unusable {
        path: ca_path.clone(),
        cause,
    };
    authority::check(&ca_pem, &leaf).map_err(unusable)?;
    let server = leaf.into_server_config().map_err(unusable)?;
    // The key first: a certificate without its key could never be used again.
    if keep_key && !key_path.exists() {
        files::write(&key_path, &key.to_pem(), files::Access::OwnerOnly)?;
    }
    if stored.is_none() {
        files::write(&ca_path, &ca_pem, files::Access::Everyone)?;
    }
    Ok(Tls {
        ca_pem,
        ca_path,
        server: Arc::new(server),
    })
}
