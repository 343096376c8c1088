//! The file by which `drawspan emulator ctl --state DIR` finds a running emulator.

use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use drawspan_state::private;
use serde::{Deserialize, Serialize};

/// Its name in the state directory.
pub(crate) const FILE: &str = "control.json";
/// Written first, and renamed when it is whole.
const NEW_FILE: &str = "control.json.new";

/// What the file says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    /// Where the control API is.
    pub(super) url: String,
    /// A hub that takes the key.
    pub(super) hub: String,
    /// The owner's key, Base64.
    pub(super) key: String,
    /// The process.
    pub(super) pid: u32,
}

/// The file of a running emulator. Removed when this is dropped; an emulator that was killed leaves it behind, and its address does not
/// answer then.
#[derive(Debug)]
pub(crate) struct ControlFile(PathBuf);

impl ControlFile {
    /// Writes the file, for its owner only.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(
        folder: &Path,
        https: SocketAddr,
        hub: &str,
        key: String,
    ) -> io::Result<Self> {
        let found = Found {
            url: format!("https://{}", reachable(https)),
            hub: hub.to_owned(),
            key,
            pid: std::process::id(),
        };
        let (new, path) = (folder.join(NEW_FILE), folder.join(FILE));
        let mut file = private::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&new)?;
        private::close_file(&new);
        file.write_all(&serde_json::to_vec(&found)?)?;
        drop(file);
        fs::rename(&new, &path)?;
        Ok(Self(path))
    }
}

impl Drop for ControlFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, file = %self.0.display(), "was not removed");
        }
    }
}

/// Reads the file in a state directory; `None` if it is not there.
pub(super) fn read(folder: &Path) -> io::Result<Option<Found>> {
    match fs::read(folder.join(FILE)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where a program on this machine reaches a listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, address.port())
}
