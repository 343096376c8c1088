//! Paths as the original accepts them: literals in any case, with or without a trailing slash.

use std::borrow::Cow;

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

const DEVICES: &str = "devices";

/// First segments under which the API key is asked for.
const PROTECTED: [&str; 6] = [
    DEVICES,
    "messages",
    "subscriptions",
    "deadletters",
    "connectionstatus",
    "usage",
];

/// Whether the path lies where the API key is asked for.
#[must_use]
pub(super) fn needs_key(path: &str) -> bool {
    let first = first_segment(path);
    PROTECTED
        .iter()
        .any(|known| first.eq_ignore_ascii_case(known))
}

/// The same path with literals in lower case and without a slash at the end; device ids and lock tokens stay as they are.
#[must_use]
pub(super) fn canonical(path: &str) -> Cow<'_, str> {
    let path = if path.len() > 1 {
        path.strip_suffix('/').unwrap_or(path)
    } else {
        path
    };
    if !path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Borrowed(path);
    }
    let under_devices = first_segment(path).eq_ignore_ascii_case(DEVICES);
    let mut before = "";
    let lowered = path.split('/').enumerate().map(|(at, text)| {
        // Segment 0 is empty, 1 is `devices`, 2 the device id, and 5 the lock token after `messages/deviceBound`.
        let is_name = match at {
            2 => true,
            5 => before.eq_ignore_ascii_case("devicebound"),
            _ => false,
        };
        before = text;
        match is_name && under_devices {
            true => text.to_owned(),
            false => text.to_ascii_lowercase(),
        }
    });
    Cow::Owned(lowered.collect::<Vec<_>>().join("/"))
}

/// Makes the path of `uri` canonical; the query is kept.
pub(super) fn make_canonical(uri: &mut Uri) {
    let path = canonical(uri.path());
    if path.len() == uri.path().len() && matches!(path, Cow::Borrowed(_)) {
        return;
    }
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = PathAndQuery::try_from(text).ok();
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

fn first_segment(path: &str) -> &str {
    path.trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, expected: &str) {
        let mut uri: Uri = given.parse().unwrap();
        make_canonical(&mut uri);
        assert_eq!(uri.to_string(), expected, "{given}");
    }

    #[test]
    fn literals_lose_their_case_and_ids_keep_it() {
        check(
            "/devices/A-b/messages/events",
            "/devices/A-b/messages/events",
        );
        check(
            "/Devices/A-b/Messages/EVENTS",
            "/devices/A-b/messages/events",
        );
        check(
            "/devices/A-b/Messages/events/?x=Y",
            "/devices/A-b/messages/events?x=Y",
        );
        check(
            "/devices/A%2Fb/messages/events",
            "/devices/A%2Fb/messages/events",
        );
        check(
            "/Devices/A/Messages/DeviceBound/To-Ken/Complete?X=Y",
            "/devices/A/messages/devicebound/To-Ken/complete?X=Y",
        );
        check(
            "/Devices/A/Twin/Properties/Desired/Sub",
            "/devices/A/twin/properties/desired/sub",
        );
        check("/devices/A/DeviceBound/Sub", "/devices/A/devicebound/sub");
        check("/Messages/Events/", "/messages/events");
        check(
            "/Subscriptions/C2DMessages?prefix=A",
            "/subscriptions/c2dmessages?prefix=A",
        );
        check("/DeadLetters/7/Replay", "/deadletters/7/replay");
        check("/HEALTH", "/health");
        check("/health/", "/health");
        check("/", "/");
        check("http://host:80/Devices/X", "http://host:80/devices/X");
    }

    #[test]
    fn the_key_is_asked_for_where_devices_are_reached() {
        for path in [
            "/messages/events",
            "/Messages",
            "/SUBSCRIPTIONS",
            "/subscriptions/x",
            "/deadLetters/7",
            "/usage",
            "/devices",
            "/Devices/x",
            "//devices/x",
            "/devices/x/unknown",
        ] {
            assert!(needs_key(path), "{path}");
        }
        for path in [
            "/",
            "/health",
            "/device",
            "/devicesx/y",
            "/message",
            "/docs",
            "/a/devices",
        ] {
            assert!(!needs_key(path), "{path}");
        }
    }
}
