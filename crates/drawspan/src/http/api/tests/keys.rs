//! Keys that allow some things.

use super::*;
use crate::http::auth::ApiKey;

fn bench_with(entries: &[(&str, &str, Option<&str>)]) -> Bench {
    let fake = Fake::default();
    let calls = Arc::clone(&fake.calls);
    let entry = |(key, scopes, prefix): &(&str, &str, Option<&str>)| {
        ApiKey::entry(key, Some(scopes), *prefix, None).unwrap()
    };
    let keys: ApiKeys = entries.iter().map(entry).collect();
    Bench {
        api: Api::new(fake, keys, Duration::from_secs(30)),
        calls,
    }
}

#[tokio::test]
async fn a_key_that_may_not_is_told_so_before_anything_is_looked_at() {
    let check = async |key: &'static str, line: &str, body: &'static str, expected: u16| {
        let bench = bench_with(&[
            ("s", "send", Some("dev-")),
            ("r", "read", None),
            ("m", "manage", Some("dev-1")),
        ]);
        let (method, path) = line.split_once(' ').unwrap();
        let answer = bench.ask(ask(method, path, Some(key), body)).await;
        assert_eq!(answer.status.as_u16(), expected, "{key} {line}");
        if expected == 403 {
            assert_eq!(answer.problem()["type"], "urn:drawspan:problem:forbidden");
            assert!(bench.untouched(), "{key} {line}");
        }
    };
    check("s", "POST /Devices/dev-1/Messages/Events", GOOD, 200).await;
    check("s", "POST /devices/other/messages/events", "{", 403).await;
    check("s", "POST /devices/a%20b/messages/events", GOOD, 403).await;
    check("r", "POST /devices/dev-1/messages/events", GOOD, 403).await;
    check("s", "GET /devices/dev-1/twin", "", 200).await;
    check("r", "GET /devices/dev-1/twin", "", 200).await;
    check("m", "GET /devices/dev-1/twin", "", 403).await;
    check("r", "HEAD /devices/dev-1/diagnostics", "", 404).await;
    check("m", "HEAD /devices/dev-1/diagnostics", "", 403).await;
    check("m", "DELETE /devices/dev-1", "", 204).await;
    check("m", "DELETE /Devices/dev-2/", "", 403).await;
    check("s", "DELETE /devices/dev-1", "", 403).await;
    // Routes that there are not say so, once there is a key.
    check("s", "GET /devices/dev-1/unknown", "", 404).await;
    check("s", "PUT /devices/dev-1/twin", "", 405).await;
    check("x", "PUT /devices/dev-1/twin", "", 401).await;
}
