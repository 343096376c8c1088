//! Whom a CONNECT is for, as its user name says.

use percent_encoding::percent_decode_str;

/// What a user name says to a hub: `HOST/DEVICE[/MODULE][/?api-version=…&…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUser<'u> {
    /// The hub.
    pub host: &'u str,
    /// The device.
    pub device: &'u str,
    /// Its module, if the client is one.
    pub module: Option<&'u str>,
    /// The id of the model that the device follows, if it says.
    pub model_id: Option<String>,
}

/// What a user name says to DPS: `SCOPE/registrations/ID[/api-version=…&…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpsUser<'u> {
    /// The id scope.
    pub id_scope: &'u str,
    /// The registration.
    pub registration: &'u str,
    /// The API version, if the client names one.
    pub api_version: Option<String>,
}

/// Reads a user name as a hub does.
#[must_use]
pub fn of_hub(user_name: &str) -> Option<HubUser<'_>> {
    let mut segments: Vec<_> = user_name.split('/').collect();
    // Legacy clients leave the question mark out, and begin with another parameter. No id has an ampersand.
    let is_bare = |last: &str| last.starts_with("api-version=") || last.contains("&api-version=");
    let query = segments.last().copied().and_then(|last| {
        let query = last.strip_prefix('?');
        query.or_else(|| is_bare(last).then_some(last))
    });
    if query.is_some() {
        segments.pop();
    }
    let (host, device, module) = match segments[..] {
        [host, device] => (host, device, None),
        [host, device, module] => (host, device, Some(module)),
        _ => return None,
    };
    (!host.is_empty() && !device.is_empty()).then(|| HubUser {
        host,
        device,
        module,
        model_id: query.and_then(|query| parameter(query, "model-id")),
    })
}

/// Reads a user name as DPS does.
#[must_use]
pub fn of_dps(user_name: &str) -> Option<DpsUser<'_>> {
    let (id_scope, rest) = user_name.split_once("/registrations/")?;
    let (registration, query) = rest.split_once('/').unwrap_or((rest, ""));
    let query = query.strip_prefix('?').unwrap_or(query);
    let is_whole = !id_scope.is_empty() && !id_scope.contains('/') && !registration.is_empty();
    is_whole.then(|| DpsUser {
        id_scope,
        registration,
        api_version: parameter(query, "api-version"),
    })
}

/// The first parameter of that name.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(of, _)| *of == name)?;
    let value = percent_decode_str(value).decode_utf8().ok()?;
    Some(value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_of_all_official_clients_are_read() {
        let user = |device, module, model_id: Option<&str>| HubUser {
            host: "h.net",
            device,
            module,
            model_id: model_id.map(str::to_owned),
        };
        let check = |name, expected| assert_eq!(of_hub(name), expected, "{name}");
        check(
            "h.net/d/?api-version=2020-09-30&DeviceClientType=x%2Fy&model-id=dtmi%3Aa%3Bb%3B1",
            Some(user("d", None, Some("dtmi:a;b;1"))),
        );
        check(
            "h.net/d/api-version=2016-11-14",
            Some(user("d", None, None)),
        );
        check(
            "h.net/d/DeviceClientType=azure-iot-device%2F1.3.2&api-version=2018-01-16",
            Some(user("d", None, None)),
        );
        check("h.net/d", Some(user("d", None, None)));
        check("h.net/d/m/?api-version=1", Some(user("d", Some("m"), None)));
        check("h.net/a%b/?api-version=1", Some(user("a%b", None, None)));
        for wrong in ["h.net", "", "h.net//?api-version=1", "h/a/b/c"] {
            check(wrong, None);
        }
    }

    #[test]
    fn dps_is_told_scope_and_registration() {
        for (name, api_version) in [
            (
                "0ne1/registrations/d-1/api-version=2019-03-31&ClientVersion=x",
                Some("2019-03-31"),
            ),
            ("0ne1/registrations/d-1/?api-version=x", Some("x")),
            ("0ne1/registrations/d-1", None),
        ] {
            let user = DpsUser {
                id_scope: "0ne1",
                registration: "d-1",
                api_version: api_version.map(str::to_owned),
            };
            assert_eq!(of_dps(name), Some(user), "{name}");
        }
        assert_eq!(of_dps("h.net/d/?api-version=1"), None);
    }
}
