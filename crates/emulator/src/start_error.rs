//! Errors that prevent an emulator from starting.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use drawspan_emulator_hub::hub::ChangeError;
use drawspan_emulator_hub::random::NoRandomness;
use drawspan_hub::key::InvalidKey;
use drawspan_hub_model::x509::InvalidCertificate;
use drawspan_hub_store::StoreError;
use drawspan_net::TrustError;
use drawspan_segment_log::LogError;

use crate::ca::CaError;
use crate::config::Mistake;
use crate::state::StateError;

/// Why an emulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error("the configuration is wrong: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<Mistake>),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The certificate is unavailable.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The authority's certificate cannot be read.
    #[error("the certificate at {} cannot be read: {cause}", path.display())]
    OwnAuthority {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: InvalidCertificate,
    },
    /// The registry cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The telemetry cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Devices cannot be created.
    #[error(transparent)]
    Devices(#[from] ChangeError),
    /// No keys can be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// A stored key is invalid.
    #[error("a key in the state directory cannot be read: {0}")]
    StoredKey(#[from] InvalidKey),
    /// A storage account cannot be reached over TLS.
    #[error("uploaded files: {0}")]
    Trust(#[from] TrustError),
    /// A port cannot be had.
    #[error("cannot listen for {protocol} at {address}: {cause}")]
    Listen {
        /// The protocol of the port.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// A port is for the administrator alone.
    #[error(
        "cannot listen for {protocol} at {address}: the port is not permitted here\n{permission}"
    )]
    NotPermitted {
        /// The protocol of the port.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// Lines that say how to have it.
        permission: String,
    },
    /// Running emulators cannot be found.
    #[error("cannot write how this emulator is reached into {}: {cause}", path.display())]
    Control {
        /// The state directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}
