//! Flags for how long tokens live.

use clap::Args;
use drawspan_hub::limits::{SAS_CONNECTED_GRACE_S, SAS_GRACE_S};
use drawspan_hub_model::token_life::SasGrace;

/// A day.
const GRACE_MAX_S: u64 = 24 * 60 * 60;

/// Flags for what a token has beyond its expiry.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LifecycleArgs {
    /// Seconds after its expiry for which a token is still accepted
    #[arg(long, value_name = "SECONDS", default_value_t = SAS_GRACE_S, value_parser = clap::value_parser!(u64).range(..=GRACE_MAX_S))]
    sas_grace_connect: u64,
    /// Seconds after the expiry of its token for which a connection stands
    #[arg(long, value_name = "SECONDS", default_value_t = SAS_CONNECTED_GRACE_S, value_parser = clap::value_parser!(u64).range(..=GRACE_MAX_S))]
    sas_grace_live: u64,
}

impl LifecycleArgs {
    /// What is meant.
    pub(crate) const fn sas_grace(self) -> SasGrace {
        SasGrace {
            connect_s: self.sas_grace_connect,
            live_s: self.sas_grace_live,
        }
    }
}
