//! Permission to register.

use drawspan_hub::RegistrationId;
use drawspan_hub::sas::Token;

use super::Group;

/// The policy name in tokens for DPS, unless they have no policy.
const POLICY: &str = "registration";

/// Why a device may not. Holds nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The token is missing.
    #[error("the request has no token")]
    NoToken,
    /// The token cannot be taken apart.
    #[error("the token is not a shared access signature")]
    Malformed,
    /// The token is for something else.
    #[error("the token is for another registration")]
    OtherRegistration,
    /// The token names a policy that there is not.
    #[error("the token names a policy other than registration")]
    OtherPolicy,
    /// It expired, the tolerance for clocks included.
    #[error("the token has expired")]
    Expired,
    /// No group's derived key signed it. A group's own key counts for nothing.
    #[error("the token is signed with another key than the device's")]
    WrongKey,
}

/// Finds the group that a device belongs to by its token, at time `now_unix_s`.
///
/// # Errors
/// When the token proves nothing.
pub fn verify<'g>(
    token: Option<&str>,
    id_scope: &str,
    id: &RegistrationId,
    groups: &'g [Group],
    now_unix_s: u64,
) -> Result<&'g Group, Denied> {
    let token = Token::parse(token.ok_or(Denied::NoToken)?).map_err(|_| Denied::Malformed)?;
    if !token
        .readings()
        .any(|reading| is_for(reading, id_scope, id))
    {
        return Err(Denied::OtherRegistration);
    }
    if token.policy().is_some_and(|policy| policy != POLICY) {
        return Err(Denied::OtherPolicy);
    }
    let signed = |group: &&Group| {
        let (primary, secondary) = group.device_keys(id);
        token.signed_by(&primary) || token.signed_by(&secondary)
    };
    let group = groups.iter().find(signed).ok_or(Denied::WrongKey)?;
    if !token.is_current(now_unix_s) {
        return Err(Denied::Expired);
    }
    Ok(group)
}

/// Whether a token's resource is `{id_scope}/registrations/{id}`. The service compares names without case.
fn is_for(resource: &str, id_scope: &str, id: &RegistrationId) -> bool {
    let mut parts = resource.trim_matches('/').split('/');
    let expected = [id_scope, "registrations", id.as_str()];
    let all = expected.iter().all(|expected| {
        parts
            .next()
            .is_some_and(|part| part.eq_ignore_ascii_case(expected))
    });
    all && parts.next().is_none()
}
