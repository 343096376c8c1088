//! The ceiling of benchmarks: the API as it is, with devices that accept everything at once.

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use drawspan_api::api::Api;
use drawspan_api::server::{self, Terms};
use drawspan_gateway::{DeviceError, Devices, Diagnostics, Prefix, Readiness, Standing};
use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, DeviceId, Telemetry};
use drawspan_metrics::Page;
use drawspan_settings::limits::REQUEST_TIMEOUT_S;
use drawspan_settings::{self as settings, ApiKeys, Mistakes, connect};
use tokio::time::Instant;

use super::{block_on, failed, log, misused, say, signals};

/// Devices that accept everything at once, and of which nothing is known.
#[derive(Debug, Clone, Copy)]
pub struct AnswerAtOnce;

const EMPTY_TWIN: &[u8] = br#"{"desired":{"$version":1},"reported":{"$version":1}}"#;

impl Devices for AnswerAtOnce {
    async fn send(&self, _: DeviceId, _: Telemetry, _: Instant) -> Result<(), DeviceError> {
        Ok(())
    }

    async fn twin(&self, _: DeviceId, _: Instant) -> Result<Bytes, DeviceError> {
        Ok(Bytes::from_static(EMPTY_TWIN))
    }

    async fn report(&self, _: DeviceId, _: Bytes, _: Instant) -> Result<(), DeviceError> {
        Ok(())
    }

    async fn register(
        &self,
        _: DeviceId,
        _: Option<String>,
        _: Instant,
    ) -> Result<(), DeviceError> {
        Ok(())
    }

    async fn connection_status(
        &self,
        _: DeviceId,
    ) -> Result<Option<(ConnectionStatus, ConnectionStatusReason)>, DeviceError> {
        Ok(None)
    }

    fn resync(&self, _: DeviceId) -> Result<(), DeviceError> {
        Ok(())
    }

    async fn diagnostics(&self, _: DeviceId) -> Result<Option<Diagnostics>, DeviceError> {
        Ok(None)
    }

    async fn forget(&self, _: DeviceId, _: Instant) -> Result<(), DeviceError> {
        Ok(())
    }

    async fn measure(&self, _: &mut Page) {}

    async fn standing(
        &self,
        _: DeviceId,
        _: Prefix,
        _: bool,
        _: Instant,
    ) -> Result<Standing, DeviceError> {
        Ok(Standing::Within)
    }

    fn identity(&self, device: &DeviceId) -> DeviceId {
        device.clone()
    }

    fn readiness(&self) -> Readiness {
        Readiness::READY
    }
}

/// Flags of `bench-ceiling`.
#[derive(Args)]
pub struct CeilingArgs {
    /// Where to listen for HTTP
    #[arg(long, value_name = "ADDR:PORT")]
    listen: String,
    /// Key that callers send in the header x-api-key
    #[arg(long, value_name = "KEY")]
    api_key: String,
}

pub(super) fn run(args: &CeilingArgs) -> ExitCode {
    let mut mistakes = Mistakes::default();
    let address = mistakes.keep("--listen", connect::parse_address(&args.listen));
    settings::check_api_key(&mut mistakes, "--api-key", &args.api_key);
    let (Some(address), []) = (address, mistakes.lines()) else {
        return misused(&mistakes);
    };
    let _log = log::start("info");
    let api_keys = ApiKeys::new([args.api_key.as_str()]);
    block_on(async move {
        let timeout = Duration::from_secs(REQUEST_TIMEOUT_S);
        match server::bind(address) {
            Ok(listener) => {
                let address = listener.local_addr().unwrap_or(address);
                // It works as well where nobody reads that.
                let _ = say::out(format_args!("listening on http://{address}\nready\n"));
                let api = Api::telemetry_only(AnswerAtOnce, api_keys, timeout);
                let terms = Terms::new(Duration::from_secs(1));
                server::serve(listener, api, signals::shutdown(), terms).await;
                ExitCode::SUCCESS
            }
            Err(error) => failed(format_args!("cannot listen on {address}: {error}")),
        }
    })
}
