//! Starting and ending.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drawspan_hub::SymmetricKey;
use drawspan_hub::key::InvalidKey;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::announcement;
use crate::ca::{self, CaError, Tls};
use crate::config::{Config, HTTPS_PORT, HTTPS_PORT_UNPRIVILEGED, Mistake};
use crate::hub::{ChangeError, Hub, Parts};
use crate::hub_set::HubSet;
use crate::log::{Keeper, LogError, LogLimits, TelemetryLog};
use crate::model::groups::ConsumerGroups;
use crate::model::policy::Policies;
use crate::model::registry::Registry;
use crate::random::{self, NoRandomness};
use crate::server::{self, Stop, Stopper};
use crate::state::{StateError, StateFolder};
use crate::store::{Database, Store, StoreError};
use crate::{amqps, clock, https};

const POLICY_KEY: &str = "policy-key";
const CREATED: &str = "created-unix-ms";

/// Hubs to be started.
#[derive(Debug)]
pub struct Emulator;

/// A running emulator. Dropping it ends it at once; [`Running::shutdown`] lets requests under way be answered.
#[derive(Debug)]
pub struct Running {
    hubs: HubSet,
    addresses: Addresses,
    ca_path: PathBuf,
    announcement: String,
    servers: JoinSet<()>,
    stopper: Stopper,
    store: Option<Arc<Store>>,
    keeper: Keeper,
    _state: StateFolder,
}

/// Where a running emulator listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// AMQP over TLS.
    pub amqps: SocketAddr,
    /// HTTPS.
    pub https: SocketAddr,
    /// Whether HTTPS had to go to another port, because the usual one is not permitted.
    pub https_moved: bool,
}

/// Why an emulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error("the configuration is wrong: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<Mistake>),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no certificate.
    #[error(transparent)]
    Ca(#[from] CaError),
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
    /// The stored policy key is not one.
    #[error("the policy key in the state directory cannot be read: {0}")]
    PolicyKey(#[from] InvalidKey),
    /// A port cannot be had.
    #[error("cannot listen for {protocol} at {address}: {cause}")]
    Listen {
        /// What the port is for.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

/// What is opened before anything is served.
struct Opened {
    state: StateFolder,
    tls: Tls,
    store: Option<Arc<Store>>,
    hubs: Vec<Arc<Hub>>,
    logs: Vec<Arc<TelemetryLog>>,
}

impl Emulator {
    /// Starts all hubs of `config`. When it returns, all ports accept.
    ///
    /// # Errors
    /// When the configuration is wrong, state cannot be used or is damaged, or a port cannot be had.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(StartError::Config(mistakes));
        }
        // First, because a port that is taken is the likeliest failure and should leave no trace.
        let (amqps_listener, https_listener, addresses) = listen(&config)?;
        let opening = config.clone();
        let opened = tokio::task::spawn_blocking(move || open(&opening));
        let Opened {
            state,
            tls,
            store,
            hubs,
            logs,
        } = opened
            .await
            .map_err(|error| StartError::Thread(io::Error::other(error)))??;
        for hub in &hubs {
            hub.ensure_devices(&config.devices, config.group_key.as_ref())
                .await?;
        }
        let keeper = Keeper::start(logs).map_err(StartError::Thread)?;
        let hubs = HubSet::new(hubs, config.dps_name.clone());
        let announcement = announcement::text(&config, &hubs, addresses, &tls.ca_path);

        let (stopper, stop) = Stop::new();
        let acceptor = TlsAcceptor::from(tls.server);
        let mut servers = JoinSet::new();
        let amqp_hubs = hubs.clone();
        servers.spawn(server::accept(
            amqps_listener,
            acceptor.clone(),
            stop.clone(),
            move |connection| amqps::serve(connection, amqp_hubs.clone()),
        ));
        let router = https::router(https::Shared {
            hubs: hubs.clone(),
            ca_pem: tls.ca_pem.into(),
        });
        servers.spawn(server::accept(
            https_listener,
            acceptor,
            stop,
            move |connection| https::serve(connection, router.clone()),
        ));
        let ca_path = tls.ca_path;
        Ok(Running {
            hubs,
            addresses,
            ca_path,
            announcement,
            servers,
            stopper,
            store,
            keeper,
            _state: state,
        })
    }
}

impl Running {
    /// The hubs, for callers in the same process.
    pub fn hubs(&self) -> &HubSet {
        &self.hubs
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The file with the certificate that clients must trust.
    pub fn ca_path(&self) -> &Path {
        &self.ca_path
    }

    /// What a user must know to connect: connection strings with their keys, addresses, how to trust the authority.
    /// Ends with the line `ready`.
    pub fn announcement(&self) -> &str {
        &self.announcement
    }

    /// Takes no more connections, lets those that there are end for a few seconds, and writes everything out.
    pub async fn shutdown(self) {
        let Self {
            mut servers,
            stopper,
            store,
            keeper,
            _state: state,
            ..
        } = self;
        drop(stopper);
        while servers.join_next().await.is_some() {}
        let written = tokio::task::spawn_blocking(move || {
            if let Some(store) = store {
                store.close();
            }
            drop(keeper);
            drop(state);
        });
        if let Err(error) = written.await {
            tracing::error!(%error, "the emulator did not end cleanly");
        }
    }
}

fn listen(config: &Config) -> Result<(TcpListener, TcpListener, Addresses), StartError> {
    let (amqps, amqps_address) = listen_at(config, "AMQP", config.ports.amqps)?;
    let wanted = config.ports.https.unwrap_or(HTTPS_PORT);
    let (https, https_address) = match listen_at(config, "HTTPS", wanted) {
        Err(StartError::Listen { cause, .. })
            if config.ports.https.is_none() && cause.kind() == io::ErrorKind::PermissionDenied =>
        {
            listen_at(config, "HTTPS", HTTPS_PORT_UNPRIVILEGED)?
        }
        result => result?,
    };
    let https_moved = wanted != 0 && https_address.port() != wanted;
    Ok((
        amqps,
        https,
        Addresses {
            amqps: amqps_address,
            https: https_address,
            https_moved,
        },
    ))
}

fn listen_at(
    config: &Config,
    protocol: &'static str,
    port: u16,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let address = SocketAddr::new(config.bind, port);
    let failed = |cause| StartError::Listen {
        protocol,
        address,
        cause,
    };
    let listener = server::bind(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Opens everything that is on disk. Blocks.
fn open(config: &Config) -> Result<Opened, StartError> {
    let state = StateFolder::open(config.state.as_deref())?;
    let tls = ca::prepare(state.path(), state.is_kept(), config.bind, &config.names())?;
    let database = state
        .registry()
        .map(|path| Database::open(&path))
        .transpose()?;
    let key = policy_key(config, database.as_ref())?;
    let created_unix_ms = created(database.as_ref())?;
    let groups = ConsumerGroups::new(&config.consumer_groups)
        .map_err(|error| StartError::Config(vec![Mistake::Groups(error)]))?;
    let mut parts = Vec::new();
    for host in &config.hubs {
        let log = TelemetryLog::open(
            state.telemetry(host).as_deref(),
            config.partitions,
            LogLimits::default(),
        )?;
        let devices = database
            .as_ref()
            .map(|database| database.devices(host))
            .transpose()?;
        let registry = Registry::from_devices(devices.unwrap_or_default());
        parts.push((host.clone(), registry, Arc::new(log)));
    }
    let store = database.map(Store::start).transpose()?.map(Arc::new);
    let logs = parts.iter().map(|(_, _, log)| Arc::clone(log)).collect();
    let hubs = parts.into_iter().map(|(host, registry, log)| {
        let (policies, groups, store) =
            (Policies { key: key.clone() }, groups.clone(), store.clone());
        Arc::new(Hub::new(Parts {
            host,
            created_unix_ms,
            policies,
            groups,
            registry,
            store,
            log,
        }))
    });
    let hubs = hubs.collect();
    Ok(Opened {
        state,
        tls,
        store,
        hubs,
        logs,
    })
}

/// The configured key, else the one used before, else a new one.
fn policy_key(config: &Config, database: Option<&Database>) -> Result<SymmetricKey, StartError> {
    let kept = database
        .map(|database| database.setting(POLICY_KEY))
        .transpose()?
        .flatten();
    let key = match (&config.policy_key, kept) {
        (Some(key), _) => key.clone(),
        (None, Some(text)) => return Ok(SymmetricKey::from_base64(&text)?),
        (None, None) => random::key()?,
    };
    if let Some(database) = database {
        database.set_setting(POLICY_KEY, &key.to_base64())?;
    }
    Ok(key)
}

fn created(database: Option<&Database>) -> Result<u64, StartError> {
    let now = clock::unix_ms();
    let Some(database) = database else {
        return Ok(now);
    };
    if let Some(created) = database
        .setting(CREATED)?
        .and_then(|text| text.parse().ok())
    {
        return Ok(created);
    }
    database.set_setting(CREATED, &now.to_string())?;
    Ok(now)
}
