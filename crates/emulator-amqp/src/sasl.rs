//! SASL: MSSBCBS and ANONYMOUS carry no credentials (a token follows through CBS), PLAIN carries a token, for a hub or for DPS.

use drawspan_amqp::value::Symbol;
use drawspan_hub::HostName;

const MSSBCBS: Symbol = Symbol::from_static("MSSBCBS");
const ANONYMOUS: Symbol = Symbol::from_static("ANONYMOUS");
const PLAIN: Symbol = Symbol::from_static("PLAIN");

/// The offered mechanisms, in the order in which clients should prefer them.
pub(super) fn mechanisms() -> Vec<Symbol> {
    vec![MSSBCBS, ANONYMOUS, PLAIN]
}

/// Whether a mechanism brings a token.
pub(super) fn is_plain(mechanism: &Symbol) -> bool {
    *mechanism == PLAIN
}

/// User name and token of a PLAIN response: `[authzid] NUL authcid NUL password` (RFC 4616).
pub(super) fn plain(response: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(response).ok()?;
    let mut parts = text.split('\0');
    let (_, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some((user, password))
}

/// Id scope and registration of a user that comes to DPS: `{id scope}/registrations/{registration id}`.
pub(super) fn registration(user: &str) -> Option<(&str, &str)> {
    let (id_scope, id) = user.split_once("/registrations/")?;
    (!id_scope.contains('/') && !id.contains('/')).then_some((id_scope, id))
}

/// Why a user name is invalid at `host`: a hub, or `None` if there is no hub of the client's name.
pub(super) fn refusal_of(user: &str, host: Option<&HostName>) -> Option<&'static str> {
    match host {
        None => Some("there is no hub of this name"),
        Some(host) if is_for(user, host) => None,
        Some(_) => Some("the user is not POLICY@sas.root.HUB or DEVICE@sas.HUB"),
    }
}

/// Whether a user name is for this hub: `{policy}@sas.root.{hub}` or `{device}@sas.{hub}`.
fn is_for(user: &str, host: &HostName) -> bool {
    let Some((_, realm)) = user.rsplit_once("@sas.") else {
        return false;
    };
    let hub = realm.strip_prefix("root.").unwrap_or(realm);
    hub.eq_ignore_ascii_case(host.hub_name()) || hub.eq_ignore_ascii_case(host.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_has_three_parts() {
        assert_eq!(plain(b"\0user\0token"), Some(("user", "token")));
        assert_eq!(plain(b"other\0user\0token"), Some(("user", "token")));
        for bad in [
            &b""[..],
            b"user",
            b"\0user",
            b"\0user\0token\0more",
            b"\0\xff\0token",
        ] {
            assert_eq!(plain(bad), None);
        }
    }

    #[test]
    fn users_belong_to_one_hub() {
        let host = HostName::parse("hub.localtest").unwrap();
        for user in [
            "iothubowner@sas.root.hub",
            "a@b@sas.HUB",
            "x@sas.root.hub.localtest",
        ] {
            assert!(is_for(user, &host), "{user}");
        }
        for user in ["iothubowner", "x@sas.root.other", "x@root.hub"] {
            assert!(!is_for(user, &host), "{user}");
        }
        let check = |user: &str, host: Option<&HostName>, expected: &str| {
            let reason = refusal_of(user, host).unwrap_or("none");
            assert!(reason.contains(expected), "{user}: {reason}");
        };
        check("a@sas.hub", Some(&host), "none");
        check("a@sas.hub", None, "no hub of this name");
        check("a", Some(&host), "DEVICE@sas.HUB");
    }

    #[test]
    fn users_of_dps_name_scope_and_registration() {
        assert_eq!(
            registration("0ne1/registrations/a:b"),
            Some(("0ne1", "a:b"))
        );
        for user in [
            "0ne1/registrations/a/b",
            "a/0ne1/registrations/b",
            "a@sas.hub",
        ] {
            assert_eq!(registration(user), None, "{user}");
        }
    }
}
