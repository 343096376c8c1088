//! Options of `drawspan load` for messages and methods to devices.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use drawspan_client::service::ServiceConfig;
use drawspan_hub::{HubConnectionString, SubscriptionType};
use drawspan_settings::{Mistakes, service_connector};

use crate::behavior::Behavior;

/// Flags as they were given.
#[derive(Args, Clone)]
#[command(next_help_heading = "Messages and methods to devices, instead of telemetry")]
pub struct DownlinkArgs {
    /// Cloud-to-device messages per second
    #[arg(long, value_name = "R", conflicts_with_all = ["rate", "connections", "messages", "ledger"])]
    pub c2d_rate: Option<f64>,
    /// Direct methods per second
    #[arg(long, value_name = "R", conflicts_with_all = ["rate", "connections", "messages", "ledger"])]
    pub method_rate: Option<f64>,
    /// Subscriptions to create first, separated by commas: c2d, methods, desired, status, all or none [default: those that
    /// the rates need]. Without a rate, load creates them, waits until they are Running and sends nothing; with none, it
    /// waits for existing ones
    #[arg(long, value_name = "KINDS", conflicts_with_all = ["rate", "connections", "messages", "ledger"])]
    pub subscribe: Option<String>,
    /// Connection string of a hub policy with ServiceConnect
    #[arg(
        long,
        value_name = "CS",
        env = "DRAWSPAN_SERVICE_CONNECTION_STRING",
        hide_env_values = true
    )]
    pub hub_connection_string: Option<String>,
    /// PEM file of the authorities to trust at the hub instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Address to connect to for a name, as with serve; hubs use ports 5671 and 443
    #[arg(long, value_name = "NAME[:PORT]=ADDR:PORT")]
    pub connect: Vec<String>,
    /// Address of the built-in receiver of events. The bridge must be able to reach it, and must be allowed to: serve
    /// --allow-callbacks
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub receive: SocketAddr,
    /// Behavior of the receiver during the load: ok, delay:MS, status:CODE, hang or close, with @PERCENT for some requests only
    #[arg(long, value_name = "MANNER", default_value = "ok")]
    pub receiver: Behavior,
    /// Share of devices whose events go to a second receiver, which is counted separately
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    pub bad_share: u8,
    /// Address of the second receiver
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub bad_receive: SocketAddr,
    /// Behavior of the second receiver during the load
    #[arg(long, value_name = "MANNER", default_value = "hang")]
    pub bad_receiver: Behavior,
    /// How long to send before the measurement begins, with receivers that answer at once
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    pub warm_up: u64,
    /// How long to wait at most for outstanding messages and methods after the last was sent
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub drain: u64,
    /// How long the hub waits for the answer to a method, 5 to 300
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub method_timeout: u32,
    /// Keep the created subscriptions; by default they are removed at the end
    #[arg(long)]
    pub keep_subscriptions: bool,
    /// How long all subscriptions may take until they are Running
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub running_within: u64,
}

/// A run with messages and methods to devices.
#[derive(Debug, Clone)]
pub struct Downlink {
    /// Messages per second.
    pub c2d_rate: Option<f64>,
    /// Methods per second.
    pub method_rate: Option<f64>,
    /// Subscriptions to create first.
    pub subscribe: Vec<SubscriptionType>,
    /// Access to the hub, if something is sent.
    pub service: Option<ServiceConfig>,
    /// Addresses of the receivers.
    pub receive: [SocketAddr; 2],
    /// How they behave while there is load.
    pub manners: [Behavior; 2],
    /// Percent of devices that go to the second receiver.
    pub bad_share: u8,
    /// Before anything is measured.
    pub warm_up: Duration,
    /// After the last was sent.
    pub drain: Duration,
    /// How long the hub waits for the answer to a method, in seconds.
    pub method_timeout_s: u32,
    /// Whether subscriptions stay at the end.
    pub keep_subscriptions: bool,
    /// How long subscriptions may take.
    pub running_within: Duration,
}

const ALL: [(&str, SubscriptionType); 4] = [
    ("c2d", SubscriptionType::C2dMessages),
    ("methods", SubscriptionType::Methods),
    ("desired", SubscriptionType::DesiredProperties),
    ("status", SubscriptionType::ConnectionStatus),
];
const MAX_RATE: f64 = 100_000.0;
const MAX_SECONDS: u64 = 3_600;
const METHOD_TIMEOUT_S: std::ops::RangeInclusive<u32> = 5..=300;

impl DownlinkArgs {
    /// Checks everything; `None` if the options request no such run.
    pub(crate) fn check(&self, mistakes: &mut Mistakes) -> Option<Downlink> {
        let sends = self.c2d_rate.is_some() || self.method_rate.is_some();
        if !sends && self.subscribe.is_none() {
            return None;
        }
        for (flag, rate) in [
            ("--c2d-rate", self.c2d_rate),
            ("--method-rate", self.method_rate),
        ] {
            if rate.is_some_and(|rate| !(rate > 0.0 && rate <= MAX_RATE)) {
                mistakes.add(flag, format!("not a number up to {MAX_RATE}"));
            }
        }
        if self.bad_share > 100 {
            mistakes.add("--bad-share", "more than 100");
        }
        if !METHOD_TIMEOUT_S.contains(&self.method_timeout) {
            mistakes.add("--method-timeout", "not from 5 to 300");
        }
        for (flag, seconds) in [
            ("--warm-up", self.warm_up),
            ("--drain", self.drain),
            ("--running-within", self.running_within),
        ] {
            if seconds > MAX_SECONDS {
                mistakes.add(flag, format!("more than {MAX_SECONDS}"));
            }
        }
        let subscribe = mistakes.keep("--subscribe", self.kinds())?;
        if sends && subscribe.is_empty() && self.receive.port() == 0 {
            let text =
                "events go where the devices are subscribed already: name that address and port";
            mistakes.add("--receive", text);
        }
        let service = match sends {
            true => Some(self.service(mistakes)?),
            false => None,
        };
        Some(Downlink {
            c2d_rate: self.c2d_rate,
            method_rate: self.method_rate,
            subscribe,
            service,
            receive: [self.receive, self.bad_receive],
            manners: [self.receiver, self.bad_receiver],
            bad_share: self.bad_share,
            warm_up: Duration::from_secs(self.warm_up),
            drain: Duration::from_secs(self.drain),
            method_timeout_s: self.method_timeout,
            keep_subscriptions: self.keep_subscriptions,
            running_within: Duration::from_secs(self.running_within),
        })
    }

    fn kinds(&self) -> Result<Vec<SubscriptionType>, String> {
        let Some(text) = &self.subscribe else {
            let c2d = self.c2d_rate.map(|_| SubscriptionType::C2dMessages);
            let methods = self.method_rate.map(|_| SubscriptionType::Methods);
            return Ok(c2d.into_iter().chain(methods).collect());
        };
        match text.as_str() {
            "all" => Ok(ALL.map(|(_, kind)| kind).to_vec()),
            "none" => Ok(Vec::new()),
            words => {
                let kind = |word: &str| {
                    let found = ALL.iter().find(|(name, _)| *name == word.trim());
                    let wrong = || format!("`{word}` is not one of c2d, methods, desired, status");
                    found.map(|(_, kind)| *kind).ok_or_else(wrong)
                };
                words.split(',').map(kind).collect()
            }
        }
    }

    fn service(&self, mistakes: &mut Mistakes) -> Option<ServiceConfig> {
        let hub = match &self.hub_connection_string {
            Some(text) => HubConnectionString::parse(text).map_err(|error| error.to_string()),
            None => Err("missing: sending to devices needs a policy of the hub".to_owned()),
        };
        let hub = mistakes.keep("--hub-connection-string", hub);
        let connector = service_connector(mistakes, self.ca.as_deref(), &self.connect);
        Some(ServiceConfig::new(hub?, connector?))
    }
}

impl Downlink {
    /// Subscriptions that must be Running. When nothing else is asked for, all that can be.
    pub(crate) fn waited(&self) -> Vec<SubscriptionType> {
        let nothing = self.service.is_none() && self.subscribe.is_empty();
        let needed = [
            (SubscriptionType::C2dMessages, self.c2d_rate.is_some()),
            (SubscriptionType::Methods, self.method_rate.is_some()),
            (SubscriptionType::DesiredProperties, false),
        ];
        let waited = |(kind, needed): &(SubscriptionType, bool)| {
            *needed || nothing || self.subscribe.contains(kind)
        };
        needed
            .into_iter()
            .filter(waited)
            .map(|(kind, _)| kind)
            .collect()
    }
}

#[cfg(test)]
#[path = "downlink_tests.rs"]
mod tests;
