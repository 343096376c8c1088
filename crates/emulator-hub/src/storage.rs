//! Where the files of devices go: into the built-in storage, or into an account of Azure Storage or an Azurite.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use drawspan_hub::storage::{Permission, Scope, StorageAccount, blob_path, sign};
use drawspan_net::{Connector, HttpBounds, HttpChannel, HttpClient};
use http::{Method, Request, StatusCode, header};

use crate::blobs::{BlobStore, CONTAINER};
use crate::limits::{STORAGE_ANSWER_BYTES, STORAGE_CONNECTIONS, STORAGE_TIME_MS, USER_SIGNATURE_S};

/// What a device may do with its blob, as IoT Hub has it.
const OF_DEVICE: [Permission; 2] = [Permission::Read, Permission::Write];

/// What a user of the emulator may do with all blobs.
const OF_USER: [Permission; 3] = [Permission::Read, Permission::Delete, Permission::List];

/// The version of the REST interface in requests to an account.
const REST_VERSION: &str = "2018-03-28";

/// The storage of a hub's uploaded files.
#[derive(Debug)]
pub enum Storage {
    /// The emulator's own.
    BuiltIn(Arc<BlobStore>),
    /// An account.
    Account(Arc<AccountStorage>),
}

/// A container of a storage account. Shared by hubs.
pub struct AccountStorage {
    account: StorageAccount,
    container: String,
    client: HttpClient,
}

/// What is known of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its size.
    pub bytes: u64,
    /// When it was written, Unix milliseconds.
    pub modified_unix_ms: u64,
}

impl Storage {
    /// The container's name.
    pub fn container(&self) -> &str {
        match self {
            Self::BuiltIn(_) => CONTAINER,
            Self::Account(storage) => &storage.container,
        }
    }

    /// The host name that a device is told, which reached the emulator at `authority`.
    pub(crate) fn host_name(&self, authority: &str) -> String {
        match self {
            Self::BuiltIn(_) => authority.to_owned(),
            Self::Account(storage) => storage.account.host_name(),
        }
    }

    /// A device's signature for its blob, as the query of a URL.
    pub(crate) fn sign(&self, blob: &str, expires_unix_s: u64) -> String {
        match self {
            Self::BuiltIn(store) => store.sign(Some(blob), &OF_DEVICE, expires_unix_s),
            Self::Account(storage) => storage.sign(blob, &OF_DEVICE, expires_unix_s),
        }
    }

    /// The URL of a blob on a host.
    pub fn blob_uri(&self, host: &str, blob: &str) -> String {
        let is_clear = matches!(self, Self::Account(storage) if !storage.account.is_secure);
        let scheme = if is_clear { "http" } else { "https" };
        format!("{scheme}://{host}{}", blob_path(self.container(), blob))
    }

    /// The URL of the container for a user: of the built-in storage at `authority`, with a signature that reads, lists and deletes
    /// for a year, a secret; of an account, without one.
    pub fn container_uri(&self, authority: &str, now_unix_ms: u64) -> String {
        match self {
            Self::BuiltIn(store) => {
                let expires = (now_unix_ms / 1000).saturating_add(USER_SIGNATURE_S);
                let signature = store.sign(None, &OF_USER, expires);
                format!("https://{authority}/{CONTAINER}{signature}")
            }
            Self::Account(storage) => {
                let scheme = if storage.account.is_secure {
                    "https"
                } else {
                    "http"
                };
                let host = storage.account.host_name();
                format!("{scheme}://{host}/{}", storage.container)
            }
        }
    }

    /// Looks a blob up; `None` if there is none.
    ///
    /// # Errors
    /// Why an account does not say.
    pub(crate) async fn stat(&self, blob: &str, now_unix_ms: u64) -> Result<Option<Stat>, String> {
        match self {
            Self::BuiltIn(store) => Ok(store.get(blob).map(|blob| Stat {
                bytes: blob.bytes,
                modified_unix_ms: blob.modified_unix_ms,
            })),
            Self::Account(storage) => storage.stat(blob, now_unix_ms).await,
        }
    }
}

impl AccountStorage {
    /// A container, which must be there. `connector` is for accounts that are reached over TLS.
    pub fn new(account: StorageAccount, container: String, connector: Option<Connector>) -> Self {
        let time = Duration::from_millis(STORAGE_TIME_MS);
        let channel = match connector.filter(|_| account.is_secure) {
            Some(connector) => HttpChannel::Tls(connector),
            None => HttpChannel::Clear {
                to: None,
                within: time,
            },
        };
        let bounds = HttpBounds {
            connections: STORAGE_CONNECTIONS,
            time,
            answer_bytes: STORAGE_ANSWER_BYTES,
        };
        let (host, port) = account.host_and_port();
        Self {
            client: HttpClient::new(host, port, channel, bounds),
            account,
            container,
        }
    }

    fn sign(&self, blob: &str, permissions: &[Permission], expires_unix_s: u64) -> String {
        let scope = Scope {
            account: &self.account.name,
            container: &self.container,
            blob: Some(blob),
        };
        sign(scope, &self.account.key, permissions, expires_unix_s)
    }

    async fn stat(&self, blob: &str, now_unix_ms: u64) -> Result<Option<Stat>, String> {
        let expires = (now_unix_ms + STORAGE_TIME_MS).div_ceil(1000) + 60;
        let query = self.sign(blob, &[Permission::Read], expires);
        let path = self.account.blob_path(&self.container, blob);
        let request = Request::builder()
            .method(Method::HEAD)
            .uri(path + &query)
            .header(header::HOST, &self.account.authority)
            .header("x-ms-version", REST_VERSION)
            .body(Bytes::new())
            .map_err(|error| error.to_string())?;
        let answer = self.client.send(request, true).await;
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(format!("it answered {status}")),
        }
        let text = |name| answer.headers().get(name).and_then(|it| it.to_str().ok());
        let bytes = text(header::CONTENT_LENGTH).and_then(|it| it.parse().ok());
        let modified = text(header::LAST_MODIFIED);
        let modified = modified.and_then(|it| httpdate::parse_http_date(it).ok());
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Some(Stat {
            bytes: bytes.ok_or("its answer has no Content-Length")?,
            modified_unix_ms: since.map_or(now_unix_ms, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }),
        }))
    }
}

impl fmt::Debug for AccountStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountStorage")
            .field("account", &self.account)
            .field("container", &self.container)
            .finish_non_exhaustive()
    }
}
