//! From names to values.

use std::sync::Arc;
use std::time::Duration;

use azure_core::cloud::CustomConfiguration;
use azure_core::http::{
    ClientOptions, ExponentialRetryOptions, RetryOptions, Transport, Url, UserAgentOptions,
};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::Ask;
use super::failure::{Failure, UNREADABLE};
use super::identity::Identity;
use super::wire::Wire;
use crate::environment::Environment;
use crate::limits::{VAULT_RETRIES, VAULT_TIMEOUT_MS};

const AUTHORITY_VARIABLE: &str = "AZURE_AUTHORITY_HOST";
const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";

/// Reads secrets; `None` for each that is not there. Blocks, also within a runtime.
///
/// # Errors
/// One line that says what is wrong, without a secret.
pub(crate) fn read(ask: &Ask<'_>) -> Result<Vec<Option<String>>, String> {
    read_within(ask, Duration::from_millis(VAULT_TIMEOUT_MS))
}

/// The same with another limit.
pub(super) fn read_within(ask: &Ask<'_>, limit: Duration) -> Result<Vec<Option<String>>, String> {
    let vault = address(ask.url)?;
    let identity = Identity::choose(ask.environment)?;
    let wire = Arc::new(Wire::new(&ask.way, identity.endpoint())?);
    let options = options(&wire, ask.environment);
    // A thread of its own: who calls may be within a runtime, which must not be blocked by another.
    std::thread::scope(|scope| {
        let work = || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            let secrets = Secrets {
                vault: &vault,
                names: ask.names,
                identity: &identity,
                wire: &wire,
            };
            let read = runtime.block_on(async { timeout(limit, secrets.read(options)).await });
            // A look-up of a name that hangs is not waited for.
            runtime.shutdown_background();
            read.unwrap_or_else(|_| Err(late(&wire, limit)))
        };
        let ended = scope.spawn(work).join();
        ended.unwrap_or_else(|_| Err(UNREADABLE.to_owned()))
    })
}

fn late(wire: &Wire, limit: Duration) -> String {
    let seconds = limit.as_secs_f32();
    let host = wire.host();
    let why = match (wire.trouble(), wire.refusal()) {
        (Some(trouble), _) => trouble,
        (None, Some((status, _))) => format!("{host} answers {status}"),
        (None, None) => format!("no answer from {host}"),
    };
    format!("not read within {seconds} s: {why}")
}

/// Where a vault is, which must be a place that only the vault can hear of.
fn address(text: &str) -> Result<Url, String> {
    let wrong =
        || "is not the address of a key vault, like https://NAME.vault.azure.net".to_owned();
    let url = Url::parse(text.trim()).map_err(|_| wrong())?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.path() == "/";
    match url.scheme() == "https" && is_plain && url.domain().is_some() {
        true => Ok(url),
        false => Err(wrong()),
    }
}

fn options(wire: &Arc<Wire>, environment: &Environment) -> ClientOptions {
    let retry = ExponentialRetryOptions {
        max_retries: VAULT_RETRIES,
        ..ExponentialRetryOptions::default()
    };
    let authority = environment.get(AUTHORITY_VARIABLE);
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = authority.unwrap_or(PUBLIC_AUTHORITY).to_owned();
    ClientOptions {
        retry: RetryOptions::exponential(retry),
        transport: Some(Transport::new(Arc::<Wire>::clone(wire))),
        user_agent: UserAgentOptions {
            application_id: Some("drawspan".to_owned()),
        },
        cloud: Some(Arc::new(cloud.into())),
        ..ClientOptions::default()
    }
}

struct Secrets<'a> {
    vault: &'a Url,
    names: &'a [&'a str],
    identity: &'a Identity,
    wire: &'a Wire,
}

impl Secrets<'_> {
    async fn read(&self, options: ClientOptions) -> Result<Vec<Option<String>>, String> {
        let credential = self.identity.credential(options.clone())?;
        let options = SecretClientOptions {
            client_options: options,
            ..SecretClientOptions::default()
        };
        let client = SecretClient::new(self.vault.as_str(), credential, Some(options));
        let client = client.map_err(|_| UNREADABLE.to_owned())?;
        let mut values = Vec::with_capacity(self.names.len());
        for name in self.names {
            values.push(self.secret(&client, name).await?);
        }
        Ok(values)
    }

    async fn secret(&self, client: &SecretClient, name: &str) -> Result<Option<String>, String> {
        match client.get_secret(name, None).await {
            // What is wrong with JSON is told with a part of it, which may be the secret.
            Ok(response) => match response.into_model() {
                Ok(secret) => Ok(secret.value),
                Err(_) => Err(format!("{name}: {UNREADABLE}")),
            },
            Err(error) => match Failure::of(&error, self.wire) {
                Failure::NoSuchSecret => Ok(None),
                failure => Err(failure.tell(name, self.identity)),
            },
        }
    }
}
