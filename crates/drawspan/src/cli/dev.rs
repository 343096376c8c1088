//! `drawspan dev`: bridge, local hub and sample devices in one process, nothing to configure.

mod ports;
mod text;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use drawspan_bridge::governor::Pace;
use drawspan_client::Credentials;
use drawspan_emulator::tail::{self, Paint};
use drawspan_emulator::{Config as EmulatorConfig, Emulator, Hub, Ports, Running};
use drawspan_hub::{DeviceId, HostName, HubConnectionString};
use tokio::net::TcpListener;

use super::{block_on, failed, log, misused, say, signals};
use crate::config::{Config, ConnectTo, Mistakes, Profile, check_api_key, connect};
use crate::http::api::Api;
use crate::http::auth::ApiKeys;
use crate::http::server;
use crate::limits::REQUEST_TIMEOUT_S;
use crate::runtime;
use crate::webhooks::GuardMode;

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan dev
  drawspan dev --device pump-7 --device pump-8 --listen 127.0.0.1:9000";

/// The hub's name; the emulator's certificate covers it.
const HUB: &str = "localhost";
/// The policy by which the bridge connects devices: it may do nothing else.
const POLICY: &str = "device";
const DEVICES: [&str; 2] = ["sensor-1", "sensor-2"];
/// The first HTTP port that is tried.
const HTTP_PORT: u16 = 8080;
const STOP: Duration = Duration::from_secs(2);

/// Flags of `dev`. None is needed.
#[derive(Args, Clone)]
pub(super) struct DevArgs {
    /// Where to listen for HTTP [default: 127.0.0.1:8080, or the next free port]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Key that callers must send in the header x-api-key [default: none is asked for]
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Device to create, repeatable [default: sensor-1 and sensor-2]
    #[arg(long = "device", value_name = "ID")]
    devices: Vec<String>,
}

/// What `dev` shall do, checked.
struct Plan {
    listen: Option<SocketAddr>,
    api_key: Option<String>,
    devices: Vec<DeviceId>,
    hub: HostName,
}

pub(super) fn run(args: &DevArgs) -> ExitCode {
    let plan = match args.check() {
        Ok(plan) => plan,
        Err(mistakes) => return misused(&mistakes),
    };
    // What arrives is printed; of the rest only trouble matters here.
    let _log = log::start("warn");
    block_on(async move {
        match dev(plan).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => match error.downcast_ref() {
                // Whoever was to read it has gone.
                Some(error) if say::is_enough(error) => ExitCode::SUCCESS,
                _ => failed(error),
            },
        }
    })
}

impl DevArgs {
    fn check(&self) -> Result<Plan, Mistakes> {
        let mut mistakes = Mistakes::default();
        let listen = self
            .listen
            .as_deref()
            .map(|text| mistakes.keep("--listen", connect::parse_address(text)));
        if let Some(key) = &self.api_key {
            check_api_key(&mut mistakes, "--api-key", key);
        }
        let given = self.devices.iter().map(String::as_str);
        let devices: Vec<_> = match self.devices.is_empty() {
            true => DEVICES
                .iter()
                .filter_map(|id| mistakes.keep("--device", DeviceId::parse(id)))
                .collect(),
            false => given
                .filter_map(|id| mistakes.keep("--device", DeviceId::parse(id)))
                .collect(),
        };
        let hub = mistakes.keep("hub", HostName::parse(HUB));
        match (hub, mistakes.lines()) {
            (Some(hub), []) => Ok(Plan {
                listen: listen.flatten(),
                api_key: self.api_key.clone(),
                devices,
                hub,
            }),
            _ => Err(mistakes),
        }
    }
}

async fn dev(plan: Plan) -> Result<(), Box<dyn std::error::Error>> {
    let listener = listen(plan.listen)?;
    let address = listener.local_addr()?;
    let emulator = start_emulator(&plan).await?;
    let hub = emulator
        .hubs()
        .find(HUB)
        .ok_or("the local hub is not there")?;
    let policy = policy(hub).ok_or("the local hub has no device policy")?;
    let config = bridge_config(&plan, address, &emulator, &policy)?;
    let credentials = Arc::new(Credentials::new(config.profile.keys()));
    let bridge = runtime::start(&config, credentials, None)?;
    let api = Api::new(
        bridge,
        ApiKeys::new(plan.api_key.as_deref()),
        Duration::from_secs(REQUEST_TIMEOUT_S),
    );

    let paint = Paint::of_stdout();
    let intro = text::Intro {
        address,
        api_key: plan.api_key.as_deref(),
        devices: &plan.devices,
        policy: &policy,
        ports: ports::of_two_processes(address.port()),
        command: text::command(),
    };
    let tail = tail::start(hub, paint)?;
    let mut out = io::stdout();
    write!(out, "{}", intro.text(paint))
        .and_then(|()| out.flush())
        .map_err(|error| io::Error::new(error.kind(), format!("cannot print: {error}")))?;

    server::serve(listener, api, signals::shutdown(), STOP).await;
    drop(tail);
    emulator.shutdown().await;
    Ok(())
}

fn listen(wanted: Option<SocketAddr>) -> Result<TcpListener, String> {
    match wanted {
        Some(address) => {
            server::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))
        }
        None => ports::from(HTTP_PORT)
            .find_map(|port| server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok())
            .ok_or_else(|| {
                format!("no free port from {HTTP_PORT} on; give one with --listen 127.0.0.1:PORT")
            }),
    }
}

async fn start_emulator(plan: &Plan) -> Result<Running, drawspan_emulator::StartError> {
    let mut config = EmulatorConfig::new(vec![plan.hub.clone()]);
    config.devices = plan.devices.clone();
    // Whoever wants official SDKs to connect runs `drawspan emulator`, which takes the ports that they insist on.
    config.ports = Ports {
        amqps: 0,
        https: Some(0),
    };
    Emulator::start(config).await
}

fn policy(hub: &Arc<Hub>) -> Option<HubConnectionString> {
    hub.connection_strings()
        .into_iter()
        .find(|connection| connection.policy == POLICY)
}

fn bridge_config(
    plan: &Plan,
    listen: SocketAddr,
    emulator: &Running,
    hub: &HubConnectionString,
) -> Result<Config, crate::config::InvalidAuthorities> {
    let api_keys = ApiKeys::new(plan.api_key.as_deref());
    let mut config = Config::new(listen, api_keys, Profile::of_hub(hub));
    config.authorities = crate::config::read_authorities(emulator.ca_path())?;
    config.connect = vec![ConnectTo {
        name: plan.hub.clone(),
        port: None,
        to: emulator.addresses().amqps,
    }];
    // Whoever develops has receivers on this machine.
    config.webhooks.guard = GuardMode::Off;
    // The local hub has no throttles.
    config.connect_pace = Pace::Unlimited;
    Ok(config)
}
