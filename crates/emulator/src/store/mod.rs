//! The registry, twins, and what waits for devices, on disk: SQLite, written by one thread that puts waiting changes into one transaction.

mod c2d;
mod dps;
mod schema;
#[cfg(test)]
mod tests;
mod twins;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use drawspan_hub::{DeviceId, HostName};
use rusqlite::Connection;

use crate::files;
use crate::model::c2d::{self as messages, Kept};
use crate::model::device::Device;
use crate::model::dps::{Group, Registration};
use crate::model::registry;
use crate::model::twin::Twin;
pub(crate) use writer::{NoSlot, Slot, Store};

/// Something to be written.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// A device, or its twin.
    Registry(registry::Change),
    /// A message to a device, or feedback on one.
    CloudToDevice(messages::Change),
    /// A device that registered at the provisioning service.
    Registration(Arc<Registration>),
}

/// Why the registry cannot be stored or loaded.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("cannot {doing} the registry at {}: {cause}", path.display())]
    Sqlite {
        /// What was tried.
        doing: &'static str,
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        cause: rusqlite::Error,
    },
    /// The file cannot be created.
    #[error("cannot create the registry at {}: {cause}", path.display())]
    File {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// Written by a later version.
    #[error("the registry at {} has format {found}, this version reads format {readable}", path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
        /// Format found.
        found: i64,
        /// Format that can be read.
        readable: i64,
    },
    /// A stored device, or message to one, makes no sense.
    #[error("the registry at {} holds what cannot be read: {what}", path.display())]
    Device {
        /// The database file.
        path: PathBuf,
        /// Which field of which device.
        what: String,
    },
    /// The writing thread is gone: it failed earlier, or the emulator is stopping.
    #[error("the registry is not being written any more")]
    Closed,
    /// The system gave no thread.
    #[error("no thread for the registry: {0}")]
    Thread(#[source] std::io::Error),
}

/// The database before the writing thread has it.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    /// Opens or creates the file.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |cause| StoreError::Sqlite {
            doing: "open",
            path: path.to_path_buf(),
            cause,
        };
        // It holds keys. SQLite gives the files beside it the same permissions.
        files::create_private(path).map_err(|cause| StoreError::File {
            path: path.to_path_buf(),
            cause,
        })?;
        let connection = Connection::open(path).map_err(failed)?;
        schema::prepare(&connection, path)?;
        Ok(Self {
            connection,
            path: path.to_path_buf(),
        })
    }

    /// All devices of a hub.
    pub(crate) fn devices(&self, hub: &HostName) -> Result<Vec<Device>, StoreError> {
        schema::load(&self.connection, hub, &self.path)
    }

    /// Messages to devices, and feedback on them, of a hub.
    pub(crate) fn messages(&self, hub: &HostName) -> Result<Kept, StoreError> {
        c2d::load(&self.connection, hub, &self.path)
    }

    /// All enrollment groups.
    pub(crate) fn groups(&self) -> Result<Vec<Group>, StoreError> {
        dps::groups(&self.connection, &self.path)
    }

    /// Keeps an enrollment group.
    pub(crate) fn put_group(&self, group: &Group) -> Result<(), StoreError> {
        dps::put_group(&self.connection, group).map_err(|cause| self.failed("write", cause))
    }

    /// All registrations at the provisioning service.
    pub(crate) fn registrations(&self) -> Result<Vec<Registration>, StoreError> {
        dps::load(&self.connection, &self.path)
    }

    /// All twins of a hub.
    pub(crate) fn twins(&self, hub: &HostName) -> Result<Vec<(DeviceId, Twin)>, StoreError> {
        twins::load(&self.connection, hub, &self.path)
    }

    /// A value kept under `name`, for all hubs.
    pub(crate) fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        schema::setting(&self.connection, name).map_err(|cause| self.failed("read", cause))
    }

    /// Keeps `value` under `name`.
    pub(crate) fn set_setting(&self, name: &str, value: &str) -> Result<(), StoreError> {
        schema::set_setting(&self.connection, name, value)
            .map_err(|cause| self.failed("write", cause))
    }

    fn failed(&self, doing: &'static str, cause: rusqlite::Error) -> StoreError {
        StoreError::Sqlite {
            doing,
            path: self.path.clone(),
            cause,
        }
    }
}

impl From<registry::Change> for Write {
    fn from(change: registry::Change) -> Self {
        Self::Registry(change)
    }
}

impl From<messages::Change> for Write {
    fn from(change: messages::Change) -> Self {
        Self::CloudToDevice(change)
    }
}
