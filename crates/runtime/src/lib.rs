//! The I/O around the [controller](drawspan_bridge::Controller): one task feeds it inputs and executes its actions.
//!
//! A caller that finds its device in the route table (`routes.rs`) sends on the device's connection directly, without that task.
//! Otherwise it asks the task to connect the device and waits.
// Printing panics if the reader has gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod dead_letters;
mod errors;
mod executor;
mod failed_events;
mod gateway;
mod gateway_downlinks;
mod health;
pub mod limits;
mod log;
mod metrics;
mod operation;
mod platform;
mod prefix_check;
mod registrations;
mod request;
mod retry;
mod routes;
mod snapshot;
mod stores;
mod task;
mod throttle;
mod usage;
mod views;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drawspan_bridge::controller::{ControllerConfig, Mark, PoolConfig, Remembered, StoredHub};
use drawspan_bridge::delivery::DeliveryConfig;
use drawspan_bridge::limits as bounds;
use drawspan_client::dps::{DpsClient, DpsConfig};
use drawspan_client::{Credentials, Inbox, StatusMailbox};
use drawspan_fleet::{CredentialScope, FleetConfig, Now};
use drawspan_gateway::{CallbackUrl, ConnectionFeed};
use drawspan_hub::limits::{DEVICES_PER_CONNECTION, DEVICES_PER_WEBSOCKET};
use drawspan_hub::{HostName, InvalidId};
use drawspan_net::{Clock, Connector, Route, Transport, TrustError, client_config};
use drawspan_settings::limits::{MAX_DEVICES, TOKEN_LIFE_S};
use drawspan_settings::open_files::Shares;
use drawspan_settings::{self as settings, Config, ConnectTo};
use drawspan_store::{Store, StoreError};
use drawspan_webhooks::{self as webhooks, Guard, Secrets, Webhooks};
use tokio::sync::mpsc;

use dead_letters::Letters;
use executor::Executor;
use metrics::Counters;
use platform::{Controller, ListedDevices, Profile};
use registrations::Registrations;
use routes::RouteTable;
use stores::Stores;
use task::{Sources, Task};
use throttle::Turns;
use usage::UsageCounts;

pub use gateway::Gateway;
pub use request::Relisted;

/// Why the devices' side cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No certificate authority is there to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Stored data cannot be read.
    #[error("the state cannot be read: {0}")]
    Cache(#[from] StoreError),
    /// Invalid host name.
    #[error(transparent)]
    Host(#[from] InvalidId),
    /// The system has no random bytes.
    #[error("the system has no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Starts the devices' side. Must be called within a runtime. `credentials` may be given other keys later; `store` is
/// what survives the process.
///
/// # Errors
/// [`StartError`].
pub fn start(
    config: &Config,
    credentials: Arc<Credentials>,
    store: Option<&Store>,
) -> Result<Gateway, StartError> {
    let clock = Clock::start();
    let connector = connector(config)?;
    let (profile, dps_host) = profile(config, &credentials);
    let stores = Stores {
        subscriptions: store.map(Store::subscriptions),
        marks: store.map(Store::desired_marks),
        hubs: store.map(Store::hub_cache),
    };
    let mailbox = Arc::new(StatusMailbox::default());
    let inbox: Arc<Inbox> = Arc::default();
    let completions = Arc::default();
    let guard = Arc::new(Guard::of_settings(&config.webhooks));
    let webhook_secrets = Arc::new(Secrets::new(config.webhooks.secrets.clone()));
    let webhooks = Webhooks::new(webhooks::Options {
        secrets: Arc::clone(&webhook_secrets),
        guard: Arc::clone(&guard),
        authorities: config.webhooks.authorities.clone(),
    })?;
    let attempts = webhooks.mailbox();
    let feed = Arc::new(ConnectionFeed::new(seed()));
    let routes = Arc::new(RouteTable::new(matches!(profile, Profile::Dps)));
    let health = Arc::default();
    let unix = unix();
    let now = Now {
        monotonic: clock.now(),
        unix_s: unix.as_secs(),
    };
    let controller = Controller::new(
        controller(
            config,
            profile.clone(),
            dps_host,
            &credentials,
            store.is_some(),
        )?,
        remembered(&stores)?,
        now,
        unix,
    );
    let executor = Executor {
        credentials: Arc::clone(&credentials),
        registrations: Registrations {
            client: dps(config, &credentials, &connector).map(Arc::new),
            credentials: Arc::clone(&credentials),
            clock,
            completions: Arc::clone(&completions),
        },
        connector,
        transport: config.transport,
        clock,
        mailbox: Arc::clone(&mailbox),
        inbox: Arc::clone(&inbox),
        completions: Arc::clone(&completions),
        routes: Arc::clone(&routes),
        feed: Arc::clone(&feed),
        health: Arc::clone(&health),
        letters: Letters(store.map(Store::dead_letters)),
        webhooks,
        connections: HashMap::new(),
        configs: HashMap::new(),
        stores,
    };
    let task = Task {
        controller,
        executor,
        clock,
    };
    let (sender, requests) = mpsc::channel(limits::REQUEST_QUEUE);
    let sources = Sources {
        requests,
        mailbox,
        inbox,
        attempts,
        completions,
        clock,
    };
    tokio::spawn(task::run(task, sources));
    Ok(Gateway {
        requests: sender,
        routes,
        feed,
        health,
        clock,
        profile,
        credentials,
        store: store.map(Store::hub_cache),
        store_health: store.map(Store::health),
        letters: store.map(Store::dead_letters),
        pulls: Arc::default(),
        guard,
        webhook_secrets,
        turns: Turns::default(),
        usage: Arc::new(UsageCounts::new(
            config.device_limits,
            config.hub_size,
            unix,
        )),
        counters: Arc::new(Counters::new(store)),
    })
}

fn controller(
    config: &Config,
    profile: Profile,
    dps: Option<HostName>,
    credentials: &Credentials,
    keeps_letters: bool,
) -> Result<ControllerConfig<platform::Runtime>, StartError> {
    let shares = Shares::of_process();
    let seed = seed();
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(StartError::Random)?;
    Ok(ControllerConfig {
        fleet: fleet(config, dps, seed)?,
        pool: PoolConfig {
            slots_per_connection: match config.transport {
                _ if credentials.is_by_certificate() => 1,
                Transport::Amqps => DEVICES_PER_CONNECTION,
                Transport::WebSocket => DEVICES_PER_WEBSOCKET,
            },
            per_device_tokens: credentials.is_per_device(),
            hub_size: config.hub_size,
            max_connections: config.max_connections,
        },
        profile,
        token_life_s: u32::try_from(config.token_life.as_secs()).unwrap_or(TOKEN_LIFE_S),
        delivery: DeliveryConfig::new(config.webhooks.retry_limit, seed)
            .with_attempts(shares.callbacks),
        method_answer_timeout: config.webhooks.method_answer_timeout,
        keeps_letters,
        secrets: drawspan_bridge::events::Secrets::new(secret),
    })
}

/// Stored data, loaded completely before anything else happens: later changes win.
fn remembered(stores: &Stores) -> Result<Remembered<CallbackUrl>, StoreError> {
    let mut rows = Vec::new();
    let mut senseless = 0;
    if let Some(subscriptions) = &stores.subscriptions {
        subscriptions.each(|stored| match stores::row_of(&stored) {
            Some(row) => rows.push(row),
            None => senseless += 1,
        })?;
    }
    if senseless > 0 {
        tracing::warn!(
            senseless,
            "stored subscriptions make no sense and are ignored"
        );
    }
    let hubs = match &stores.hubs {
        Some(hubs) => hubs.load_all()?,
        None => Vec::new(),
    };
    let marks = match &stores.marks {
        Some(marks) => marks.load_all()?,
        None => Vec::new(),
    };
    let hub = |row: drawspan_store::CachedHub| StoredHub {
        device: row.device,
        hub: row.hub,
        assigned: row.assigned,
        renewed_unix_s: row.renewed_unix_s,
    };
    let mark = |(device, stored): (_, drawspan_store::DesiredMark)| {
        let mark = Mark {
            version: stored.version,
            fingerprint: stored.fingerprint,
            receiver: stored.receiver,
        };
        (device, mark)
    };
    Ok(Remembered {
        rows,
        hubs: hubs.into_iter().map(hub).collect(),
        marks: marks.into_iter().map(mark).collect(),
    })
}

/// How hubs and DPS are reached.
///
/// # Errors
/// [`TrustError`]: none of the authorities given can be used.
pub fn connector(config: &Config) -> Result<Connector, TrustError> {
    let connector = Connector::new(client_config(config.authorities.clone())?, routes(config));
    Ok(match &config.proxy {
        Some(proxy) => connector.with_proxy(proxy.clone()),
        None => connector,
    })
}

/// How a device's hub is found, and a host to speak of as DPS.
fn profile(config: &Config, credentials: &Arc<Credentials>) -> (Profile, Option<HostName>) {
    match &config.profile {
        settings::Profile::Dps { endpoint, .. } => (Profile::Dps, Some(endpoint.clone())),
        settings::Profile::Hub { host, .. } => (Profile::Hub(host.clone()), None),
        settings::Profile::Devices(_) | settings::Profile::Certificates(_) => {
            let list = ListedDevices(Arc::clone(credentials));
            (Profile::Listed(list), None)
        }
    }
}

fn dps(
    config: &Config,
    credentials: &Arc<Credentials>,
    connector: &Connector,
) -> Option<DpsClient> {
    let settings::Profile::Dps {
        endpoint, id_scope, ..
    } = &config.profile
    else {
        return None;
    };
    Some(DpsClient::new(DpsConfig {
        endpoint: endpoint.clone(),
        id_scope: id_scope.clone(),
        connector: connector.clone(),
        credentials: Arc::clone(credentials),
    }))
}

fn fleet(config: &Config, dps: Option<HostName>, seed: u64) -> Result<FleetConfig, StartError> {
    let dps = match dps {
        Some(host) => host,
        // Never asked where there is no DPS.
        None => HostName::parse(drawspan_client::dps::GLOBAL_ENDPOINT)?,
    };
    Ok(FleetConfig {
        hub_pace: config.connect_pace,
        dps_pace: config.dps_pace,
        dps,
        credentials: match config.profile {
            settings::Profile::Hub { .. } => CredentialScope::Policy,
            settings::Profile::Dps { .. }
            | settings::Profile::Devices(_)
            | settings::Profile::Certificates(_) => CredentialScope::Device,
        },
        max_devices: MAX_DEVICES,
        max_hubs: bounds::MAX_HUBS,
        hub_gone_after: config.hub_gone_after,
        seed,
    })
}

/// Chance for waits. Nothing secret hangs on it: the standard library's seeded hasher is random enough.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(())
}

/// Unix time; zero where the clock is before 1970.
fn unix() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn routes(config: &Config) -> Vec<Route> {
    config.connect.iter().map(ConnectTo::route).collect()
}
