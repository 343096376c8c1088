//! Flags about rates and the daily quota.

use clap::Args;
use drawspan_hub::limits::{HubSize, Sku};

use crate::cli::check;
use crate::config::Config;

/// Flags about rates and the daily quota. Without them nothing is limited.
#[derive(Args, Clone, Debug)]
pub(crate) struct LimitArgs {
    /// Edition of each hub: F1, B1, S1, B2, S2, B3, S3; sets the documented rates and the daily quota, and those of the
    /// provisioning service [default: no limits]
    #[arg(long, value_name = "SKU")]
    sku: Option<String>,
    /// Units of each hub; 1 for F1, up to 10 for B3 and S3, up to 200 for the others
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "sku")]
    units: u32,
    /// Limit to set, repeatable, on its own or beside --sku: CLASS=RATE (d2c=5/s, connects=off), quota=NUMBER,
    /// burst.CLASS=SECONDS, queue.CLASS=SECONDS, wait=SECONDS, retry-after=SECONDS, over-quota=accepted, connack=3. Classes:
    /// connects, d2c, c2d-sends, c2d-receives, registry, twin-reads, twin-updates, methods, queries, uploads, jobs,
    /// job-devices, configurations, dps-registrations, dps-operations, dps-polls
    #[arg(long = "limit", value_name = "WORD")]
    limits: Vec<String>,
}

impl LimitArgs {
    /// Writes them into the configuration.
    pub(crate) fn apply(&self, config: &mut Config, errors: &mut Vec<String>) {
        let sku = self.sku.as_deref();
        let sku = sku.and_then(|text| check(errors, "sku", text.parse::<Sku>()));
        let size = sku.and_then(|sku| check(errors, "units", HubSize::new(sku, self.units)));
        let sizes = size.iter().map(|size| ("sku", size.to_string()));
        let words = self.limits.iter().map(|word| ("limit", word.clone()));
        for (flag, word) in sizes.chain(words) {
            check(errors, flag, config.rate_limits.apply(&word));
        }
    }
}
