//! Paths as the original takes them: literals in any case, and a slash at the end does not matter.

use std::borrow::Cow;

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

const DEVICES: &str = "devices";

/// Whether the path lies under `/devices`, where the API key is asked for.
#[must_use]
pub(super) fn needs_key(path: &str) -> bool {
    first_segment(path).eq_ignore_ascii_case(DEVICES)
}

/// The same path with literals in lower case and without a slash at the end; the device id stays as it is.
#[must_use]
pub(super) fn canonical(path: &str) -> Cow<'_, str> {
    let path = if path.len() > 1 {
        path.strip_suffix('/').unwrap_or(path)
    } else {
        path
    };
    let under_devices = needs_key(path);
    let mut segments = path.split('/').enumerate();
    // Segment 0 is empty, 1 is `devices`, 2 the device id.
    if !segments.any(|(at, text)| is_literal(at, under_devices) && has_upper_case(text)) {
        return Cow::Borrowed(path);
    }
    let lowered =
        path.split('/')
            .enumerate()
            .map(|(at, text)| match is_literal(at, under_devices) {
                true => text.to_ascii_lowercase(),
                false => text.to_owned(),
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

fn is_literal(at: usize, under_devices: bool) -> bool {
    !under_devices || at != 2
}

fn has_upper_case(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
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
        check("/HEALTH", "/health");
        check("/health/", "/health");
        check("/", "/");
        check("http://host:80/Devices/X", "http://host:80/devices/X");
    }

    #[test]
    fn the_key_is_asked_for_under_devices_only() {
        for path in [
            "/devices",
            "/Devices/x",
            "//devices/x",
            "/devices/x/unknown",
        ] {
            assert!(needs_key(path), "{path}");
        }
        for path in ["/", "/health", "/device", "/devicesx/y", "/a/devices"] {
            assert!(!needs_key(path), "{path}");
        }
    }
}
