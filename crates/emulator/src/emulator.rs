//! Starts and stops an emulator.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use drawspan_emulator_amqp as amqps;
use drawspan_emulator_hub::dps::Dps;
use drawspan_emulator_hub::faults::Faults;
use drawspan_emulator_hub::hub_set::HubSet;
use drawspan_emulator_hub::refusals::Refusals;
use drawspan_emulator_hub::stop::{Stop, Stopper};
use drawspan_hub_store::Store;
use drawspan_segment_log::Flusher;
use rustls::ServerConfig;
use tokio::task::JoinSet;

use crate::banner;
use crate::config::Config;
use crate::control::{Control, ControlFile, Counters};
use crate::server::{self, Accepting, Addresses, Listeners};
use crate::snapshots::{self, Snapshots};
use crate::start_error::StartError;
use crate::startup::{self, Opened};
use crate::state::StateFolder;
use crate::{https, mqtts};

/// Hubs to be started.
#[derive(Debug)]
pub struct Emulator;

/// A running emulator. Dropping it ends it at once; [`Running::shutdown`] lets requests under way be answered.
#[derive(Debug)]
pub struct Running {
    hubs: HubSet,
    dps: Arc<Dps>,
    addresses: Addresses,
    ca_path: PathBuf,
    banner: String,
    servers: JoinSet<()>,
    stopper: Stopper,
    store: Option<Arc<Store>>,
    flusher: Flusher,
    /// Removed before the state directory is free.
    _control: Option<ControlFile>,
    _state: StateFolder,
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
        let listeners = server::listen(&config)?;
        let addresses = listeners.addresses;
        let counters = Arc::<Counters>::default();
        let mut from = config.clone();
        from.observers.push(Arc::clone(&counters) as _);
        let opened = tokio::task::spawn_blocking(move || startup::open(&from));
        let Opened {
            state,
            tls,
            store,
            hubs,
            dps,
            logs,
            connections,
        } = opened
            .await
            .map_err(|error| StartError::Thread(io::Error::other(error)))??;
        snapshots::ensure(&config, &hubs, &dps).await?;
        let clock = config.clock.clone();
        let flusher = Flusher::start(logs, move || clock.unix_ms()).map_err(StartError::Thread)?;
        let hubs = HubSet::new(hubs, config.dps_name.clone());
        let banner = banner::text(&config, &hubs, &dps, addresses, &tls.ca_path);

        let (stopper, stop) = Stop::new();
        let refusals = Refusals::new(tls.ca_path.clone(), config.clock.clone());
        let snapshots = Snapshots::new(snapshots::Parts {
            config: config.clone(),
            folder: state.path().to_path_buf(),
            hubs: hubs.clone(),
            dps: Arc::clone(&dps),
            connections: Arc::clone(&connections),
            store: store.clone(),
        });
        let faults = Faults::new(config.clock.clone(), connections, &config.faults);
        let heads = Heads {
            tls: tls.server,
            amqps: amqps::Shared::new(
                config.clock.clone(),
                config.limits.clone(),
                hubs.clone(),
                Arc::clone(&dps),
                Arc::clone(&refusals),
                Arc::clone(&faults),
            ),
            mqtts: Arc::new(mqtts::Shared {
                clock: config.clock.clone(),
                hubs: hubs.clone(),
                dps: Arc::clone(&dps),
                refusals: Arc::clone(&refusals),
                faults: Arc::clone(&faults),
                mqtt_5_reason: config.mqtt_5_reason,
            }),
            router: https::router(https::Shared {
                hubs: hubs.clone(),
                dps: Arc::clone(&dps),
                ca_pem: tls.ca_pem.into(),
                control: Arc::new(Control {
                    clock: config.clock.clone(),
                    faults,
                    counters,
                    snapshots: Some(snapshots),
                }),
            }),
            refusals,
        };
        let mut servers = heads.serve(listeners, &stop);
        for hub in hubs.hubs() {
            servers.spawn(Arc::clone(hub).keep_messages(stop.clone()));
            servers.spawn(Arc::clone(hub).keep_uploads(stop.clone()));
        }
        let control_file = control_file(&state, addresses, &hubs)?;
        let ca_path = tls.ca_path;
        Ok(Running {
            hubs,
            dps,
            addresses,
            ca_path,
            banner,
            servers,
            stopper,
            store,
            flusher,
            _control: control_file,
            _state: state,
        })
    }
}

/// Says in the state directory how the emulator is reached.
fn control_file(
    state: &StateFolder,
    addresses: Addresses,
    hubs: &HubSet,
) -> Result<Option<ControlFile>, StartError> {
    let owner = hubs.hubs().first();
    let owner = owner.and_then(|hub| hub.connection_strings().into_iter().next());
    let (true, Some(owner)) = (state.is_kept(), owner) else {
        return Ok(None);
    };
    let (folder, key) = (state.path(), owner.key.to_base64());
    let written = ControlFile::write(folder, addresses.https, owner.host.as_str(), key);
    let written = written.map_err(|cause| StartError::Control {
        path: folder.to_path_buf(),
        cause,
    });
    written.map(Some)
}

/// The protocol heads that answer on the ports.
struct Heads {
    tls: Arc<ServerConfig>,
    amqps: Arc<amqps::Shared>,
    mqtts: Arc<mqtts::Shared>,
    router: Router,
    refusals: Arc<Refusals>,
}

impl Heads {
    /// Serves every port, each in a task, until `stop`.
    fn serve(self, listeners: Listeners, stop: &Stop) -> JoinSet<()> {
        let Self {
            tls,
            amqps,
            mqtts,
            router,
            refusals,
        } = self;
        let accepting = || Accepting::new(Arc::clone(&tls), Arc::clone(&refusals), stop.clone());
        let (for_amqps, for_mqtts, for_https) = (accepting(), accepting(), accepting());
        let mut servers = JoinSet::new();
        for listener in listeners.amqps {
            let shared = Arc::clone(&amqps);
            servers.spawn(server::accept(
                listener,
                for_amqps.clone(),
                move |connection| amqps::serve(connection, Arc::clone(&shared)),
            ));
        }
        for listener in listeners.mqtts {
            let shared = Arc::clone(&mqtts);
            servers.spawn(server::accept(
                listener,
                for_mqtts.clone(),
                move |connection| mqtts::serve(connection, Arc::clone(&shared)),
            ));
        }
        for listener in listeners.https {
            let router = router.clone();
            let upgrades = https::Upgrades {
                amqps: Arc::clone(&amqps),
                mqtts: Arc::clone(&mqtts),
            };
            servers.spawn(server::accept(
                listener,
                for_https.clone(),
                move |connection| https::serve(connection, router.clone(), upgrades.clone()),
            ));
        }
        servers.spawn(refusals.report_left_out(stop.clone()));
        servers
    }
}

impl Running {
    /// The hubs, for callers in the same process.
    pub fn hubs(&self) -> &HubSet {
        &self.hubs
    }

    /// The provisioning service, for callers in the same process.
    pub fn dps(&self) -> &Dps {
        &self.dps
    }

    /// The addresses of its ports.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The file with the certificate that clients must trust.
    pub fn ca_path(&self) -> &Path {
        &self.ca_path
    }

    /// The text that a user needs to connect: connection strings with their keys, addresses, how to trust the authority. Ends with
    /// the line `ready`.
    pub fn banner(&self) -> &str {
        &self.banner
    }

    /// Takes no more connections, lets those that there are end for a few seconds, and writes everything out.
    pub async fn shutdown(self) {
        let Self {
            mut servers,
            stopper,
            store,
            flusher,
            _control: control_file,
            _state: state,
            ..
        } = self;
        drop(control_file);
        drop(stopper);
        while servers.join_next().await.is_some() {}
        let written = tokio::task::spawn_blocking(move || {
            if let Some(store) = store {
                store.close();
            }
            drop(flusher);
            drop(state);
        });
        if let Err(error) = written.await {
            tracing::error!(%error, "the emulator did not end cleanly");
        }
    }
}
