//! Opens the state directory and the hubs in it, before anything is served.

use std::sync::Arc;

use drawspan_emulator_hub::clock::Clock;
use drawspan_emulator_hub::connections::Connections;
use drawspan_emulator_hub::dps::{self, Dps, MOVES, Moves};
use drawspan_emulator_hub::hub::{Hub, Parts};
use drawspan_emulator_hub::observe::Events;
use drawspan_emulator_hub::random;
use drawspan_hub::{HostName, SymmetricKey};
use drawspan_hub_model::c2d::CloudToDevice;
use drawspan_hub_model::dps::{
    Attestation, EnrollmentGroup, Enrollments, Group, Provisioning, Registrations,
};
use drawspan_hub_model::groups::ConsumerGroups;
use drawspan_hub_model::policy::Policies;
use drawspan_hub_model::registry::Registry;
use drawspan_hub_model::x509::Certificate;
use drawspan_hub_store::{Database, Store};
use drawspan_segment_log::{TelemetryLog, check_there};

use crate::ca::{self, Tls};
use crate::config::{Config, Mistake};
use crate::start_error::StartError;
use crate::state::StateFolder;

mod uploads;

use uploads::Storages;

const POLICY_KEY: &str = "policy-key";
const CREATED: &str = "created-unix-ms";
/// In front of a hub's name.
const PARTITIONS: &str = "partitions:";

/// Everything that is opened before the emulator serves.
pub(crate) struct Opened {
    pub(crate) state: StateFolder,
    pub(crate) tls: Tls,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) hubs: Vec<Arc<Hub>>,
    pub(crate) dps: Arc<Dps>,
    pub(crate) logs: Vec<Arc<TelemetryLog>>,
    pub(crate) connections: Arc<Connections>,
}

/// Opens everything that is on disk. Blocks.
pub(crate) fn open(config: &Config) -> Result<Opened, StartError> {
    let state = StateFolder::open(config.state.as_deref())?;
    if config.reset {
        state.reset()?;
    }
    let tls = ca::prepare(state.path(), state.is_kept(), config.bind, &config.names())?;
    let own = own_authority(&tls)?;
    let authorities = config
        .authorities(Some(&own))
        .map_err(|error| StartError::Config(vec![Mistake::Authority(error)]))?;
    let mut database = state
        .registry()
        .map(|path| Database::open(&path, state.has_telemetry()))
        .transpose()?;
    let key = policy_key(config, database.as_mut())?;
    let created_unix_ms = created(&config.clock, database.as_mut())?;
    let groups = ConsumerGroups::new(&config.consumer_groups, &config.limits)
        .map_err(|error| StartError::Config(vec![Mistake::Groups(error)]))?;
    let mut parts = Vec::new();
    for host in &config.hubs {
        let log = telemetry(config, &state, host, database.as_mut())?;
        let devices = database
            .as_ref()
            .map(|database| database.devices(host))
            .transpose()?;
        let kept = database
            .as_ref()
            .map(|database| database.messages(host))
            .transpose()?;
        let messages = CloudToDevice::restore(
            config.cloud_to_device,
            &config.limits,
            kept.unwrap_or_default(),
        );
        let twins = database
            .as_ref()
            .map(|database| database.twins(host))
            .transpose()?;
        let registry = Registry::from_stored(
            &config.limits,
            devices.unwrap_or_default(),
            twins.unwrap_or_default(),
        );
        let registry = match &database {
            Some(database) => {
                let (modules, twins) = (database.modules(host)?, database.module_twins(host)?);
                registry.with_modules(modules, twins)
            }
            None => registry,
        };
        let sessions = database
            .as_ref()
            .map(|database| database.mqtt_sessions(host))
            .transpose()?;
        let sessions = sessions.unwrap_or_default();
        let stored = database
            .as_ref()
            .map(|database| database.authorities(host))
            .transpose()?;
        let authorities = authorities.clone().with_stored(stored.unwrap_or_default());
        let uploads = uploads::kept(config, &state, host, database.as_ref())?;
        parts.push((
            host.clone(),
            authorities,
            registry,
            messages,
            sessions,
            uploads,
            Arc::new(log),
        ));
    }
    let storages = Storages::open(config, database.as_mut())?;
    let groups_with_keys = enrollment_groups(config, database.as_mut())?;
    let registrations = database.as_ref().map(Database::registrations).transpose()?;
    let moves = database.as_ref().map(|it| it.settings(MOVES)).transpose()?;
    let store = database.map(Store::start).transpose()?.map(Arc::new);
    let logs = parts.iter().map(|(.., log)| Arc::clone(log)).collect();
    let events = Events::new(config.clock.clone(), config.observers.clone());
    let connections = Connections::new(config.clock.clone());
    let hubs = parts.into_iter().map(
        |(host, authorities, registry, messages, mqtt_sessions, uploads, log)| {
            let (uploads, blobs) = uploads;
            let storage = storages.of_hub(&host, state.uploads(&host), blobs, store.clone());
            let (policies, groups, store) =
                (Policies { key: key.clone() }, groups.clone(), store.clone());
            Arc::new(Hub::new(Parts {
                host,
                clock: config.clock.clone(),
                events: events.clone(),
                limits: config.limits.clone(),
                rate_limits: config.all_rate_limits(),
                created_unix_ms,
                policies,
                groups,
                authorities,
                registry,
                messages,
                mqtt_sessions,
                uploads,
                storage,
                store,
                connections: Arc::clone(&connections),
                log,
            }))
        },
    );
    let hubs: Vec<_> = hubs.collect();
    let provisioning = &config.provisioning;
    let parts = dps::Parts {
        clock: config.clock.clone(),
        events: events.clone(),
        id_scope: provisioning.id_scope.clone(),
        enrollments: enrollments(provisioning, &groups_with_keys, &own),
        groups: groups_with_keys,
        hubs: hubs.clone(),
        moves: Moves::from_stored(moves.unwrap_or_default()),
        retry_after_s: provisioning.retry_after_s,
        store: store.clone(),
    };
    let dps = Dps::new(
        parts,
        provisioning.allocation.clone(),
        Registrations::from_stored(registrations.unwrap_or_default()),
        config.all_rate_limits(),
    );
    Ok(Opened {
        state,
        tls,
        store,
        hubs,
        dps: Arc::new(dps),
        logs,
        connections,
    })
}

/// The certificate of the emulator's own authority.
fn own_authority(tls: &Tls) -> Result<Certificate, StartError> {
    let read = Certificate::from_text(&tls.ca_pem);
    read.map_err(|cause| StartError::OwnAuthority {
        path: tls.ca_path.clone(),
        cause,
    })
}

/// All enrollments. A group without signing certificates is for those that the emulator's own authority signs.
fn enrollments(provisioning: &Provisioning, groups: &[Group], own: &Certificate) -> Enrollments {
    let with_own = |group: &EnrollmentGroup| {
        let mut group = group.clone();
        if let Attestation::Signing(signing) = &mut group.attestation
            && signing.is_empty()
        {
            signing.push(own.clone());
        }
        group
    };
    let groups = groups.iter().cloned().map(EnrollmentGroup::from);
    let groups = groups.chain(provisioning.other_groups.iter().map(with_own));
    Enrollments::new(groups.collect(), provisioning.individual.clone())
}

/// The registry knows which hubs had telemetry, and with how many partitions: what is missing of it is missed.
fn telemetry(
    config: &Config,
    state: &StateFolder,
    host: &HostName,
    database: Option<&mut Database>,
) -> Result<TelemetryLog, StartError> {
    let folder = state.telemetry(host);
    let name = format!("{PARTITIONS}{host}");
    let known = match &database {
        Some(database) => database.setting(&name)?,
        None => None,
    };
    if let (Some(folder), Some(known)) = (&folder, &known) {
        check_there(folder, known.parse().unwrap_or(config.partitions))?;
    }
    let log = TelemetryLog::open(folder.as_deref(), config.partitions, config.telemetry)?;
    let partitions = log.partition_count().to_string();
    if let Some(database) = database
        && known.as_deref() != Some(&partitions)
    {
        database.set_setting(&name, &partitions)?;
    }
    Ok(log)
}

/// The configured key, else the one used before, else a new one.
fn policy_key(
    config: &Config,
    database: Option<&mut Database>,
) -> Result<SymmetricKey, StartError> {
    let kept = database
        .as_ref()
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

/// The configured groups, with the configured keys, else those used before, else new ones.
fn enrollment_groups(
    config: &Config,
    mut database: Option<&mut Database>,
) -> Result<Vec<Group>, StartError> {
    let kept = database
        .as_ref()
        .map(|database| database.groups())
        .transpose()?
        .unwrap_or_default();
    let mut first_key = config.group_key.clone();
    let mut groups = Vec::new();
    for spec in config.provisioning.groups() {
        let primary = spec.primary.or(first_key.take());
        let before = kept
            .iter()
            .find(|group| group.name.eq_ignore_ascii_case(&spec.name));
        let key = |given: Option<SymmetricKey>, before: Option<&SymmetricKey>| {
            given.or(before.cloned()).map_or_else(random::group_key, Ok)
        };
        let group = Group {
            name: spec.name.into(),
            primary: key(primary, before.map(|group| &group.primary))?,
            secondary: key(spec.secondary, before.map(|group| &group.secondary))?,
        };
        if let Some(database) = &mut database {
            database.put_group(&group)?;
        }
        groups.push(group);
    }
    Ok(groups)
}

fn created(clock: &Clock, database: Option<&mut Database>) -> Result<u64, StartError> {
    let now = clock.unix_ms();
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

#[cfg(test)]
#[path = "startup_tests.rs"]
mod tests;
