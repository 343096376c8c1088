//! Validation: from given values to a usable configuration.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use drawspan_fleet::governor::Pace;
use drawspan_fleet::limits::HUB_GONE_AFTER;
use drawspan_fleet::usage::DeviceLimits;
use drawspan_hub::limits::{HubSize, Rate};
use drawspan_net::{Proxy, Transport};
use rustls_pki_types::CertificateDer;

use super::authorities;
use super::connect::{ConnectTo, parse_address};
use super::effective::{Effective, effective};
use super::environment::Environment;
use super::flags::ServeArgs;
use super::layers::{Values, collect};
use super::mistakes::Mistakes;
use super::outbound::proxy;
use super::profile::{self, Profile};
use super::provenance::Source;
use super::settings::Setting;
use super::vault::{self, Vault};
use crate::api_keys::{ApiKey, ApiKeys, check_plain};
use crate::callbacks::{Allowed, GuardMode};
use crate::limits::{
    DPS_RATE, HTTP_RETRY_LIMIT, MAX_CONNECT_RATE, MAX_CONNECTIONS, MAX_DEVICE_DAILY_BLOCKS,
    MAX_DEVICE_RATE_PER_MIN, MAX_DPS_RATE, MAX_HTTP_RETRY_LIMIT, MAX_HUB_CONNECTIONS,
    MAX_HUB_GONE_S, MAX_METHOD_ANSWER_TIMEOUT_S, MAX_REQUEST_TIMEOUT_S, MAX_TOKEN_LIFE_S,
    METHOD_ANSWER_TIMEOUT_S, MIN_HUB_GONE_S, MIN_METHOD_ANSWER_TIMEOUT_S, MIN_TOKEN_LIFE_S,
    REQUEST_TIMEOUT_S, TOKEN_LIFE_S,
};
use crate::listener_certificate::ListenerCertificate;
use crate::webhook_secret::WebhookSecret;

const LISTEN: &str = "0.0.0.0:5001";

/// A configuration that can be used. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on for HTTP.
    pub listen: SocketAddr,
    /// Keys that open the API; never empty when it was read by [`load`].
    pub api_keys: ApiKeys,
    /// How devices get their identity.
    pub profile: Profile,
    /// State directory; `None` to store nothing.
    pub state: Option<PathBuf>,
    /// File of the key ring; `None` for the one in the state directory.
    pub keyring: Option<PathBuf>,
    /// Files of the listener's certificate and its key; `None` for plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Edition and units of each hub, if given.
    pub hub_size: Option<HubSize>,
    /// Pace at which devices are connected to each hub.
    pub connect_pace: Pace,
    /// Most connections to a hub.
    pub max_connections: Option<usize>,
    /// HTTP connections of one address.
    pub connections_per_address: Option<usize>,
    /// Pace of registrations at DPS.
    pub dps_pace: Pace,
    /// Limits that each device has.
    pub device_limits: DeviceLimits,
    /// How long a hub may be unreachable before DPS is asked for its devices.
    pub hub_gone_after: Duration,
    /// How hubs are spoken to.
    pub transport: Transport,
    /// Proxy on the way to hubs and DPS.
    pub proxy: Option<Proxy>,
    /// Authorities to trust; empty means the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Names to be reached elsewhere, first match wins.
    pub connect: Vec<ConnectTo>,
    /// Life of tokens for the hub.
    pub token_life: Duration,
    /// How events are delivered.
    pub webhooks: Webhooks,
    /// Every setting as it counts, for people.
    pub effective: Vec<Effective>,
}

/// How events are delivered. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// The private addresses that callbacks may point to without being listed.
    pub guard: GuardMode,
    /// Addresses and hosts that callbacks may point to as well.
    pub allow: Vec<Allowed>,
    /// Hosts (in lower case) and ports of imported subscriptions, whose events go there also where that is private.
    pub imported: HashSet<(String, u16)>,
    /// Attempts after the first one.
    pub retry_limit: u32,
    /// How long the receiver of a method may take, retries included.
    pub method_answer_timeout: Duration,
    /// Keys that sign events.
    pub secrets: Vec<WebhookSecret>,
    /// Authorities to trust; empty means the system's.
    pub authorities: Vec<CertificateDer<'static>>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            guard: GuardMode::Strict,
            allow: Vec::new(),
            imported: HashSet::new(),
            retry_limit: HTTP_RETRY_LIMIT,
            method_answer_timeout: Duration::from_secs(METHOD_ANSWER_TIMEOUT_S),
            secrets: Vec::new(),
            authorities: Vec::new(),
        }
    }
}

/// The result of reading all sources.
#[derive(Debug)]
pub struct Loaded {
    /// Every setting as it counts, mistaken ones included.
    pub effective: Vec<Effective>,
    /// Warnings, each one line.
    pub notes: Vec<String>,
    /// The configuration, or all mistakes.
    pub config: Result<Config, Mistakes>,
}

/// Reads flags, variables and the file, and checks everything. Blocks, for files.
#[must_use]
pub fn load(args: &ServeArgs, environment: &Environment) -> Loaded {
    load_with(args, environment, vault::read)
}

/// The same with another way to read a key vault.
pub(super) fn load_with(args: &ServeArgs, environment: &Environment, vault: Vault) -> Loaded {
    let mut mistakes = Mistakes::default();
    let mut values = collect(args, environment, vault, &mut mistakes);
    if !values.original.is_empty() {
        values.notes.push(format!(
            "settings of the bridge that Drawspan replaces count ({}): callback URLs may point to loopback and private addresses",
            values.original.join(", ")
        ));
    }
    let effective = effective(&values);
    let config = check(&values, effective.clone(), &mut mistakes);
    let config = match (config, mistakes.lines()) {
        (Some(config), []) => Ok(config),
        _ => Err(mistakes),
    };
    Loaded {
        effective,
        notes: values.notes,
        config,
    }
}

impl Config {
    /// What must be given; everything else has its default.
    #[must_use]
    pub fn new(listen: SocketAddr, api_keys: ApiKeys, profile: Profile) -> Self {
        Self {
            listen,
            api_keys,
            profile,
            state: None,
            keyring: None,
            tls: None,
            request_timeout: Duration::from_secs(REQUEST_TIMEOUT_S),
            hub_size: None,
            connect_pace: Pace::Learned,
            max_connections: None,
            connections_per_address: None,
            dps_pace: Pace::Limited(Rate::per_minute(DPS_RATE)),
            device_limits: DeviceLimits::default(),
            hub_gone_after: HUB_GONE_AFTER,
            transport: Transport::Amqps,
            proxy: None,
            authorities: Vec::new(),
            connect: Vec::new(),
            token_life: Duration::from_secs(TOKEN_LIFE_S.into()),
            webhooks: Webhooks::default(),
            effective: Vec::new(),
        }
    }
}

fn check(values: &Values, effective: Vec<Effective>, mistakes: &mut Mistakes) -> Option<Config> {
    let mut checker = Checker { values, mistakes };
    let listen = checker.parse(Setting::Listen, parse_address);
    let api_keys = checker.api_keys();
    let timeout_s = checker.number(Setting::RequestTimeout, 1, MAX_REQUEST_TIMEOUT_S);
    let profile = profile::check(values, checker.mistakes);
    let state = checker.state();
    let hub_size = checker.parse(Setting::HubSize, hub_size);
    let connect_rate = checker.number(Setting::ConnectRate, 0, MAX_CONNECT_RATE);
    let max_rate = checker.number(Setting::MaxConnectRate, 1, MAX_CONNECT_RATE);
    let max_connections = checker.number(Setting::MaxConnections, 1, MAX_HUB_CONNECTIONS);
    let per_address = checker.number(Setting::ConnectionsPerAddress, 1, MAX_CONNECTIONS);
    let dps_rate = checker.number(Setting::DpsRate, 0, MAX_DPS_RATE);
    let device_limits = DeviceLimits {
        rate: checker.parse(Setting::DeviceRate, device_rate),
        daily_blocks: checker.number(Setting::DeviceDailyBlocks, 1, MAX_DEVICE_DAILY_BLOCKS),
    };
    let gone_after_s = checker.number(Setting::HubGoneAfter, MIN_HUB_GONE_S, MAX_HUB_GONE_S);
    let transport = checker.parse(Setting::Transport, transport);
    let proxy = checker.parse(Setting::Proxy, proxy);
    let authorities = checker.authorities(Setting::Ca);
    let connect = checker.connect();
    let token_life_s = checker.number(Setting::TokenLife, MIN_TOKEN_LIFE_S, MAX_TOKEN_LIFE_S);
    let keyring = checker.file(Setting::Keyring);
    let tls = checker.tls();
    let webhooks = checker.webhooks();

    let listen = listen.or_else(|| parse_address(LISTEN).ok())?;
    let mut config = Config::new(listen, api_keys, profile?);
    config.state = state;
    config.keyring = keyring;
    config.tls = tls;
    config.webhooks = webhooks;
    config.hub_size = hub_size;
    config.device_limits = device_limits;
    config.authorities = authorities;
    config.connect = connect;
    config.proxy = proxy.flatten();
    config.effective = effective;
    config.connect_pace = connect_pace(connect_rate, hub_size, max_rate);
    config.max_connections = max_connections;
    config.connections_per_address = per_address;
    match dps_rate {
        Some(0) => config.dps_pace = Pace::Unlimited,
        Some(rate) => config.dps_pace = Pace::Limited(Rate::per_minute(rate)),
        None => {}
    }
    if let Some(seconds) = timeout_s {
        config.request_timeout = Duration::from_secs(seconds);
    }
    if let Some(seconds) = gone_after_s {
        config.hub_gone_after = Duration::from_secs(seconds);
    }
    if let Some(seconds) = token_life_s {
        config.token_life = Duration::from_secs(seconds);
    }
    if let Some(transport) = transport {
        config.transport = transport;
    }
    Some(config)
}

fn connect_pace(rate: Option<u32>, size: Option<HubSize>, max: Option<u32>) -> Pace {
    let most = max.map(Rate::per_second);
    let limited = |rate: Rate| {
        let lower = most.filter(|most| most.per_minute < rate.per_minute);
        Pace::Limited(lower.unwrap_or(rate))
    };
    match (rate, size) {
        (Some(0), _) => most.map_or(Pace::Unlimited, Pace::Limited),
        (Some(rate), _) => limited(Rate::per_second(rate)),
        (None, Some(size)) => limited(size.connections()),
        (None, None) => most.map_or(Pace::Learned, Pace::LearnedUpTo),
    }
}

struct Checker<'a> {
    values: &'a Values,
    mistakes: &'a mut Mistakes,
}

impl Checker<'_> {
    fn parse<T, E: fmt::Display>(
        &mut self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.values.get(setting)?;
        self.mistakes
            .keep(value.place(0), parse(value.text().trim()))
    }

    fn number<T>(&mut self, setting: Setting, least: T, most: T) -> Option<T>
    where
        T: std::str::FromStr + PartialOrd + fmt::Display + Copy,
    {
        self.parse(setting, |text| {
            let number = text.parse::<T>().ok();
            number
                .filter(|value| (least..=most).contains(value))
                .ok_or_else(|| format!("`{text}` is not a whole number from {least} to {most}"))
        })
    }

    fn api_keys(&mut self) -> ApiKeys {
        let Some(value) = self.values.get(Setting::ApiKey) else {
            self.mistakes.add_missing(
                "--api-key",
                "missing; without a key, anyone could send for every device (`drawspan dev` needs no key)",
            );
            return ApiKeys::default();
        };
        if value.values.is_empty() {
            self.mistakes.add(&value.source, "names no key");
        }
        let mut keys = Vec::new();
        for (at, entry) in value.values.iter().enumerate() {
            let parsed = self.mistakes.keep(value.place(at), ApiKey::parse(&entry.0));
            let Some(key) = parsed else { continue };
            let contradicts = |(_, earlier): &&(usize, ApiKey)| earlier.contradicts(&key);
            if let Some((first, _)) = keys.iter().find(contradicts) {
                let first = match value.place(*first) {
                    first if first == value.place(at) => String::new(),
                    first => format!(", first at {first}"),
                };
                let text = format!("the same key twice, with different rights{first}");
                self.mistakes.add(value.place(at), text);
            }
            keys.push((at, key));
        }
        keys.into_iter().map(|(_, key)| key).collect()
    }

    fn state(&mut self) -> Option<PathBuf> {
        let value = self.values.get(Setting::State)?;
        let path = self.values.path(value);
        if value.text().is_empty() {
            self.mistakes.add(&value.source, "empty");
        } else if path.exists() && !path.is_dir() {
            let path = path.display();
            self.mistakes
                .add(&value.source, format_args!("{path} is not a directory"));
        }
        Some(path)
    }

    /// A path, which need not lead anywhere yet.
    fn file(&mut self, setting: Setting) -> Option<PathBuf> {
        let value = self.values.get(setting)?;
        if value.text().is_empty() {
            self.mistakes.add(&value.source, "empty");
        }
        Some(self.values.path(value))
    }

    fn tls(&mut self) -> Option<(PathBuf, PathBuf)> {
        let pair = (self.file(Setting::TlsCert), self.file(Setting::TlsKey));
        match pair {
            (Some(cert), Some(key)) => {
                let source = self.values.get(Setting::TlsCert).map(|value| &value.source);
                let opened = ListenerCertificate::open(&cert, &key).map(|_| ());
                self.mistakes
                    .keep(source.unwrap_or(&Source::Default), opened)?;
                Some((cert, key))
            }
            (None, None) => None,
            (Some(cert), None) => {
                self.readable(Setting::TlsCert, &cert);
                let text = "missing; the certificate needs its private key";
                self.mistakes.add_missing("--tls-key", text);
                None
            }
            (None, Some(key)) => {
                self.readable(Setting::TlsKey, &key);
                let text = "missing; the private key needs its certificate";
                self.mistakes.add_missing("--tls-cert", text);
                None
            }
        }
    }

    /// A file that is there, although what belongs to it is not.
    fn readable(&mut self, setting: Setting, path: &Path) {
        if let Some(value) = self.values.get(setting) {
            let opened = File::open(path).map(drop);
            let opened = opened.map_err(|error| format!("cannot read {}: {error}", path.display()));
            self.mistakes.keep(&value.source, opened);
        }
    }

    fn webhooks(&mut self) -> Webhooks {
        let defaults = Webhooks::default();
        let allow = self.list(Setting::AllowCallbacks, str::parse);
        let secrets = self.list(Setting::WebhookSecret, WebhookSecret::parse);
        let retry_limit = self.number(Setting::HttpRetryLimit, 0, MAX_HTTP_RETRY_LIMIT);
        let (least, most) = (MIN_METHOD_ANSWER_TIMEOUT_S, MAX_METHOD_ANSWER_TIMEOUT_S);
        let timeout_s = self.number(Setting::MethodAnswerTimeout, least, most);
        let timeout = timeout_s.map(Duration::from_secs);
        Webhooks {
            guard: match self.values.original.is_empty() {
                true => defaults.guard,
                // Companion adapters of the original register callbacks at loopback.
                false => GuardMode::Permissive,
            },
            allow,
            imported: defaults.imported,
            retry_limit: retry_limit.unwrap_or(defaults.retry_limit),
            method_answer_timeout: timeout.unwrap_or(defaults.method_answer_timeout),
            secrets,
            authorities: self.authorities(Setting::CallbackCa),
        }
    }

    fn authorities(&mut self, setting: Setting) -> Vec<CertificateDer<'static>> {
        let Some(value) = self.values.get(setting) else {
            return Vec::new();
        };
        let read = authorities::read(&self.values.path(value));
        self.mistakes.keep(&value.source, read).unwrap_or_default()
    }

    fn connect(&mut self) -> Vec<ConnectTo> {
        self.list(Setting::Connect, ConnectTo::parse)
    }

    /// All values of a setting, each mistake on its own.
    fn list<T, E: fmt::Display>(
        &mut self,
        setting: Setting,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let Some(value) = self.values.get(setting) else {
            return Vec::new();
        };
        let texts = value.values.iter().enumerate();
        let parsed = texts.filter_map(|(at, text)| {
            let place = value.place(at);
            self.mistakes.keep(place, parse(text.0.trim()))
        });
        parsed.collect()
    }
}

/// Adds what keeps a text from being an API key.
pub fn check_api_key(mistakes: &mut Mistakes, source: impl fmt::Display, key: &str) {
    mistakes.keep(source, check_plain(key));
}

fn hub_size(text: &str) -> Result<HubSize, String> {
    text.parse::<HubSize>().map_err(|error| error.to_string())
}

fn device_rate(text: &str) -> Result<Rate, String> {
    let (number, per_minute) = match text.split_once('/') {
        None => (text, 60),
        Some((number, "s")) => (number, 60),
        Some((number, "min")) => (number, 1),
        Some(_) => ("", 0),
    };
    let number: Option<u64> = number.trim().parse().ok();
    let rate = number.map(|number| number.saturating_mul(per_minute));
    match rate {
        Some(rate @ 1..=MAX_DEVICE_RATE_PER_MIN) => Ok(Rate::per_minute(rate)),
        _ => Err(format!(
            "`{text}` is no rate from 1/min to {}/s, like 5/s or 30/min",
            MAX_DEVICE_RATE_PER_MIN / 60
        )),
    }
}

fn transport(text: &str) -> Result<Transport, String> {
    match text.to_ascii_lowercase().as_str() {
        "amqps" => Ok(Transport::Amqps),
        "websocket" => Ok(Transport::WebSocket),
        _ => Err(format!("`{text}` is neither amqps nor websocket")),
    }
}
