//! As whom the vault is asked.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientOptions, Url};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use crate::environment::Environment;
use crate::limits::MAX_SECRET_FILE_BYTES;
use crate::read_text;

const TENANT: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const ENDPOINT: &str = "IDENTITY_ENDPOINT";
const HEADER: &str = "IDENTITY_HEADER";
/// Where virtual machines and container groups get their identity.
const MACHINE: &str = "http://169.254.169.254/";

/// Who asks. The variables are those of all of Azure's clients, in the order in which those look at them.
pub(super) enum Identity {
    /// An application, by its secret.
    Application {
        tenant: String,
        client: String,
        secret: Secret,
    },
    /// A pod, by the token that its cluster gives it.
    Workload {
        tenant: String,
        client: String,
        file: PathBuf,
    },
    /// What it runs on; a user-assigned identity by its client id.
    Managed {
        endpoint: Url,
        by_variable: bool,
        client: Option<String>,
    },
}

impl Identity {
    /// Whoever the variables speak of; without any, the machine.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong.
    pub(super) fn choose(environment: &Environment) -> Result<Self, String> {
        let get = |name| environment.get(name).map(str::to_owned);
        let application = |for_whom: &str| {
            let pair = (get(TENANT), get(CLIENT));
            let (Some(tenant), Some(client)) = pair else {
                return Err(format!("{for_whom} needs {TENANT} and {CLIENT} as well"));
            };
            let is_id = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
            match tenant.chars().all(is_id) {
                true => Ok((tenant, client)),
                // Not itself: where two were mixed up, it is the secret.
                false => Err(format!("{TENANT} is not the id of a tenant")),
            }
        };
        if let Some(secret) = get(SECRET) {
            let (tenant, client) = application(SECRET)?;
            let secret = Secret::new(secret);
            return Ok(Self::Application {
                tenant,
                client,
                secret,
            });
        }
        if let Some(file) = get(TOKEN_FILE) {
            let (tenant, client) = application(TOKEN_FILE)?;
            let file = PathBuf::from(file);
            return Ok(Self::Workload {
                tenant,
                client,
                file,
            });
        }
        // Container groups have the header alone, and their identity as machines have.
        let endpoint = get(HEADER).and(get(ENDPOINT));
        let by_variable = endpoint.is_some();
        let endpoint = Url::parse(endpoint.as_deref().unwrap_or(MACHINE));
        Ok(Self::Managed {
            endpoint: endpoint.map_err(|_| format!("{ENDPOINT} is not a URL"))?,
            by_variable,
            client: get(CLIENT),
        })
    }

    /// Where it gets its token, if that is on or next to this machine: the one address that may be asked without TLS.
    pub(super) fn endpoint(&self) -> Option<&Url> {
        match self {
            Self::Managed { endpoint, .. } => Some(endpoint),
            Self::Application { .. } | Self::Workload { .. } => None,
        }
    }

    /// What gives tokens in its name.
    ///
    /// # Errors
    /// One line, without a secret.
    pub(super) fn credential(
        &self,
        client_options: ClientOptions,
    ) -> Result<Arc<dyn TokenCredential>, String> {
        let made: azure_core::Result<Arc<dyn TokenCredential>> = match self {
            Self::Application {
                tenant,
                client,
                secret,
            } => {
                let options = ClientSecretCredentialOptions { client_options };
                let (client, secret) = (client.clone(), secret.clone());
                ClientSecretCredential::new(tenant, client, secret, Some(options)).map(|c| c as _)
            }
            Self::Workload {
                tenant,
                client,
                file,
            } => {
                let text = read_text(file, MAX_SECRET_FILE_BYTES);
                text.map_err(|error| format!("{TOKEN_FILE}: {error}"))?;
                let options = WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id: Some(client.clone()),
                    tenant_id: Some(tenant.clone()),
                    token_file_path: Some(file.clone()),
                };
                WorkloadIdentityCredential::new(Some(options)).map(|c| c as _)
            }
            // It looks for the variables of its endpoint itself.
            Self::Managed { client, .. } => {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: client.clone().map(UserAssignedId::ClientId),
                    client_options,
                };
                ManagedIdentityCredential::new(Some(options)).map(|c| c as _)
            }
        };
        made.map_err(|_| match self {
            Self::Application { .. } | Self::Workload { .. } => {
                "AZURE_AUTHORITY_HOST is not an https address".to_owned()
            }
            Self::Managed { .. } => format!("{self} is of a kind that is not known"),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application { .. } => write!(f, "the application of {CLIENT} with {SECRET}"),
            Self::Workload { .. } => write!(f, "the workload identity of {TOKEN_FILE}"),
            Self::Managed {
                by_variable,
                client,
                ..
            } => {
                let kind = match client {
                    Some(_) => "the managed identity of AZURE_CLIENT_ID",
                    None => "the managed identity",
                };
                match by_variable {
                    true => write!(f, "{kind} at {ENDPOINT}"),
                    false => write!(f, "{kind} of this machine"),
                }
            }
        }
    }
}
