//! Options of `drawspan load`.

mod downlink;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use drawspan_hub::DeviceId;
use drawspan_settings::Mistakes;
use drawspan_settings::limits::REQUEST_TIMEOUT_S;
use http::Uri;
use http::header::HeaderValue;

use crate::limits::LOAD_GRACE_S;

pub use downlink::{Downlink, DownlinkArgs};

/// Flags as they were given.
#[derive(Args, Clone)]
pub struct LoadArgs {
    /// URL of the bridge
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5001")]
    pub url: String,
    /// Key for the header x-api-key
    #[arg(
        long,
        value_name = "KEY",
        env = "DRAWSPAN_API_KEY",
        hide_env_values = true
    )]
    pub api_key: Option<String>,
    /// Number of devices, which send in turn; their ids are the prefix followed by 1 to N
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub devices: u32,
    /// Prefix of the device ids
    #[arg(long, value_name = "P", default_value = "load-")]
    pub device_prefix: String,
    /// HTTP connections, each with one request in flight
    #[arg(long, value_name = "C", default_value_t = 16)]
    pub connections: u32,
    /// Requests per second, or max
    #[arg(long, value_name = "R|max", default_value = "max")]
    pub rate: String,
    /// How long to send [default: 10 s, if --messages is not given]
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<u64>,
    /// How many messages to send
    #[arg(long, value_name = "M")]
    pub messages: Option<u64>,
    /// Size of each message's data
    #[arg(long, value_name = "B", default_value_t = 256)]
    pub body_bytes: usize,
    /// How long to wait for an answer; should exceed the server's own deadline
    #[arg(long, value_name = "SECONDS", default_value_t = REQUEST_TIMEOUT_S + LOAD_GRACE_S)]
    pub timeout: u64,
    /// First message id [default: derived from the time, so that ids differ between runs]
    #[arg(long, value_name = "ID")]
    pub first_id: Option<u64>,
    /// Write one line per request: id, device, status (0: no answer), latency in µs, time of sending (Unix time in ms),
    /// separated by tabs
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Exit with 0 even if some requests, messages or methods fail, as long as not all do
    #[arg(long)]
    pub allow_failures: bool,
    /// Messages and methods to devices.
    #[command(flatten)]
    pub downlink: DownlinkArgs,
}

/// A run that can be started.
#[derive(Debug, Clone)]
pub struct Load {
    /// `host:port` of the server.
    pub authority: String,
    /// Prefix of each path, before `/devices`.
    pub base_path: String,
    /// Value of `Host`.
    pub host: HeaderValue,
    /// Value of `x-api-key`.
    pub api_key: Option<HeaderValue>,
    /// Number of devices.
    pub devices: u32,
    /// Prefix of the device ids.
    pub device_prefix: String,
    /// Number of connections.
    pub connections: u32,
    /// Requests per second; `None` for as many as possible.
    pub rate: Option<f64>,
    /// When to stop sending.
    pub duration: Option<Duration>,
    /// After how many messages to stop sending.
    pub messages: Option<u64>,
    /// Size of each message's data.
    pub body_bytes: usize,
    /// How long to wait for one answer.
    pub timeout: Duration,
    /// First message id.
    pub first_id: u64,
    /// File of the ledger.
    pub ledger: Option<PathBuf>,
    /// Whether a partly failed run counts as a success.
    pub allow_failures: bool,
    /// Messages and methods to devices, instead of telemetry.
    pub downlink: Option<Downlink>,
}

impl Load {
    /// How many requests a run is asked for, where that is known.
    #[must_use]
    pub fn asked(&self) -> Option<u64> {
        let by_rate = self.rate.zip(self.duration).map(|(rate, duration)| {
            // Rates and durations are checked: the product is far below 2^53.
            (rate * duration.as_secs_f64()) as u64
        });
        match (self.messages, by_rate) {
            (Some(messages), Some(by_rate)) => Some(messages.min(by_rate)),
            // It may be over before all are sent, which is what was asked for.
            (Some(_), None) if self.duration.is_some() => None,
            (messages, by_rate) => messages.or(by_rate),
        }
    }
}

const MAX_CONNECTIONS: u32 = 20_000;
const MAX_DEVICES: u32 = 1_000_000;
const MAX_DATA_BYTES: usize = 1_048_576;
const MAX_RATE: f64 = 10_000_000.0;
const MAX_SECONDS: u64 = 86_400;
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

impl LoadArgs {
    /// Checks everything. `unix_s` is the time, from which ids are made.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn check(&self, unix_s: u64) -> Result<Load, Mistakes> {
        let mut mistakes = Mistakes::default();
        let target = mistakes.keep("--url", target(&self.url));
        let api_key = self
            .api_key
            .as_deref()
            .map(HeaderValue::from_str)
            .transpose();
        let api_key = mistakes.keep(
            "--api-key",
            api_key.map_err(|_| "cannot be sent in a header"),
        );
        let rate = mistakes.keep("--rate", rate(&self.rate));
        let last_device = format!("{}{}", self.device_prefix, self.devices);
        mistakes.keep("--device-prefix", DeviceId::parse(&last_device));
        within(&mut mistakes, "--devices", self.devices, 1, MAX_DEVICES);
        within(
            &mut mistakes,
            "--connections",
            self.connections,
            1,
            MAX_CONNECTIONS,
        );
        within(
            &mut mistakes,
            "--body-bytes",
            self.body_bytes,
            0,
            MAX_DATA_BYTES,
        );
        within(&mut mistakes, "--timeout", self.timeout, 1, MAX_SECONDS);
        within(
            &mut mistakes,
            "--duration",
            self.duration.unwrap_or(1),
            1,
            MAX_SECONDS,
        );
        within(
            &mut mistakes,
            "--messages",
            self.messages.unwrap_or(1),
            1,
            u64::MAX,
        );
        let downlink = self.downlink.check(&mut mistakes);
        let (Some((authority, base_path, host)), Some(api_key), Some(rate), []) =
            (target, api_key, rate, mistakes.lines())
        else {
            return Err(mistakes);
        };
        let duration = self.duration.map(Duration::from_secs);
        Ok(Load {
            authority,
            base_path,
            host,
            api_key,
            devices: self.devices,
            device_prefix: self.device_prefix.clone(),
            connections: self.connections,
            rate,
            duration: if self.messages.is_none() {
                duration.or(Some(DEFAULT_DURATION))
            } else {
                duration
            },
            messages: self.messages,
            body_bytes: self.body_bytes,
            timeout: Duration::from_secs(self.timeout),
            // Room for a million a second, below 2^53, which is where JSON readers lose count.
            first_id: self.first_id.unwrap_or(unix_s.saturating_mul(1_000_000)),
            ledger: self.ledger.clone(),
            allow_failures: self.allow_failures,
            downlink,
        })
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    mistakes: &mut Mistakes,
    flag: &str,
    value: T,
    least: T,
    most: T,
) {
    if value < least || value > most {
        mistakes.add(flag, format!("{value} is not from {least} to {most}"));
    }
}

fn rate(text: &str) -> Result<Option<f64>, String> {
    if text.eq_ignore_ascii_case("max") {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= MAX_RATE => Ok(Some(rate)),
        _ => Err(format!(
            "`{text}` is neither max nor a number up to {MAX_RATE}"
        )),
    }
}

fn target(url: &str) -> Result<(String, String, HeaderValue), String> {
    let wrong = || format!("`{url}` is not http://HOST[:PORT][/PATH]");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    if uri.scheme_str() != Some("http") || uri.query().is_some() {
        return Err(wrong());
    }
    let authority = uri.authority().ok_or_else(wrong)?;
    if authority.as_str().contains('@') {
        return Err(wrong());
    }
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?;
    let port = authority.port_u16().unwrap_or(80);
    let base_path = uri.path().trim_end_matches('/').to_owned();
    Ok((format!("{}:{port}", authority.host()), base_path, host))
}

#[cfg(test)]
mod tests;
