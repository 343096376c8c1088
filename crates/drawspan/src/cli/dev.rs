//! `drawspan dev`: bridge, local hub and sample devices in one process, nothing to configure.

mod command;
mod ports;
mod receiver;
mod text;

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use drawspan_api::api::Api;
use drawspan_api::host::Hosts;
use drawspan_api::server::{self, Terms};
use drawspan_client::{Credentials, KeyPair};
use drawspan_emulator::tail::{self, Paint};
use drawspan_emulator::{Config as EmulatorConfig, Emulator, Hub, Ports, Running};
use drawspan_fleet::governor::Pace;
use drawspan_gateway::{
    CallbackUrl, DeviceGateway as _, Prefix, Scope, Subscribe, Subscriptions as _,
};
use drawspan_hub::{DeviceId, HostName, HubConnectionString, RegistrationId, SubscriptionType};
use drawspan_runtime::{self as runtime, Gateway};
use drawspan_settings::limits::REQUEST_TIMEOUT_S;
use drawspan_settings::{
    ApiKeys, Config, ConnectTo, Enrollment, GuardMode, Mistakes, Profile, check_api_key, connect,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{block_on, failed, log, misused, say, signals};
use crate::limits::DEV_CONNECT_S;

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan dev
  drawspan dev --device pump-7 --device pump-8 --listen 127.0.0.1:9000

  Without subscriptions, so that you can subscribe or poll yourself:
  drawspan dev --no-receiver";

/// The hub's name; the emulator's certificate covers it.
const HUB: &str = "localhost";
/// The policy by which services come.
const POLICY: &str = "service";
/// The file by which `drawspan hub` gets to the hub.
const ACCESS_FILE: &str = "hub.toml";
/// Folder of the emulator as a separate process, in the current folder.
const STATE: &str = "drawspan-state";
const DEVICES: [&str; 2] = ["sensor-1", "sensor-2"];
/// The first HTTP port that is tried.
const HTTP_PORT: u16 = 8080;
const STOP: Duration = Duration::from_secs(2);

/// Flags of `dev`, all optional.
#[derive(Args, Clone)]
pub(super) struct DevArgs {
    /// Address to listen on for HTTP [default: 127.0.0.1:8080, or the next free port]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Key that callers must send in the header x-api-key [default: no key is needed]
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Device to connect at start, repeatable; any other device works as well [default: sensor-1 and sensor-2]
    #[arg(long = "device", value_name = "ID")]
    devices: Vec<String>,
    /// Create no subscriptions; by default, dev shows what devices receive, and answers methods
    #[arg(long)]
    no_receiver: bool,
}

/// The validated options of `dev`.
struct Plan {
    listen: Option<SocketAddr>,
    api_key: Option<String>,
    devices: Vec<DeviceId>,
    receives: bool,
    hub: HostName,
}

pub(super) fn run(args: &DevArgs) -> ExitCode {
    let plan = match args.check() {
        Ok(plan) => plan,
        Err(mistakes) => return misused(&mistakes),
    };
    // Events are printed elsewhere; only failures matter here.
    let _log = log::start("warn");
    block_on(async move {
        match dev(plan).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => match error.downcast_ref() {
                // The reader has gone.
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
        let given: Vec<&str> = match self.devices.is_empty() {
            true => DEVICES.to_vec(),
            false => self.devices.iter().map(String::as_str).collect(),
        };
        let devices = given.into_iter().filter_map(|id| {
            // They register at the local provisioning service, which takes fewer names than a hub.
            mistakes.keep("--device", RegistrationId::parse(id))?;
            mistakes.keep("--device", DeviceId::parse(id))
        });
        let devices: Vec<_> = devices.collect();
        let hub = mistakes.keep("hub", HostName::parse(HUB));
        match (hub, mistakes.lines()) {
            (Some(hub), []) => Ok(Plan {
                listen: listen.flatten(),
                api_key: self.api_key.clone(),
                devices,
                receives: !self.no_receiver,
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
    let service = policy(hub).ok_or("the local hub has no service policy")?;
    let config = bridge_config(&plan, address, &emulator)?;
    let credentials = Arc::new(Credentials::new(config.profile.keys()));
    let bridge = runtime::start(&config, credentials, None)?;
    let api = Api::new(
        bridge.clone(),
        ApiKeys::new(plan.api_key.as_deref()),
        Duration::from_secs(REQUEST_TIMEOUT_S),
    )
    .for_hosts(hosts(&plan, address));

    let paint = Paint::of_stdout();
    if plan.receives {
        subscribe(&bridge, &receiver::start(paint)?).await?;
    }
    let group = emulator.dps().groups().first();
    let access = write_access(&emulator, &service)?;
    let (addresses, authority) = (emulator.addresses(), emulator.ca_path());
    let state = std::env::current_dir().unwrap_or_default().join(STATE);
    let intro = text::Intro {
        address,
        api_key: plan.api_key.as_deref(),
        devices: &plan.devices,
        service: &service,
        hub_at: [addresses.amqps, addresses.https],
        authority,
        access: &access,
        receives: plan.receives,
        id_scope: emulator.dps().id_scope(),
        group_key: group.map_or(&service.key, |group| &group.primary),
        ports: ports::of_two_processes(address.port()),
        state: &state,
        command: &command::of_this_program(),
    };
    let tail = tail::start(hub, paint)?;
    let mut out = io::stdout();
    write!(out, "{}", intro.text(paint))
        .and_then(|()| out.flush())
        .map_err(|error| io::Error::new(error.kind(), format!("cannot print: {error}")))?;

    let connecting = plan.receives.then(|| connect(&bridge, &plan.devices));
    let (ending, second) = signals::Endings::new().first_and_second();
    let terms = Terms {
        stopping: say::stopping,
        ..Terms::new(STOP)
    };
    tokio::select! {
        () = second => return Err(signals::TWICE.into()),
        () = server::serve(listener, api, ending, terms) => {}
    }
    // The bridge first, so that it does not see its hub go.
    drop((connecting, bridge));
    drop(tail);
    emulator.shutdown().await;
    Ok(())
}

/// Without a key, pages of the web must not be able to ask.
const fn hosts(plan: &Plan, address: SocketAddr) -> Hosts {
    match (&plan.api_key, address.ip().is_loopback()) {
        (Some(_), _) => Hosts::Any,
        (None, true) => Hosts::Loopback,
        (None, false) => Hosts::Addresses,
    }
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
    // Devices are assigned at once: nothing is gained by having them wait.
    config.provisioning.retry_after_s = 0;
    // For official SDKs there is `drawspan emulator`, which uses the ports that they require.
    config.ports = Ports {
        amqps: 0,
        mqtts: Some(0),
        https: Some(0),
    };
    Emulator::start(config).await
}

fn policy(hub: &Arc<Hub>) -> Option<HubConnectionString> {
    hub.connection_strings()
        .into_iter()
        .find(|connection| connection.policy == POLICY)
}

/// Has all events of all devices sent to `url`, and devices stay connected for that.
async fn subscribe(bridge: &Gateway, url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let callback = CallbackUrl::parse(url)?;
    for kind in [
        SubscriptionType::C2dMessages,
        SubscriptionType::Methods,
        SubscriptionType::DesiredProperties,
    ] {
        let subscribe = Subscribe {
            scope: Scope::Fleet(Prefix::default()),
            kind,
            callback: callback.clone(),
            keep_connected: true,
            limited: false,
        };
        let deadline = Instant::now() + Duration::from_secs(REQUEST_TIMEOUT_S);
        bridge.subscribe(subscribe, deadline).await?;
    }
    Ok(())
}

/// Connects the sample devices, so that methods reach them from the beginning.
fn connect(bridge: &Gateway, devices: &[DeviceId]) -> JoinSet<()> {
    let deadline = Instant::now() + Duration::from_secs(DEV_CONNECT_S);
    let mut connecting = JoinSet::new();
    for device in devices {
        let (bridge, device) = (bridge.clone(), device.clone());
        connecting.spawn(async move {
            // A read of the twin is the least that connects a device.
            if let Err(error) = bridge.twin(device.clone(), deadline).await {
                tracing::warn!(%device, %error, "the device is not connected yet");
            }
        });
    }
    connecting
}

/// Writes the file by which `drawspan hub` gets to the hub. It is gone with the emulator's folder.
fn write_access(emulator: &Running, service: &HubConnectionString) -> Result<PathBuf, String> {
    let authority = emulator.ca_path();
    let path = authority
        .parent()
        .unwrap_or(Path::new("."))
        .join(ACCESS_FILE);
    let addresses = emulator.addresses();
    let host = &service.host;
    let connect = [
        format!("{host}:5671={}", addresses.amqps),
        format!("{host}:443={}", addresses.https),
    ];
    let mut table = toml::Table::new();
    table.insert(
        "connection_string".into(),
        service.to_secret_string().into(),
    );
    table.insert("ca".into(), authority.display().to_string().into());
    table.insert("connect".into(), connect.to_vec().into());
    let written = private(&path).and_then(|mut file| file.write_all(table.to_string().as_bytes()));
    match written {
        Ok(()) => Ok(path),
        Err(error) => Err(format!("cannot write {}: {error}", path.display())),
    }
}

/// A new file with mode 0600.
fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn bridge_config(
    plan: &Plan,
    listen: SocketAddr,
    emulator: &Running,
) -> Result<Config, Box<dyn std::error::Error>> {
    let api_keys = ApiKeys::new(plan.api_key.as_deref());
    let dps = emulator.dps();
    let group = dps.groups().first();
    let group = group.ok_or("the local provisioning service has no enrollment group")?;
    let profile = Profile::Dps {
        endpoint: plan.hub.clone(),
        id_scope: dps.id_scope().to_owned(),
        group: Enrollment::Keys(KeyPair {
            primary: group.primary.clone(),
            secondary: Some(group.secondary.clone()),
        }),
    };
    let mut config = Config::new(listen, api_keys, profile);
    config.authorities = drawspan_settings::read_authorities(emulator.ca_path())?;
    let addresses = emulator.addresses();
    let to = |port, to| ConnectTo {
        name: plan.hub.clone(),
        port: Some(port),
        to,
    };
    config.connect = vec![to(5_671, addresses.amqps), to(443, addresses.https)];
    // Developers have receivers on this machine.
    config.webhooks.guard = GuardMode::Off;
    // The local hub and its DPS have no throttles.
    config.connect_pace = Pace::Unlimited;
    config.dps_pace = Pace::Unlimited;
    Ok(config)
}
