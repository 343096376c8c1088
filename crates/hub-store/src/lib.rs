//! The registry of hubs, modules, twins, cloud-to-device messages, MQTT sessions, file uploads, authorities and registrations on disk:
//! SQLite, written by one thread that puts waiting changes into one transaction.

mod authorities;
mod blobs;
mod c2d;
mod commits;
mod dps;
pub mod limits;
mod modules;
mod mqtt_sessions;
mod open;
mod schema;
mod snapshot;
#[cfg(test)]
mod tests;
mod twins;
mod uploads;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use drawspan_hub::{DeviceId, HostName};
use drawspan_hub_model::c2d::{self as messages, Kept};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::device::Device;
use drawspan_hub_model::dps::{Group, Registration};
use drawspan_hub_model::module::Module;
use drawspan_hub_model::registry;
use drawspan_hub_model::twin::Twin;
use drawspan_hub_model::x509::Authority;
use drawspan_hub_model::{blobs as files, uploads as file_uploads};
use drawspan_state::sqlite;
use drawspan_state::whole::{Cut, Files};
use rusqlite::{Connection, TransactionBehavior};

use commits::{Commits, Stored};
pub use writer::{NoSlot, Slot, Store, Written};

/// Something to be written.
#[derive(Clone, Debug)]
pub enum Write {
    /// A device or a module, or its twin.
    Registry(registry::Change),
    /// A message to a device, or feedback on one.
    CloudToDevice(messages::Change),
    /// A device that registered at the provisioning service.
    Registration(Arc<Registration>),
    /// A value that is kept under a name, for all hubs.
    Setting {
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
    /// A certificate authority is new or different.
    Authority(Box<Authority>),
    /// A certificate authority of that name is gone.
    AuthorityGone(Arc<str>),
    /// A file upload, or a notification of one.
    Upload(file_uploads::Change),
    /// A blob, or a block of one.
    Blob(files::Change),
    /// A client's MQTT session is new or different.
    MqttSession(MqttSession),
    /// A client has no MQTT session that outlives its connection any more.
    MqttSessionGone(ClientId),
}

/// A session of an MQTT client that outlives its connections (CleanSession 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttSession {
    /// The client.
    pub client: ClientId,
    /// What it has subscribed to; the bits mean something to the protocol head alone.
    pub subscriptions: u8,
}

/// Why the registry cannot be stored or loaded.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("cannot {doing} the registry at {}: {cause}{}", path.display(), way_out(doing))]
    Sqlite {
        /// The operation.
        doing: &'static str,
        /// The database file.
        path: PathBuf,
        /// SQLite's error.
        #[source]
        cause: rusqlite::Error,
    },
    /// The file cannot be created.
    #[error("cannot create the registry at {}: {cause}", path.display())]
    File {
        /// The database file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
    /// More was stored than is found.
    #[error(
        "the registry at {}: {what}; put the file back, or begin anew with --reset, which removes devices, messages and telemetry",
        path.display()
    )]
    Lost {
        /// The database file.
        path: PathBuf,
        /// The evidence.
        what: String,
    },
    /// Written by a later version.
    #[error("the registry at {} has format {found}, this version reads format {readable}; run the version that wrote it, or begin anew with --reset", path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
        /// Format found.
        found: i64,
        /// Format that can be read.
        readable: i64,
    },
    /// A snapshot of another version.
    #[error("the snapshot at {} has format {found}, this version restores format {readable}: make a new one", path.display())]
    OtherFormat {
        /// The database file.
        path: PathBuf,
        /// Format found.
        found: i64,
        /// Format that can be restored.
        readable: i64,
    },
    /// A stored device, or message to one, makes no sense.
    #[error("the registry at {} holds what cannot be read: {what}; put the file back, or begin anew with --reset", path.display())]
    Device {
        /// The database file.
        path: PathBuf,
        /// The field and its device.
        what: String,
    },
    /// The last write failed, and is tried again; until it succeeds nothing else is taken.
    #[error("the registry cannot be written at the moment: {0}")]
    Failing(String),
    /// The emulator is stopping.
    #[error("the registry is not being written any more")]
    Closed,
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// The system gave no thread.
    #[error("no thread for the registry: {0}")]
    Thread(#[source] std::io::Error),
}

/// Advice on a file that cannot be opened.
fn way_out(doing: &str) -> &'static str {
    match doing {
        "write" => "",
        _ => "; if it is damaged, put the file back, or begin anew with --reset",
    }
}

/// The database before the writing thread has it.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    path: PathBuf,
    commits: Commits,
    /// Closed after the connection.
    files: Files,
}

impl Drop for Database {
    /// The log of a registry that is not whole stays as it is: a part of it may be all that is left.
    fn drop(&mut self) {
        if self.files.cut().is_some() {
            // If it cannot be set, the log is folded as always.
            let _ = sqlite::fold_at_close(&self.connection, false);
        }
    }
}

impl Database {
    /// Opens or creates the file. `traces` is whether the state directory holds what only a registry that was used leaves there.
    ///
    /// # Errors
    /// When the database cannot be opened, is of another version, or is not whole.
    pub fn open(path: &Path, traces: bool) -> Result<Self, StoreError> {
        open::open(path, traces)
    }

    /// All devices of a hub.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn devices(&self, hub: &HostName) -> Result<Vec<Device>, StoreError> {
        schema::load(&self.connection, hub, &self.path)
    }

    /// Messages to devices, and feedback on them, of a hub.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn messages(&self, hub: &HostName) -> Result<Kept, StoreError> {
        c2d::load(&self.connection, hub, &self.path)
    }

    /// All enrollment groups.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn groups(&self) -> Result<Vec<Group>, StoreError> {
        dps::groups(&self.connection, &self.path)
    }

    /// Keeps an enrollment group.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_group(&mut self, group: &Group) -> Result<(), StoreError> {
        self.write(|connection| dps::put_group(connection, group))
    }

    /// All registrations at the provisioning service.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn registrations(&self) -> Result<Vec<Registration>, StoreError> {
        dps::load(&self.connection, &self.path)
    }

    /// The certificate authorities that callers added to a hub.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn authorities(&self, hub: &HostName) -> Result<Vec<Authority>, StoreError> {
        authorities::load(&self.connection, hub, &self.path)
    }

    /// All modules of a hub.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn modules(&self, hub: &HostName) -> Result<Vec<Module>, StoreError> {
        modules::load(&self.connection, hub, &self.path)
    }

    /// All twins of a hub's modules.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn module_twins(&self, hub: &HostName) -> Result<Vec<(ClientId, Twin)>, StoreError> {
        modules::load_twins(&self.connection, hub, &self.path)
    }

    /// All twins of a hub's devices.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn twins(&self, hub: &HostName) -> Result<Vec<(DeviceId, Twin)>, StoreError> {
        twins::load(&self.connection, hub, &self.path)
    }

    /// All MQTT sessions of a hub.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn mqtt_sessions(&self, hub: &HostName) -> Result<Vec<MqttSession>, StoreError> {
        let mut sessions = mqtt_sessions::load(&self.connection, hub, &self.path)?;
        sessions.extend(modules::load_sessions(&self.connection, hub, &self.path)?);
        Ok(sessions)
    }

    /// File uploads of a hub, and notifications of them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn uploads(&self, hub: &HostName) -> Result<file_uploads::Kept, StoreError> {
        uploads::load(&self.connection, hub, &self.path)
    }

    /// Blobs of a hub, and blocks of such.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn blobs(&self, hub: &HostName) -> Result<files::Kept, StoreError> {
        blobs::load(&self.connection, hub, &self.path)
    }

    /// A value kept under `name`, for all hubs.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        schema::setting(&self.connection, name).map_err(|cause| self.failed("read", cause))
    }

    /// All values whose names begin with `prefix`, with the rest of their names.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn settings(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        schema::settings(&self.connection, prefix).map_err(|cause| self.failed("read", cause))
    }

    /// Keeps `value` under `name`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn set_setting(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        self.write(|connection| schema::set_setting(connection, name, value))
    }

    /// Commits what `write` does, together with its count.
    fn write(
        &mut self,
        write: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let written = commit(&mut self.connection, write);
        let stored = written.map_err(|cause| self.failed("write", cause))?;
        self.commits.committed(stored);
        Ok(())
    }

    /// Refuses to write once another program has emptied or shortened a file.
    fn check_whole(&self) -> Result<(), &'static str> {
        match self.files.cut() {
            None => Ok(()),
            Some(Cut::Database) => Err(
                "another program emptied or shortened registry.db; stop, put it back or begin anew with --reset",
            ),
            Some(Cut::Log) => Err(
                "another program emptied or shortened registry.db-wal; stop, put the registry back or begin anew with --reset",
            ),
        }
    }

    fn failed(&self, doing: &'static str, cause: rusqlite::Error) -> StoreError {
        StoreError::Sqlite {
            doing,
            path: self.path.clone(),
            cause,
        }
    }
}

/// Returns how many transactions were committed.
fn commit(
    connection: &mut Connection,
    write: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<Stored> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    write(&transaction)?;
    let stored = Stored::count(&transaction)?;
    transaction.commit()?;
    Ok(stored)
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

impl From<file_uploads::Change> for Write {
    fn from(change: file_uploads::Change) -> Self {
        Self::Upload(change)
    }
}

impl From<files::Change> for Write {
    fn from(change: files::Change) -> Self {
        Self::Blob(change)
    }
}
