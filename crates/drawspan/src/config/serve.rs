//! What `drawspan serve` is told.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use drawspan_bridge::governor::Pace;
use drawspan_hub::limits::Rate;
use drawspan_hub::{HubConnectionString, SymmetricKey};
use rustls_pki_types::CertificateDer;

use super::authorities;
use super::connect::{ConnectTo, parse_address};
use super::mistakes::Mistakes;
use crate::http::auth::ApiKeys;
use crate::limits::{
    MAX_API_KEY_BYTES, MAX_CONNECT_RATE, MAX_REQUEST_TIMEOUT_S, REQUEST_TIMEOUT_S,
};

/// Flags and environment as they were given. Texts, so that all mistakes can be reported at once.
#[derive(Args, Clone, Default)]
pub struct ServeArgs {
    /// Where to listen for HTTP
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "DRAWSPAN_LISTEN",
        default_value = "0.0.0.0:5001"
    )]
    pub listen: String,
    /// Key that callers send in the header x-api-key; repeat it for several keys
    #[arg(
        long,
        value_name = "KEY",
        env = "DRAWSPAN_API_KEY",
        hide_env_values = true
    )]
    pub api_key: Vec<String>,
    /// DPS id scope (not yet)
    #[arg(long, value_name = "S", env = "DRAWSPAN_ID_SCOPE")]
    pub id_scope: Option<String>,
    /// DPS group key, from which device keys are derived (not yet)
    #[arg(
        long,
        value_name = "BASE64",
        env = "DRAWSPAN_GROUP_KEY",
        hide_env_values = true
    )]
    pub group_key: Option<String>,
    /// DPS endpoint (not yet)
    #[arg(long, value_name = "URL", env = "DRAWSPAN_DPS_ENDPOINT")]
    pub dps_endpoint: Option<String>,
    /// PEM file of the authorities to trust instead of the system's
    #[arg(long, value_name = "FILE", env = "DRAWSPAN_CA")]
    pub ca: Option<PathBuf>,
    /// Database file for subscriptions and the hub cache (not yet)
    #[arg(long, value_name = "FILE", env = "DRAWSPAN_STORE")]
    pub store: Option<PathBuf>,
    /// Connection string of a hub policy with DeviceConnect: all devices are on this hub
    #[arg(
        long,
        value_name = "CS",
        env = "DRAWSPAN_HUB_CONNECTION_STRING",
        hide_env_values = true
    )]
    pub hub_connection_string: Option<String>,
    /// Reach a hub or DPS name elsewhere; TLS still checks the name (repeatable)
    #[arg(
        long,
        value_name = "NAME[:PORT]=ADDR:PORT",
        env = "DRAWSPAN_CONNECT",
        value_delimiter = ','
    )]
    pub connect: Vec<String>,
    /// Devices connected per second at most; 0 is no limit [default: 100, what an S1 hub takes, and more as the hub
    /// keeps up]
    #[arg(long, value_name = "N", env = "DRAWSPAN_CONNECT_RATE")]
    pub connect_rate: Option<String>,
    /// How long a request may take, connecting included
    #[arg(long, value_name = "SECONDS", env = "DRAWSPAN_REQUEST_TIMEOUT", default_value_t = REQUEST_TIMEOUT_S.to_string())]
    pub request_timeout: String,
}

/// A configuration that can be used. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen for HTTP.
    pub listen: SocketAddr,
    /// Keys that open the API; never empty here.
    pub api_keys: ApiKeys,
    /// The hub policy by which all devices connect.
    pub hub: HubConnectionString,
    /// Authorities to trust; empty means the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Names to be reached elsewhere, first match wins.
    pub connect: Vec<ConnectTo>,
    /// Pace at which devices are connected.
    pub connect_pace: Pace,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Flags that were given and have no effect yet.
    pub without_effect: Vec<&'static str>,
}

impl ServeArgs {
    /// Checks everything.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn check(&self) -> Result<Config, Mistakes> {
        let mut mistakes = Mistakes::default();
        let listen = mistakes.keep("--listen", parse_address(&self.listen));
        let api_keys = self.api_keys(&mut mistakes);
        let without_effect = self.check_dps(&mut mistakes);
        let authorities = self.ca.as_deref().map_or(Some(Vec::new()), |path| {
            mistakes.keep("--ca", authorities::read(path))
        });
        let hub = self.hub(&mut mistakes);
        let connect: Vec<_> = self
            .connect
            .iter()
            .filter_map(|text| mistakes.keep("--connect", ConnectTo::parse(text)))
            .collect();
        let connect_rate = self.connect_rate(&mut mistakes);
        let timeout_s = number(
            &mut mistakes,
            "--request-timeout",
            &self.request_timeout,
            1,
            MAX_REQUEST_TIMEOUT_S,
        );
        match (
            mistakes.lines(),
            listen,
            hub,
            authorities,
            connect_rate,
            timeout_s,
        ) {
            ([], Some(listen), Some(hub), Some(authorities), Some(rate), Some(timeout_s)) => {
                Ok(Config {
                    listen,
                    api_keys,
                    hub,
                    authorities,
                    connect,
                    connect_pace: rate,
                    request_timeout: Duration::from_secs(timeout_s),
                    without_effect,
                })
            }
            _ => Err(mistakes),
        }
    }

    fn api_keys(&self, mistakes: &mut Mistakes) -> ApiKeys {
        if self.api_key.is_empty() {
            mistakes.add("--api-key", "missing; without a key anybody could send for every device (`drawspan dev` needs none)");
        }
        for key in &self.api_key {
            check_api_key(mistakes, key);
        }
        ApiKeys::new(self.api_key.iter().map(String::as_str))
    }

    /// The flags of the DPS profile are checked as far as they can be; they take effect later.
    fn check_dps(&self, mistakes: &mut Mistakes) -> Vec<&'static str> {
        if let Some(key) = &self.group_key {
            mistakes.keep("--group-key", SymmetricKey::from_base64(key));
        }
        if self.id_scope.as_deref().is_some_and(str::is_empty) {
            mistakes.add("--id-scope", "empty");
        }
        if self
            .dps_endpoint
            .as_deref()
            .is_some_and(|url| !url.starts_with("https://"))
        {
            mistakes.add("--dps-endpoint", "must begin with https://");
        }
        let given = [
            ("--id-scope", self.id_scope.is_some()),
            ("--group-key", self.group_key.is_some()),
            ("--dps-endpoint", self.dps_endpoint.is_some()),
            ("--store", self.store.is_some()),
        ];
        given
            .into_iter()
            .filter_map(|(flag, given)| given.then_some(flag))
            .collect()
    }

    fn hub(&self, mistakes: &mut Mistakes) -> Option<HubConnectionString> {
        const FLAG: &str = "--hub-connection-string";
        if let Some(text) = &self.hub_connection_string {
            return mistakes.keep(FLAG, HubConnectionString::parse(text));
        }
        let dps =
            self.id_scope.is_some() || self.group_key.is_some() || self.dps_endpoint.is_some();
        mistakes.add(FLAG, match dps {
            true => "missing; finding hubs by DPS (--id-scope, --group-key, --dps-endpoint) is not there yet, so the hub must be named",
            false => "missing; give the connection string of a hub policy with DeviceConnect",
        });
        None
    }

    fn connect_rate(&self, mistakes: &mut Mistakes) -> Option<Pace> {
        let Some(text) = &self.connect_rate else {
            return Some(Pace::Learned);
        };
        match number(mistakes, "--connect-rate", text, 0, MAX_CONNECT_RATE)? {
            0 => Some(Pace::Unlimited),
            rate => Some(Pace::Limited(Rate::per_second(rate))),
        }
    }
}

impl fmt::Debug for ServeArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Three of the texts are secrets.
        f.debug_struct("ServeArgs")
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// Adds what keeps a text from being an API key.
pub fn check_api_key(mistakes: &mut Mistakes, key: &str) {
    if key.is_empty() {
        mistakes.add("--api-key", "empty");
    } else if key.len() > MAX_API_KEY_BYTES {
        mistakes.add("--api-key", format!("over {MAX_API_KEY_BYTES} bytes"));
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        mistakes.add(
            "--api-key",
            "only visible ASCII characters without spaces can be sent in a header",
        );
    }
}

fn number<T>(mistakes: &mut Mistakes, flag: &str, text: &str, least: T, most: T) -> Option<T>
where
    T: std::str::FromStr + PartialOrd + fmt::Display + Copy,
{
    let found = text
        .trim()
        .parse::<T>()
        .ok()
        .filter(|value| (least..=most).contains(value));
    if found.is_none() {
        mistakes.add(
            flag,
            format!("`{text}` is not a whole number from {least} to {most}"),
        );
    }
    found
}

#[cfg(test)]
mod tests;
