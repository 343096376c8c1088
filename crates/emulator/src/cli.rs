//! The command line of `drawspan emulator`.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use drawspan_emulator_hub::blobs::CONTAINER;
use drawspan_emulator_hub::faults::Fault;
use drawspan_hub::storage::StorageAccount;
use drawspan_hub::{HostName, SymmetricKey};
use drawspan_hub_model::dps::{Allocation, GroupSpec, ID_SCOPE, Provisioning};
use drawspan_hub_model::limits::BLOB_BYTES;
use drawspan_mqtt::server::UNSUPPORTED_PROTOCOL_VERSION;
use drawspan_segment_log::LogError;

use crate::cert::{self, CertCommand, CertError};
use crate::config::{AMQPS_PORT, Config, Mistake, UploadAccount};
use crate::control::ctl::{self, CtlArgs, CtlError};
use crate::device_range;
use crate::emulator::Emulator;
use crate::lifecycle_args::LifecycleArgs;
use crate::limit_args::LimitArgs;
use crate::pictures::{self, PictureArgs, PictureError};
use crate::retention::RetentionArgs;
use crate::start_error::StartError;
use crate::tail::{self, Paint};
use crate::x509_args::X509Args;

const DEFAULT_HUB: &str = "localhost";
const HASHED: &str = "hashed";
const MIB: u64 = 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  A hub named localhost with one device, forgotten at the end:
    drawspan emulator --device sensor-1

  50,000 devices, load-1 to load-50000:
    drawspan emulator --device 'load-[1-50000]'

  A hub that keeps its devices and messages, and shows what arrives:
    drawspan emulator --hub contoso.azure-devices.net --state ./emulator \\
      --tail

  Devices that register by themselves, and are spread over two hubs:
    drawspan emulator --hub a.test --hub b.test --dps dps.test \\
      --id-scope 0ne00ABCDEF --enrollment-group meters

  A device that proves itself by a certificate, and the certificate:
    drawspan emulator --state ./emulator --x509-device sensor-2
    drawspan emulator cert device sensor-2 --state ./emulator

  A hub with the limits of two units of S1, and one with limits of your own:
    drawspan emulator --sku S1 --units 2 --device sensor-1
    drawspan emulator --limit d2c=5/s --limit burst.d2c=0 --device sensor-1

  A tenth of all token renewals fail, and the sessions of one device are
  stalled:
    drawspan emulator --device 'sensor-[1-9]' \\
      --fault renewals=10% --fault stall=sensor-9

  Any port, for tests that run side by side:
    drawspan emulator --amqps-port 0 --mqtts-port 0 --https-port 0";

/// A local IoT hub for official Azure IoT SDKs.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct EmulatorArgs {
    #[command(subcommand)]
    command: Option<EmulatorCommand>,
    /// DNS name of a hub, repeatable [default: localhost]
    #[arg(long = "hub", value_name = "NAME")]
    hubs: Vec<String>,
    /// DNS name of the provisioning service [default: the first hub's]
    #[arg(long = "dps", visible_alias = "dps-name", value_name = "NAME")]
    dps_name: Option<String>,
    /// Id scope of the provisioning service
    #[arg(long, value_name = "SCOPE", default_value = ID_SCOPE)]
    id_scope: String,
    /// Enrollment group with symmetric keys, repeatable; missing keys are generated, and kept with --state [default: one
    /// group called default]
    #[arg(long = "enrollment-group", value_name = "NAME[=PRIMARY[,SECONDARY]]")]
    enrollment_groups: Vec<String>,
    /// How devices are distributed over hubs: hashed, or the name of a hub that gets all of them
    #[arg(long, value_name = "hashed|HUB", default_value = HASHED)]
    dps_allocation: String,
    /// Seconds that registering devices are asked to wait; with 0 the first answer assigns them
    #[arg(long, value_name = "SECONDS", default_value_t = Provisioning::default().retry_after_s)]
    dps_retry_after: u32,
    /// Registrations per minute that the provisioning service accepts [default: no limit]
    #[arg(long, value_name = "NUMBER")]
    dps_registrations_per_minute: Option<u32>,
    /// Primary key of the first enrollment group [default: a new one, kept with --state]
    #[arg(
        long,
        value_name = "BASE64",
        env = "DRAWSPAN_GROUP_KEY",
        hide_env_values = true
    )]
    group_key: Option<String>,
    /// Key of all policies (iothubowner, service, device, …) [default: a new one, kept with --state]
    #[arg(
        long,
        value_name = "BASE64",
        env = "DRAWSPAN_POLICY_KEY",
        hide_env_values = true
    )]
    policy_key: Option<String>,
    /// Folder for devices, messages and the certificate authority; without it the hub lives in memory
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Remove devices, messages, telemetry and uploaded files from --state first; the certificate authority stays
    #[arg(long, requires = "state")]
    reset: bool,
    /// Mebibytes of uploaded files that each hub keeps; beyond that uploads are refused
    #[arg(long, value_name = "MIB", default_value_t = BLOB_BYTES / MIB)]
    upload_size: u64,
    /// Connection string of a storage account or an Azurite that takes uploaded files instead of the emulator;
    /// UseDevelopmentStorage=true is a local Azurite
    #[arg(
        long,
        value_name = "CONNECTION_STRING",
        env = "DRAWSPAN_UPLOAD_STORAGE",
        hide_env_values = true
    )]
    upload_storage: Option<String>,
    /// Container of --upload-storage, which must be there
    #[arg(long, value_name = "NAME", default_value = CONTAINER)]
    upload_container: String,
    /// Address to listen at
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    bind: String,
    /// Port of AMQP over TLS, 0 for any; SDKs use 5671
    #[arg(long, value_name = "PORT", default_value_t = AMQPS_PORT)]
    amqps_port: u16,
    /// Port of MQTT over TLS, 0 for any; SDKs use 8883 [default: 8883, or none where 8883 is taken]
    #[arg(long, value_name = "PORT")]
    mqtts_port: Option<u16>,
    /// Port of HTTPS, 0 for any; SDKs use 443 [default: 443, or 8443 where 443 is not permitted]
    #[arg(long, value_name = "PORT")]
    https_port: Option<u16>,
    /// Device to create on every hub, repeatable, with keys of the first enrollment group; load-[1-50000] stands for load-1
    /// to load-50000
    #[arg(long = "device", value_name = "ID")]
    devices: Vec<String>,
    #[command(flatten)]
    x509: X509Args,
    /// Fault to cause, repeatable: renewals=PERCENT% answers that share of token renewals over AMQP with 500;
    /// stall=DEVICE_ID makes the AMQP sessions of a device accept nothing from it
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<String>,
    /// Reason code by which clients of MQTT 5 are refused, 128 to 255; a hub's own is not documented
    #[arg(long, value_name = "CODE", default_value_t = UNSUPPORTED_PROTOCOL_VERSION, value_parser = clap::value_parser!(u8).range(128..))]
    mqtt5_reason: u8,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    lifecycle: LifecycleArgs,
    #[command(flatten)]
    retention: RetentionArgs,
    /// Print a line for every message that reaches a hub
    #[arg(long)]
    tail: bool,
}

/// What is to be done other than to run an emulator.
#[derive(Clone, Debug, Subcommand)]
enum EmulatorCommand {
    /// Make certificates of devices, to try
    #[command(subcommand)]
    Cert(CertCommand),
    /// Ask something of a running emulator: cause faults, change limits and time, observe, reset
    Ctl(Box<CtlArgs>),
    /// Draw what the rules of a hub do in the course of time
    Picture(PictureArgs),
}

/// The mistakes in a command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct InvalidArgs(pub Vec<String>);

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command line is wrong.
    #[error(transparent)]
    Args(#[from] InvalidArgs),
    /// The emulator did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Messages cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// No certificate was made.
    #[error(transparent)]
    Cert(#[from] CertError),
    /// No picture was drawn.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A running emulator does not do what was asked.
    #[error(transparent)]
    Ctl(CtlError),
    /// The terminal, or what took its place, is gone.
    #[error("cannot print: {0}")]
    Print(#[source] io::Error),
    /// The system gives no signals.
    #[error("cannot wait for Ctrl-C: {0}")]
    Signal(#[source] io::Error),
}

impl From<CtlError> for CommandError {
    fn from(error: CtlError) -> Self {
        match error.is_usage() {
            true => Self::Args(InvalidArgs(vec![error.to_string()])),
            false => Self::Ctl(error),
        }
    }
}

/// Runs `drawspan emulator` until it is interrupted or terminated.
///
/// # Errors
/// When the command line is wrong or the emulator does not start.
pub async fn run(args: EmulatorArgs) -> Result<(), CommandError> {
    let text = match &args.command {
        Some(EmulatorCommand::Cert(command)) => Some(cert::run(command)?),
        Some(EmulatorCommand::Ctl(args)) => Some(ctl::run(args).await?),
        Some(EmulatorCommand::Picture(args)) => Some(pictures::run(args)?),
        None => None,
    };
    if let Some(text) = text {
        return io::stdout()
            .write_all(text.as_bytes())
            .map_err(CommandError::Print);
    }
    let tails = args.tail;
    let config = args.into_config()?;
    let mut interrupted = Interrupted::new().map_err(CommandError::Signal)?;
    let running = Emulator::start(config).await?;
    let shown = if tails { running.hubs().hubs() } else { &[] };
    let tails = shown.iter().map(|hub| tail::start(hub, Paint::of_stdout()));
    let tails = tails.collect::<Result<Vec<_>, _>>()?;
    let mut out = io::stdout().lock();
    out.write_all(running.banner().as_bytes())
        .and_then(|()| out.flush())
        .map_err(CommandError::Print)?;
    drop(out);
    interrupted.wait().await;
    drop(tails);
    running.shutdown().await;
    Ok(())
}

impl EmulatorArgs {
    /// The configuration that is meant.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub fn into_config(self) -> Result<Config, InvalidArgs> {
        let mut errors = Vec::new();
        let mut hubs = self.hubs;
        if hubs.is_empty() {
            hubs.push(DEFAULT_HUB.to_owned());
        }
        let hubs = hubs
            .iter()
            .filter_map(|text| check(&mut errors, "hub", HostName::parse(text)))
            .collect();
        let mut config = Config::new(hubs);
        config.dps_name = self
            .dps_name
            .and_then(|text| check(&mut errors, "dps-name", HostName::parse(&text)));
        config.provisioning = Provisioning {
            id_scope: self.id_scope,
            groups: groups(&mut errors, &self.enrollment_groups),
            allocation: match self.dps_allocation.as_str() {
                HASHED => Allocation::Hashed,
                hub => check(&mut errors, "dps-allocation", HostName::parse(hub))
                    .map_or(Allocation::Hashed, Allocation::Static),
            },
            retry_after_s: self.dps_retry_after,
            registrations_per_minute: self.dps_registrations_per_minute,
            ..Provisioning::default()
        };
        self.x509.apply(&mut config, &mut errors);
        self.limits.apply(&mut config, &mut errors);
        config.group_key = self
            .group_key
            .and_then(|text| check(&mut errors, "group-key", SymmetricKey::from_base64(&text)));
        config.policy_key = self
            .policy_key
            .and_then(|text| check(&mut errors, "policy-key", SymmetricKey::from_base64(&text)));
        config.limits.blob_bytes = self.upload_size.saturating_mul(MIB);
        config.upload_account = self.upload_storage.and_then(|text| {
            let account = StorageAccount::parse(&text);
            let account = check(&mut errors, "upload-storage", account)?;
            let container = self.upload_container;
            Some(UploadAccount { account, container })
        });
        config.state = self.state;
        config.reset = self.reset;
        if let Some(bind) = check(&mut errors, "bind", self.bind.parse::<IpAddr>()) {
            config.bind = bind;
        }
        config.ports.amqps = self.amqps_port;
        config.ports.mqtts = self.mqtts_port;
        config.ports.https = self.https_port;
        let (devices, invalid) = device_range::parse_all(&self.devices);
        errors.extend(invalid.iter().map(|error| format!("--device: {error}")));
        config.devices = devices;
        config.mqtt_5_reason = self.mqtt5_reason;
        config.limits.sas_grace = self.lifecycle.sas_grace();
        config.telemetry = self.retention.limits(config.partitions);
        let faults = self.faults.iter();
        config.faults = faults
            .filter_map(|text| check(&mut errors, "fault", text.parse::<Fault>()))
            .collect();
        // A hub whose name is wrong was reported already, and is not there only because of that.
        let mistakes = config
            .mistakes()
            .into_iter()
            .filter(|mistake| *mistake != Mistake::NoHub);
        errors.extend(mistakes.map(|mistake| mistake.to_string()));
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(InvalidArgs(errors))
        }
    }
}

/// `NAME`, `NAME=PRIMARY`, `NAME=PRIMARY,SECONDARY`. A key may end with `=`.
fn groups(errors: &mut Vec<String>, texts: &[String]) -> Vec<GroupSpec> {
    let mut key = |text: &str| {
        let key = SymmetricKey::from_base64(text);
        check(errors, "enrollment-group", key)
    };
    let mut group = |text: &String| {
        let Some((name, keys)) = text.split_once('=') else {
            return GroupSpec::new(text);
        };
        let (primary, secondary) = match keys.split_once(',') {
            Some((primary, secondary)) => (primary, Some(secondary)),
            None => (keys, None),
        };
        GroupSpec {
            name: name.to_owned(),
            primary: key(primary),
            secondary: secondary.and_then(&mut key),
        }
    };
    texts.iter().map(&mut group).collect()
}

pub(crate) fn check<T, E: std::fmt::Display>(
    errors: &mut Vec<String>,
    flag: &str,
    result: Result<T, E>,
) -> Option<T> {
    result
        .map_err(|error| errors.push(format!("--{flag}: {error}")))
        .ok()
}

/// Ctrl-C, or the signal by which service managers end a program.
struct Interrupted {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Interrupted {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        Ok(Self { terminate })
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    async fn wait(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
