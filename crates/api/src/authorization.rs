//! Authorization: the scopes of each route, and the devices that it concerns.

use drawspan_bridge::subscriptions::Callback as _;
use drawspan_gateway::{CallbackUrl, DeviceGateway, Prefix, Standing};
use drawspan_hub::DeviceId;
use drawspan_settings::{Grant, Scope};
use std::borrow::Cow;

use axum::body::Body;
use axum::http::{Method, Request, Uri};
use percent_encoding::percent_decode_str;
use tokio::time::Instant;

use super::deadline::by;
use super::problem::{Kind, Problem};

/// The permissions that a route requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    /// One of these is enough.
    pub(super) scopes: &'static [Scope],
    /// The devices that it concerns.
    pub(super) reach: Reach,
}

/// The devices that a route concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The device in the path.
    Device,
    /// The devices whose ids begin with this parameter of the query; all devices without it.
    Query(&'static str),
    /// Its handler knows, and asks `limit_of`.
    Handler,
}

const SEND: &[Scope] = &[Scope::Send];
const READ: &[Scope] = &[Scope::Read];
const SEND_OR_READ: &[Scope] = &[Scope::Send, Scope::Read];
const MANAGE: &[Scope] = &[Scope::Manage];

use Reach::{Device, Handler, Query};

/// Every route that needs a key. Paths are canonical; `*` stands for any one segment.
#[rustfmt::skip] // a table
pub(super) const ROUTES: &[(&str, &str, &[Scope], Reach)] = &[
    ("POST",   "/devices/*/messages/events",                 SEND,         Device),
    ("POST",   "/messages/events",                           SEND,         Handler),
    ("GET",    "/devices/*/twin",                            SEND_OR_READ, Device),
    ("PATCH",  "/devices/*/twin/properties/reported",        SEND,         Device),
    ("POST",   "/devices/*/registration",                    SEND,         Device),
    ("GET",    "/devices/*/messages/devicebound",            SEND,         Device),
    ("POST",   "/devices/*/messages/devicebound/*/complete", SEND,         Device),
    ("POST",   "/devices/*/messages/devicebound/*/abandon",  SEND,         Device),
    ("POST",   "/devices/*/messages/devicebound/*/reject",   SEND,         Device),
    ("GET",    "/devices/*/connectionstatus",                READ,         Device),
    ("GET",    "/devices/*/diagnostics",                     READ,         Device),
    ("POST",   "/devices/*/resync",                          MANAGE,       Device),
    ("DELETE", "/devices/*",                                 MANAGE,       Device),
    ("GET",    "/devices/*/twin/properties/desired/sub",     READ,         Device),
    ("PUT",    "/devices/*/twin/properties/desired/sub",     MANAGE,       Device),
    ("DELETE", "/devices/*/twin/properties/desired/sub",     MANAGE,       Device),
    ("GET",    "/devices/*/methods/sub",                     READ,         Device),
    ("PUT",    "/devices/*/methods/sub",                     MANAGE,       Device),
    ("DELETE", "/devices/*/methods/sub",                     MANAGE,       Device),
    ("GET",    "/devices/*/devicebound/sub",                 READ,         Device),
    ("PUT",    "/devices/*/devicebound/sub",                 MANAGE,       Device),
    ("DELETE", "/devices/*/devicebound/sub",                 MANAGE,       Device),
    ("GET",    "/devices/*/connectionstatus/sub",            READ,         Device),
    ("PUT",    "/devices/*/connectionstatus/sub",            MANAGE,       Device),
    ("DELETE", "/devices/*/connectionstatus/sub",            MANAGE,       Device),
    ("GET",    "/devices",                                   READ,         Query("prefix")),
    ("GET",    "/usage",                                     READ,         Handler),
    ("GET",    "/connectionstatus/stream",                   READ,         Query("prefix")),
    ("GET",    "/subscriptions",                             READ,         Handler),
    ("GET",    "/subscriptions/*",                           READ,         Query("prefix")),
    ("PUT",    "/subscriptions/*",                           MANAGE,       Query("prefix")),
    ("DELETE", "/subscriptions/*",                           MANAGE,       Query("prefix")),
    ("GET",    "/deadletters",                               READ,         Handler),
    ("POST",   "/deadletters/*/replay",                      MANAGE,       Handler),
    ("DELETE", "/deadletters/*",                             MANAGE,       Handler),
];

/// The permissions that the route requires of a key; `None` if there is no such route. `path` is canonical.
pub(super) fn scope_of(method: &Method, path: &str) -> Option<Access> {
    // The router answers HEAD wherever there is GET.
    let method = match *method {
        Method::HEAD => "GET",
        ref method => method.as_str(),
    };
    let fits = |(of, pattern, ..): &&(&str, &str, _, _)| *of == method && matches(pattern, path);
    let (.., scopes, reach) = *ROUTES.iter().find(fits)?;
    Some(Access { scopes, reach })
}

/// Whether a key that allows this may make this request; its path is canonical.
pub(super) fn check(grant: &Grant, request: &Request<Body>) -> Result<(), Problem> {
    let uri = request.uri();
    let Some(access) = scope_of(request.method(), uri.path()) else {
        // 404 or 405, which the router knows.
        return Ok(());
    };
    if !grant.has_one_of(access.scopes) {
        let words: Vec<_> = access.scopes.iter().map(|scope| scope.as_str()).collect();
        let words = words.join(" or ");
        let detail = format!("This API key does not permit this; it needs the scope {words}.");
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let within = match access.reach {
        Device => grant.covers_all_of(&device_in(uri.path())),
        Query(name) => query_within(grant, name, uri),
        Handler => true,
    };
    match within {
        true => Ok(()),
        false => Err(outside(grant)),
    }
}

/// The part of a callback URL that a caller with this grant may see: all of it with the scope to change it, otherwise without its
/// query.
pub(super) fn shown<'a>(limit: Option<&Grant>, callback: &'a CallbackUrl) -> &'a str {
    match limit {
        Some(grant) if !grant.has_one_of(MANAGE) => callback.without_query(),
        _ => callback.as_str(),
    }
}

/// The prefix under which a list is searched: of those that the caller asks for and the key allows, the narrower one.
pub(super) fn narrowed(limit: Option<&Grant>, asked: Prefix) -> Result<Prefix, Problem> {
    match limit {
        Some(grant) if !grant.covers_all_of(asked.as_str()) => {
            match grant.prefix.as_str().starts_with(asked.as_str()) {
                true => Ok(grant.prefix.clone()),
                false => Err(outside(grant)),
            }
        }
        _ => Ok(asked),
    }
}

/// Whether the request may be about this device.
pub(super) fn check_device(limit: Option<&Grant>, device: &DeviceId) -> Result<(), Problem> {
    match limit {
        Some(grant) if !grant.covers(device) => Err(outside(grant)),
        _ => Ok(()),
    }
}

/// Whether a request may be about this device by its id at the hub, too. Its spelling was looked at before. `ask`: see
/// [`DeviceGateway::standing`].
pub(super) async fn check_standing<D: DeviceGateway>(
    devices: &D,
    grant: &Grant,
    device: &DeviceId,
    ask: bool,
    deadline: Instant,
) -> Result<(), Problem> {
    if !grant.is_for_some() {
        return Ok(());
    }
    let standing = devices.standing(device.clone(), grant.prefix.clone(), ask, deadline);
    match by(deadline, standing).await? {
        Standing::Within => Ok(()),
        Standing::Outside(assigned) => {
            let prefix = grant.prefix.as_str();
            let detail = format!(
                "This API key is for devices whose ids begin with {prefix}, and this device is {assigned} at DPS, which compares \
                 ids without case."
            );
            Err(Problem::new(Kind::Forbidden, detail))
        }
    }
}

/// Whether a request of a device's path reaches the device, or is for a subscription of it: DPS is asked who that is. The others
/// look at what is known here, or end something.
pub(super) fn reaches_device(method: &Method, path: &str) -> bool {
    let access = scope_of(method, path);
    *method == Method::PUT || access.is_some_and(|it| it.scopes.contains(&Scope::Send))
}

fn outside(grant: &Grant) -> Problem {
    let prefix = grant.prefix.as_str();
    let detail = format!("This API key is for devices whose ids begin with {prefix}.");
    Problem::new(Kind::Forbidden, detail)
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
}

/// The device's id as the router will decode it. What is no text is no id either, and begins as nothing does.
fn device_in(path: &str) -> Cow<'_, str> {
    let segment = path.split('/').nth(2).unwrap_or_default();
    percent_decode_str(segment).decode_utf8_lossy()
}

/// Strict, so that no other reading of the query reaches further: the parameter must be there as it is spelt, and however
/// else and however often it is there, it must lie within.
fn query_within(grant: &Grant, name: &str, uri: &Uri) -> bool {
    if !grant.is_for_some() {
        return true;
    }
    let mut named = false;
    for pair in uri.query().unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8_lossy();
        let same = percent_decode_str(key)
            .decode_utf8_lossy()
            .eq_ignore_ascii_case(name);
        if same && !grant.covers_all_of(&value) {
            return false;
        }
        named |= key == name;
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;
    use drawspan_settings::ApiKey;

    fn grant(scopes: &str, prefix: Option<&str>) -> Grant {
        let key = ApiKey::entry("k", Some(scopes), prefix, None);
        key.unwrap().grant
    }

    fn allowed(grant: &Grant, line: &str) -> bool {
        let (method, path) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path);
        check(grant, &request.body(Body::empty()).unwrap()).is_ok()
    }

    #[test]
    fn a_scope_opens_its_routes_and_no_others() {
        for (method, pattern, scopes, _) in ROUTES {
            let line = format!("{method} {}", pattern.replace('*', "x"));
            for scope in Scope::ALL {
                let found = allowed(&grant(scope.as_str(), None), &line);
                assert_eq!(found, scopes.contains(&scope), "{line} {scope}");
            }
            // Properties that the table cannot get wrong.
            let changes = !matches!(*method, "GET");
            assert!(!(changes && scopes.contains(&Scope::Read)), "{line}");
        }
        assert!(!allowed(&grant("send", None), "HEAD /devices"));
        assert!(allowed(&grant("read", None), "HEAD /devices"));
    }

    #[test]
    fn every_operation_that_needs_a_key_has_its_row_and_no_row_is_left_over() {
        let mut rows: Vec<_> = ROUTES
            .iter()
            .map(|(method, path, ..)| (*method, *path))
            .collect();
        for operation in Operation::ALL.iter().filter(|it| it.needs_key()) {
            let route = operation.route();
            let starred = |segment| match str::starts_with(segment, '{') {
                true => "*",
                false => segment,
            };
            let pattern = route.split('/').map(starred).collect::<Vec<_>>().join("/");
            let method = operation.method();
            let row = rows
                .iter()
                .position(|row| *row == (method.as_str(), pattern.as_str()));
            rows.remove(row.unwrap_or_else(|| panic!("{method} {pattern} has no row")));
        }
        assert!(rows.is_empty(), "{rows:?}");
    }

    #[test]
    fn what_is_no_route_is_left_to_the_router() {
        for line in [
            "GET /devices/x/unknown",
            "PUT /devices",
            "GET /devices//twin",
        ] {
            assert!(allowed(&grant("send", Some("a-")), line), "{line}");
        }
    }

    #[test]
    fn a_prefix_opens_its_devices_and_no_others() {
        let key = grant("read,send,manage", Some("a-"));
        let check =
            |line: &str, expected: bool| assert_eq!(allowed(&key, line), expected, "{line}");
        check("GET /devices/a-1/twin", true);
        check("GET /devices/a%2d1/twin", true);
        check("GET /devices/a-/twin", true);
        check("GET /devices/a/twin", false);
        check("GET /devices/A-1/twin", false);
        check("GET /devices/b-1/twin", false);
        check("GET /devices/%FFa-1/twin", false);
        check("DELETE /devices/b-1", false);
        check("GET /devices?prefix=a-", true);
        check("GET /devices?limit=5&prefix=a%2D1", true);
        check("GET /devices", false);
        check("GET /devices?prefix=", false);
        check("GET /devices?prefix=b-", false);
        check("GET /devices?Prefix=a-", false);
        check("GET /devices?%70refix=a-", false);
        check("GET /devices?prefix=a-&prefix=", false);
        check("GET /devices?prefix=a-&PREFIX=b", false);
        check("GET /devices?prefix=a-&%70refix=b", false);
        check("PUT /subscriptions/methods?prefix=a-", true);
        check("PUT /subscriptions/methods", false);
        check("POST /messages/events", true);
        let all = grant("read", None);
        assert!(allowed(&all, "GET /devices") && allowed(&all, "GET /deadletters"));
    }
}
