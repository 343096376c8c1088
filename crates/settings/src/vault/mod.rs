//! The key vault of the bridge that Drawspan replaces, read by Azure's own client over our HTTP (feature `keyvault`).

#[cfg(feature = "keyvault")]
mod failure;
#[cfg(feature = "keyvault")]
mod identity;
#[cfg(feature = "keyvault")]
mod read;
#[cfg(test)]
#[cfg(feature = "keyvault")]
mod tests;
#[cfg(feature = "keyvault")]
mod wire;

use super::environment::Environment;
use super::outbound::Way;

#[cfg(feature = "keyvault")]
pub(super) use read::read;

/// Which secrets are wanted, and how to get there.
#[cfg_attr(not(feature = "keyvault"), allow(dead_code))]
pub(super) struct Ask<'a> {
    /// Address of the vault.
    pub(super) url: &'a str,
    /// Names of the secrets.
    pub(super) names: &'a [&'a str],
    /// Says by which identity to ask.
    pub(super) environment: &'a Environment,
    pub(super) way: Way,
}

/// Reads secrets; `None` for each that is not there. Blocks. An error is one line, without a secret.
pub(super) type Vault = fn(&Ask<'_>) -> Result<Vec<Option<String>>, String>;

/// Says what to do instead.
///
/// # Errors
/// Always.
#[cfg(not(feature = "keyvault"))]
pub(super) fn read(_: &Ask<'_>) -> Result<Vec<Option<String>>, String> {
    Err(
        "this build reads no key vault: build it with `cargo build --release --features keyvault`, or unset KV_URL and give \
         the secrets as variables (IOTC_ID_SCOPE, IOTC_SAS_KEY, API_KEY) or as files of their names with --secrets-dir"
            .to_owned(),
    )
}
