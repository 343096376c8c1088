//! The shell around the device cores: one task owns every device, its timers and its connections.
//!
//! A caller that finds its device in the [`directory`] sends on the device's connection without meeting that task at all.
//! Otherwise it asks the task to connect the device and waits.

mod answer;
mod beside;
mod brought;
mod calendar;
mod callers;
mod directory;
mod figures;
mod handle;
mod health;
mod hub_cache;
mod in_vain;
mod measure;
mod names;
mod one_spelling;
mod persist;
mod pool;
mod pulls;
mod records;
mod registrations;
mod request;
mod shard;
mod shell;
mod spellings;
mod standing;
mod table;
mod tally;
mod throttle;
mod ticket;
mod versions;

use std::sync::Arc;

use drawspan_bridge::fleet::FleetConfig;
use drawspan_client::dps::{DpsClient, DpsConfig};
use drawspan_client::{Board, Credentials, Inbox, StatusBoard};
use drawspan_hub::{HostName, InvalidId};
use drawspan_net::{Clock, Connector, Route, TrustError, client_config};
use drawspan_store::{DesiredVersions, HubCache, Store, StoreError};
use tokio::sync::mpsc;

use crate::config::{self, Config, ConnectTo};
use crate::limits;
use crate::webhooks::{self, Guard, Secrets, Webhooks};
use brought::Brought;
use directory::Directory;
use measure::Meters;
use records::Records;
use registrations::Registrations;
use shard::Sources;
use shell::{Parts, Profile, Remembered, Shell};
use spellings::Spellings;
use table::Table;
use versions::Versions;

pub use handle::Bridge;
pub use request::Relisted;

/// Why the devices' side cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No certificate authority is there to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// What was stored cannot be read.
    #[error("the state cannot be read: {0}")]
    Cache(#[from] StoreError),
    /// A host name is none.
    #[error(transparent)]
    Host(#[from] InvalidId),
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
) -> Result<Bridge, StartError> {
    let clock = Clock::start();
    let connector = connector(config)?;
    let brought = Arc::default();
    let (profile, dps_host) = profile(config);
    let mut remembered = remembered(store, &brought, &profile)?;
    let cache = store.map(Store::hub_cache);
    let mut known = cache.as_ref().map_or(Ok(Vec::new()), HubCache::load_all)?;
    one_spelling::settle(&mut remembered, &mut known, cache.as_ref());
    let board = Arc::new(StatusBoard::default());
    let registered = Arc::default();
    let inbox: Arc<Inbox> = Arc::default();
    let guard = Arc::new(config.webhooks.guard());
    let webhook_secrets = Arc::new(Secrets::new(config.webhooks.secrets.clone()));
    let options = webhook_options(config, Arc::clone(&guard), Arc::clone(&webhook_secrets));
    let webhooks = Webhooks::new(options)?;
    let attempts = webhooks.board();
    let directory = Arc::new(Directory::new(profile == Profile::Dps));
    let health = Arc::default();
    let dps = dps(config, &credentials, &connector);
    let parts = Parts {
        fleet: fleet(config, dps_host)?,
        profile: profile.clone(),
        connector,
        transport: config.transport,
        token_life_s: u32::try_from(config.token_life.as_secs()).unwrap_or(limits::TOKEN_LIFE_S),
        hub_size: config.hub_size,
        max_connections: config.max_connections,
        clock,
        board: Arc::clone(&board),
        directory: Arc::clone(&directory),
        health: Arc::clone(&health),
        cache: hub_cache::HubCache::new(cache.clone(), known),
        registrations: Registrations::new(dps, Arc::clone(&credentials), Arc::clone(&registered)),
        credentials: Arc::clone(&credentials),
        inbox: Arc::clone(&inbox),
        brought: Arc::clone(&brought),
        letters: store.map(Store::dead_letters),
    };
    let shell = Shell::new(parts, remembered, webhooks);
    let (asks, requests) = mpsc::channel(limits::SHARD_QUEUE);
    let sources = Sources {
        requests,
        board,
        registrations: registered,
        inbox,
        attempts,
        brought,
        clock,
    };
    tokio::spawn(shard::run(shell, sources));
    Ok(Bridge {
        shard: asks,
        directory,
        health,
        clock,
        profile,
        credentials,
        store: cache,
        store_health: store.map(Store::health),
        letters: store.map(Store::dead_letters),
        pulls: Arc::default(),
        guard,
        webhook_secrets,
        meters: Arc::new(Meters::new(store)),
    })
}

fn webhook_options(config: &Config, guard: Arc<Guard>, secrets: Arc<Secrets>) -> webhooks::Options {
    let config = &config.webhooks;
    webhooks::Options {
        retry_limit: config.retry_limit,
        method_answer_timeout: config.method_answer_timeout,
        secrets,
        guard,
        authorities: config.authorities.clone(),
        seed: seed(),
    }
}

/// What was stored of subscriptions, all of it before anything else happens: whoever changes one comes later, and wins.
fn remembered(
    store: Option<&Store>,
    brought: &Arc<Board<Brought>>,
    profile: &Profile,
) -> Result<Remembered, StoreError> {
    let subscriptions = store.map(Store::subscriptions);
    let mut table = Table::default();
    let mut senseless = 0;
    if let Some(subscriptions) = &subscriptions {
        subscriptions.each(|stored| {
            let row = records::row_of(&stored);
            let put = row.map(|(scope, kind, row)| table.put(&scope, kind, row));
            senseless += usize::from(!matches!(put, Some(Ok(()))));
        })?;
    }
    if senseless > 0 {
        tracing::warn!(
            senseless,
            "stored subscriptions make no sense and are ignored"
        );
    }
    let versions = store.map(Store::desired_versions);
    let known = versions
        .as_ref()
        .map_or(Ok(Vec::new()), DesiredVersions::load_all)?;
    Ok(Remembered {
        table,
        records: Records::new(subscriptions, Arc::clone(brought)),
        versions: Versions::new(versions, known),
        spellings: Spellings::of_profile(profile),
    })
}

pub(crate) fn connector(config: &Config) -> Result<Connector, TrustError> {
    let connector = Connector::new(client_config(config.authorities.clone())?, routes(config));
    Ok(match &config.proxy {
        Some(proxy) => connector.with_proxy(proxy.clone()),
        None => connector,
    })
}

/// How a device's hub is found, and a host to speak of as DPS.
fn profile(config: &Config) -> (Profile, Option<HostName>) {
    match &config.profile {
        config::Profile::Dps { endpoint, .. } => (Profile::Dps, Some(endpoint.clone())),
        config::Profile::Hub { host, .. } => (Profile::Hub(host.clone()), None),
        config::Profile::Devices(_) => (Profile::Listed, None),
    }
}

fn dps(
    config: &Config,
    credentials: &Arc<Credentials>,
    connector: &Connector,
) -> Option<DpsClient> {
    let config::Profile::Dps {
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

fn fleet(config: &Config, dps: Option<HostName>) -> Result<FleetConfig, StartError> {
    let dps = match dps {
        Some(host) => host,
        // Never asked where there is no DPS.
        None => HostName::parse(drawspan_client::dps::GLOBAL_ENDPOINT)?,
    };
    Ok(FleetConfig {
        hub_pace: config.connect_pace,
        dps_pace: config.dps_pace,
        dps,
        max_devices: limits::MAX_DEVICES,
        max_hubs: limits::MAX_HUBS,
        seed: seed(),
    })
}

/// Chance for waits. Nothing secret hangs on it: the standard library's seeded hasher is random enough.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(())
}

fn routes(config: &Config) -> Vec<Route> {
    config.connect.iter().map(ConnectTo::route).collect()
}
