//! What went wrong, in one line. Nothing that came over the network is in it but a status and codes.

use azure_core::Error;
use azure_core::error::ErrorKind;
use serde_json::Value;

use super::identity::Identity;
use super::wire::Wire;

pub(super) const UNREADABLE: &str = "the answer of the vault cannot be read";
/// Longest code that is shown.
const MAX_CODE_CHARS: usize = 64;

/// Why there is no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is none.
    NoSuchSecret,
    /// Nobody said who we are.
    NoToken(NoToken),
    /// The vault answers with another status.
    Refused { status: u16, code: Option<String> },
    /// It does not answer as a vault does, or not at all.
    Unheard(String),
}

/// Why there is no token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoToken {
    /// Refused, with Entra's code where there is one.
    Refused {
        status: u16,
        code: Option<String>,
    },
    Unheard(String),
}

impl Failure {
    /// What happened on the wire says it: the client's own words may hold what came.
    pub(super) fn of(error: &Error, wire: &Wire) -> Self {
        let refused = wire.refusal().map(|(status, body)| (status, code(&body)));
        let of_token = matches!(error.kind(), ErrorKind::Credential);
        match (of_token, refused, wire.trouble()) {
            (true, Some((status, code)), _) => Self::NoToken(NoToken::Refused { status, code }),
            (true, None, Some(why)) => Self::NoToken(NoToken::Unheard(why)),
            (true, None, None) => {
                let why = format!("the answer of {} cannot be read", wire.host());
                Self::NoToken(NoToken::Unheard(why))
            }
            (false, _, Some(why)) => Self::Unheard(why),
            (false, Some((404, Some(code))), None) if code == "SecretNotFound" => {
                Self::NoSuchSecret
            }
            (false, Some((status, code)), None)
                if matches!(error.kind(), ErrorKind::HttpResponse { .. }) =>
            {
                Self::Refused { status, code }
            }
            // It asked for a token, and its client would not send one.
            (false, _, None) => Self::Unheard(
                "it does not ask for a token as a key vault of that name does".to_owned(),
            ),
        }
    }

    /// For people. `name` is the secret that was asked for.
    pub(super) fn tell(&self, name: &str, identity: &Identity) -> String {
        match self {
            Self::NoSuchSecret => format!("{name} is not there"),
            Self::NoToken(why) => format!("{identity} got no token: {}", why.tell(identity)),
            Self::Unheard(why) => why.clone(),
            Self::Refused { status, code } => {
                let shown = shown(*status, code.as_deref());
                match (status, code.as_deref()) {
                    (401, _) => format!(
                        "the vault does not know {identity} ({shown}): is it of the vault's tenant?"
                    ),
                    (403, Some("SecretDisabled")) => {
                        format!("the secret {name} is disabled ({shown})")
                    }
                    (403, Some("ForbiddenByFirewall" | "ForbiddenByConnection")) => {
                        format!("the vault's firewall does not let this machine in ({shown})")
                    }
                    (403, _) => format!(
                        "{identity} may not read secrets ({shown}): give it the role `Key Vault Secrets User`, or `Get` for \
                         secrets in the vault's access policies"
                    ),
                    (300..=399, _) => format!(
                        "the vault answers with a redirect ({shown}), which is not followed"
                    ),
                    _ => format!("the vault does not give {name} ({shown})"),
                }
            }
        }
    }
}

impl NoToken {
    fn tell(&self, identity: &Identity) -> String {
        let (status, code) = match self {
            Self::Unheard(why) => return why.clone(),
            Self::Refused { status, code } => (*status, code.as_deref()),
        };
        let why = match (identity, code) {
            (_, Some("7000215" | "7000222")) => "the secret is wrong or has expired",
            (_, Some("700016")) => "there is no such application in that tenant",
            (_, Some("90002")) => "there is no such tenant",
            (_, Some("70021" | "700211" | "700212" | "700213")) => {
                "the application has no federated credential for this token"
            }
            (Identity::Managed { .. }, None) if status == 400 => {
                "it is not assigned to this machine"
            }
            _ => "refused",
        };
        let is_number = |code: &&str| code.bytes().all(|byte| byte.is_ascii_digit());
        let code = code.filter(is_number).map(|code| format!("AADSTS{code}"));
        format!("{why} ({})", shown(status, code.as_deref()))
    }
}

/// What a refusal says of itself: the innermost code of Key Vault's errors, or the first of Entra's.
fn code(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = &body["error"];
    let codes = [&error["innererror"]["code"], &error["code"]];
    let code = codes.into_iter().find_map(Value::as_str);
    let code = code.map(str::to_owned);
    code.or_else(|| Some(body["error_codes"][0].as_u64()?.to_string()))
        .filter(|code| is_plain(code))
}

/// Whether it is a code and nothing but that.
fn is_plain(code: &str) -> bool {
    code.len() <= MAX_CODE_CHARS && code.chars().all(|c| c.is_ascii_alphanumeric())
}

fn shown(status: u16, code: Option<&str>) -> String {
    match code {
        Some(code) => format!("{status}, {code}"),
        None => status.to_string(),
    }
}
