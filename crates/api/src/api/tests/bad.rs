//! Invalid requests, for all routes.

use super::paths::*;
use super::*;

/// Method, path, a valid body (if the route takes one), the methods that the route allows.
#[rustfmt::skip] // a table
const ROUTES: &[(&str, &str, &str, &str)] = &[
    ("POST",   EVENTS,       GOOD,              "POST"),
    ("GET",    TWIN,         "",                "GET,HEAD"),
    ("PATCH",  REPORTED,     r#"{"patch":{}}"#, "PATCH"),
    ("POST",   REGISTRATION, "{}",              "POST"),
    ("GET",    STATUS,       "",                "GET,HEAD"),
    ("POST",   RESYNC,       "",                "POST"),
    ("GET",    DIAGNOSTICS,  "",                "GET,HEAD"),
    ("DELETE", DEVICE,       "",                "DELETE"),
    ("GET",    DESIRED_SUB,  "",                SUB_METHODS),
    ("PUT",    DESIRED_SUB,  SUB,               SUB_METHODS),
    ("DELETE", DESIRED_SUB,  "",                SUB_METHODS),
    ("GET",    METHODS_SUB,  "",                SUB_METHODS),
    ("PUT",    METHODS_SUB,  SUB,               SUB_METHODS),
    ("DELETE", METHODS_SUB,  "",                SUB_METHODS),
    ("GET",    C2D_SUB,      "",                SUB_METHODS),
    ("PUT",    C2D_SUB,      SUB,               SUB_METHODS),
    ("DELETE", C2D_SUB,      "",                SUB_METHODS),
    ("GET",    STATUS_SUB,   "",                SUB_METHODS),
    ("PUT",    STATUS_SUB,   SUB,               SUB_METHODS),
    ("DELETE", STATUS_SUB,   "",                SUB_METHODS),
    ("GET",    RECEIVE,      "",                "GET,HEAD"),
    ("POST",   COMPLETE,     "",                "POST"),
    ("POST",   ABANDON,      "",                "POST"),
    ("POST",   REJECT,       "",                "POST"),
    ("GET",    LIST,         "",                "GET,HEAD"),
    ("GET",    FLEET,        "",                "GET,HEAD"),
    ("GET",    FLEET_SUB,    "",                SUB_METHODS),
    ("PUT",    FLEET_SUB,    SUB,               SUB_METHODS),
    ("DELETE", FLEET_SUB,    "",                SUB_METHODS),
    ("GET",    LETTERS,      "",                "GET,HEAD"),
    ("DELETE", LETTER,       "",                "DELETE"),
    ("POST",   REPLAY,       "",                "POST"),
];

/// Those of one device.
fn of_a_device()
-> impl Iterator<Item = &'static (&'static str, &'static str, &'static str, &'static str)> {
    ROUTES.iter().filter(|(_, path, ..)| path.contains("dev-1"))
}

/// Those that take a body.
fn with_body() -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)> {
    let routes = ROUTES.iter().copied();
    routes.filter(|(_, _, body, _)| !body.is_empty())
}

/// Bodies that subscribe to nothing.
const BAD_SUBSCRIPTIONS: &[&str] = &[
    "{}",
    r#"{"callbackUrl":null}"#,
    r#"{"callbackUrl":""}"#,
    r#"{"callbackUrl":7}"#,
    r#"{"callbackUrl":["https://a.b"]}"#,
    r#"{"callbackUrl":"a.b"}"#,
    r#"{"callbackUrl":"/events"}"#,
    r#"{"callbackUrl":"ftp://a.b"}"#,
    r#"{"callbackUrl":"https://me:key@a.b"}"#,
    r#"{"callbackUrl":"https://a.b/ "}"#,
    r#"{"callbackUrl":"https://a.b","callbackURL":null}"#,
    r#"{"url":"https://a.b"}"#,
    r#"{"callbackUrl":"https://a.b"} x"#,
];

#[tokio::test]
async fn every_route_asks_for_the_key_first() {
    for (_, path, _, _) in ROUTES.iter().copied() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            for key in [None, Some("wrong")] {
                check_bad(ask(method, path, key, "{"), 401, "unauthorized").await;
            }
        }
    }
}

#[tokio::test]
async fn every_route_refuses_ids_that_are_none() {
    for (method, path, body, _) in of_a_device().copied() {
        for bad in ["", "a%20b", "a%2Fb", "%C3%A4", "%FF", &"x".repeat(129)] {
            if bad.is_empty() && path == DEVICE {
                // The path of no device.
                continue;
            }
            let path = path.replace("dev-1", bad);
            check_bad(with_key(method, &path, body), 400, "invalid-device-id").await;
        }
    }
    let nobody = with_key("DELETE", "/devices/", "");
    check_bad(nobody, 405, "method-not-allowed").await;
}

#[tokio::test]
async fn what_is_no_text_in_path_or_query_is_refused_and_named() {
    let check = async |method: &str, path: &str, kind: &str, words: &str| {
        check_bad(with_key(method, path, ""), 400, kind).await;
        let answer = bench(Ok(())).ask(with_key(method, path, "")).await;
        let problem = answer.problem();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{path}: {detail}");
    };
    for (method, path, ..) in ROUTES.iter().copied() {
        for (query, name) in [
            ("prefix=%FF", "`prefix`"),
            ("a=b&Other=%C3", "`Other`"),
            ("prefix=%zz", "`prefix`"),
            ("prefix=%4", "`prefix`"),
        ] {
            let path = format!("{path}?{query}");
            check(method, &path, "invalid-query", name).await;
        }
    }
    let path = "/devices?%FF=1";
    check("GET", path, "invalid-query", "names of query parameters").await;
    for path in [COMPLETE, ABANDON, REJECT] {
        let path = path.replace("T-1", "%FF");
        check("POST", &path, "invalid-path", "lock token").await;
        let path = path.replace("dev-1", "%FE");
        check("POST", &path, "invalid-device-id", "device id").await;
    }
    let path = "/Subscriptions/%FF";
    check("PUT", path, "invalid-path", "kind of subscription").await;
    let path = "/deadLetters/%FF/replay";
    check("POST", path, "invalid-path", "number of the dead letter").await;
    check("GET", "/devices/dev-1/%FF", "invalid-path", "The path").await;
    let path = TWIN.replace("dev-1", "dev%zz");
    check("GET", &path, "invalid-device-id", "device id").await;
    // Of several bytes a letter, here and there.
    let bench = bench(Ok(()));
    let path = format!("{TWIN}?%C3%A4=%E2%82%AC");
    let answer = bench.ask(with_key("GET", &path, "")).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn every_route_names_the_methods_that_it_takes() {
    for (_, path, body, allowed) in ROUTES.iter().copied() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            if allowed.split(',').any(|known| known == method) {
                continue;
            }
            check_bad(with_key(method, path, body), 405, "method-not-allowed").await;
            let answer = bench(Ok(())).ask(with_key(method, path, body)).await;
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn paths_beside_the_routes_are_404() {
    for path in [
        "/devices/dev-1/twin/properties",
        "/devices/dev-1/twin/properties/desired",
        "/devices/dev-1/twin/properties/reported/more",
        "/devices/dev-1/twin//properties/reported",
        "/devices/dev-1/connection-status",
        "/devices/dev-1/messages",
        "/devices/a/b/twin",
    ] {
        check_bad(with_key("GET", path, ""), 404, "not-found").await;
    }
}

#[tokio::test]
async fn routes_with_a_body_refuse_what_is_not_theirs() {
    let bad_for = |path: &str| -> &[&'static str] {
        match path {
            REPORTED => &[
                "{}",
                r#"{"patch":null}"#,
                r#"{"patch":[]}"#,
                r#"{"patch":"{}"}"#,
                r#"{"patch":1}"#,
                r#"{"patch":{}} x"#,
                r#"{"patch":{"a":}}"#,
                r#"{"patch":{},"patch":1}"#,
            ],
            REGISTRATION => &[
                r#"{"modelId":1}"#,
                r#"{"modelId":{}}"#,
                r#"{"modelId":"x"}"#,
                r#"{"modelId":"dtmi:a-b;1"}"#,
                r#"{"modelId":"\ud800"}"#,
            ],
            EVENTS => &["{}", r#"{"data":[]}"#],
            _ => BAD_SUBSCRIPTIONS,
        }
    };
    for (method, path, body, _) in with_body() {
        let everywhere = [" ", "null", "[]", "\"a\"", "1", "{", "{]"];
        // Where the body is optional, an empty one counts as absent.
        let empty = (path != REGISTRATION).then_some(&"");
        for bad in everywhere.iter().chain(bad_for(path)).chain(empty) {
            check_bad(with_key(method, path, bad), 400, "invalid-body").await;
        }
        for content_type in [
            None,
            Some("text/plain"),
            Some("application/json; charset=iso-8859-1"),
        ] {
            let request = request(method, path).header("x-api-key", KEY);
            let request = content_type.into_iter().fold(request, |request, value| {
                request.header("content-type", value)
            });
            check_bad(
                request.body(body.into()).unwrap(),
                415,
                "unsupported-media-type",
            )
            .await;
        }
        for (packed, how) in [
            ("content-encoding", "gzip"),
            ("transfer-encoding", "gzip, chunked"),
        ] {
            let packed = request(method, path)
                .header("x-api-key", KEY)
                .header("content-type", "application/json")
                .header(packed, how);
            check_bad(
                packed.body(body.into()).unwrap(),
                415,
                "unsupported-media-type",
            )
            .await;
        }
        for encoded in ["application/json; charset=utf-16", "text/json"] {
            let utf16 = [0xfeff].into_iter().chain(body.encode_utf16());
            let utf16: Vec<u8> = utf16.flat_map(u16::to_le_bytes).collect();
            check_good(method, path, encoded, utf16).await;
        }
        for encoded in ["application/json", "text/json; charset=\"UTF-8\""] {
            let marked = format!("\u{feff}{body}").into_bytes();
            check_good(method, path, encoded, marked).await;
        }
        let utf16 = "application/json; charset=utf-16";
        let odd = request(method, path)
            .header("x-api-key", KEY)
            .header("content-type", utf16);
        check_bad(odd.body("{} ".into()).unwrap(), 400, "invalid-body").await;
        let large = Pieces::of([[b' '; 10_000].as_slice(); 100]);
        let large = request(method, path)
            .header("x-api-key", KEY)
            .header("content-type", "application/json")
            .body(large);
        check_bad(large.unwrap(), 413, "too-large").await;
    }
}

async fn check_good(method: &str, path: &str, content_type: &str, body: Vec<u8>) {
    let bench = bench(Ok(()));
    let request = request(method, path)
        .header("x-api-key", KEY)
        .header("content-type", content_type)
        .body(body.into());
    let answer = bench.ask(request.unwrap()).await;
    assert!(answer.status.is_success(), "{method} {path} {content_type}");
    assert!(!bench.untouched(), "{method} {path} {content_type}");
}

#[tokio::test]
async fn a_body_that_is_empty_needs_no_content_type() {
    const FORM: &str = "application/x-www-form-urlencoded";
    for (method, path, _, _) in with_body() {
        for content_type in [None, Some(FORM), Some("application/json; charset=x")] {
            for empty in [Body::empty(), Pieces::of([]), Pieces::of([&b""[..]; 3])] {
                let request = request(method, path).header("x-api-key", KEY);
                let request = content_type.into_iter().fold(request, |request, value| {
                    request.header("content-type", value)
                });
                let request = request.body(empty).unwrap();
                match path {
                    REGISTRATION => {
                        let bench = bench(Ok(()));
                        assert_eq!(bench.ask(request).await.status, StatusCode::OK);
                    }
                    _ => check_bad(request, 400, "invalid-body").await,
                }
            }
        }
    }
    let form = request("POST", REGISTRATION)
        .header("x-api-key", KEY)
        .header("content-type", FORM);
    let form = form.body(Pieces::of([&b"a=1"[..]])).unwrap();
    check_bad(form, 415, "unsupported-media-type").await;
}

#[tokio::test(start_paused = true)]
async fn bodies_that_never_end_are_given_up() {
    for (method, path, _, _) in with_body() {
        let endless = request(method, path)
            .header("x-api-key", KEY)
            .header("content-type", "application/json")
            .body(Body::new(Pieces(None)));
        check_bad(endless.unwrap(), 408, "body-timeout").await;
    }
}

#[tokio::test]
async fn a_body_where_none_is_taken_does_not_matter() {
    for (method, path, _, _) in ROUTES
        .iter()
        .copied()
        .filter(|(_, _, body, _)| body.is_empty())
    {
        let bench = bench(Ok(()));
        let plain = request(method, path).header("x-api-key", KEY);
        bench.ask(plain.body("not json".into()).unwrap()).await;
        assert!(!bench.untouched(), "{method} {path}");
    }
}

#[tokio::test]
async fn what_the_devices_cannot_do_is_told_by_every_route() {
    for (method, path, body, _) in ROUTES.iter().copied() {
        let bench = bench(Err(DeviceError::QueueFull { retry_after_s: 3 }));
        let answer = bench.ask(with_key(method, path, body)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.header("retry-after"), Some("3"), "{path}");
        assert_eq!(answer.problem()["type"], "urn:drawspan:problem:queue-full");
    }
}
