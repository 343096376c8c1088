//! `GET /metrics` with devices that have no counters.

use drawspan_metrics::Format;

use super::batch::BATCH;
use super::*;

/// The value of a sample, by its name and labels as they are written; `None` if there is no such sample.
async fn value(bench: &Bench, sample: &str) -> Option<u64> {
    let answer = page(bench).await;
    let prefix = format!("{sample} ");
    let line = answer.lines().find_map(|line| line.strip_prefix(&prefix))?;
    Some(line.parse().unwrap())
}

async fn page(bench: &Bench) -> String {
    let get = request("GET", "/metrics").header("accept", "application/openmetrics-text");
    let answer = bench.ask(get.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let content_type = Format::OpenMetrics.content_type();
    assert_eq!(answer.header("content-type"), Some(content_type));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn requests(operation: &str, code: u16) -> String {
    format!("drawspan_http_requests_total{{operation=\"{operation}\",code=\"{code}\"}}")
}

#[tokio::test]
async fn the_format_is_the_one_that_is_asked_for() {
    use Format::{OpenMetrics, Text};
    let bench = bench(Ok(()));
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                      text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    for (accept, expected) in [
        (None, Text),
        (Some("*/*"), Text),
        (Some("text/html, */*;q=0.8"), Text),
        (Some("text/plain;version=0.0.4"), Text),
        (Some("application/openmetrics-text"), OpenMetrics),
        (
            Some("Application/OpenMetrics-Text; version=1.0.0; charset=utf-8"),
            OpenMetrics,
        ),
        (Some(prometheus), OpenMetrics),
        (Some("application/openmetrics-text;version=0.0.1"), Text),
        (Some("application/openmetrics-text;q=0, text/plain"), Text),
        (
            Some("application/openmetrics-text;q=0.5, text/plain;q=0.9"),
            Text,
        ),
        (Some("nonsense;q=x,,;"), Text),
    ] {
        let get = request("GET", "/metrics");
        let get = accept
            .into_iter()
            .fold(get, |get, accept| get.header("accept", accept));
        let answer = bench.ask(get.body(Body::empty()).unwrap()).await;
        let content_type = answer.header("content-type");
        assert_eq!(content_type, Some(expected.content_type()), "{accept:?}");
        let ends = answer.body.ends_with(b"\n# EOF\n");
        assert_eq!(ends, expected == OpenMetrics, "{accept:?}");
    }
}

#[tokio::test]
async fn answers_are_counted_by_operation_and_status() {
    let bench = bench(Ok(()));
    let check = async |sample: String, expected: Option<u64>| {
        assert_eq!(value(&bench, &sample).await, expected, "{sample}");
    };
    check(requests("SendMessage", 200), None).await;
    for body in [GOOD, GOOD, "nonsense"] {
        bench.ask(post(EVENTS, body)).await;
    }
    for (method, path, key) in [
        ("GET", "/devices/d/twin", Some(KEY)),
        ("GET", "/devices/d/twin", None),
        ("GET", "/devices/d/nowhere", Some(KEY)),
        ("PUT", "/devices/d/twin", Some(KEY)),
        ("GET", "/livez", None),
        ("HEAD", "/livez", None),
        ("DELETE", "/Devices/d/Methods/Sub", Some(KEY)),
    ] {
        let request = request(method, path);
        let request = key
            .into_iter()
            .fold(request, |it, key| it.header("x-api-key", key));
        bench.ask(request.body(Body::empty()).unwrap()).await;
    }
    check(requests("SendMessage", 200), Some(2)).await;
    check(requests("SendMessage", 400), Some(1)).await;
    check(requests("GetTwin", 200), Some(1)).await;
    check(requests("none", 401), Some(1)).await;
    check(requests("none", 404), Some(1)).await;
    check(requests("none", 405), Some(1)).await;
    check(requests("GetLiveness", 200), Some(2)).await;
    check(requests("DeleteMethodsSubscription", 204), Some(1)).await;
    // Each scrape is a request, counted in the next one.
    let looks = requests("GetMetrics", 200);
    let before = value(&bench, &looks).await.unwrap();
    check(looks, Some(before + 1)).await;
}

#[tokio::test]
async fn messages_are_counted_one_by_one() {
    let bench = with(Fake {
        refuses: Some(("bad", DeviceError::Throttled { retry_after_s: 7 })),
        ..Fake::default()
    });
    bench.ask(post(EVENTS, GOOD)).await;
    bench.ask(post(EVENTS, "{}")).await;
    let items = ["a", "a", "b", "bad", "bad-2", "not an id"];
    let items = items.map(|id| format!(r#"{{"deviceId":"{id}","data":{{}}}}"#));
    let body = format!(r#"{{"messages":[{}]}}"#, items.join(","));
    assert_eq!(bench.ask(post(BATCH, body)).await.status, StatusCode::OK);
    let count = "drawspan_message_duration_seconds_count";
    assert_eq!(value(&bench, count).await, Some(4));
    let all = "drawspan_message_duration_seconds_bucket{le=\"+Inf\"}";
    assert_eq!(value(&bench, all).await, Some(4));
    let failed = |reason| format!("drawspan_messages_failed_total{{reason=\"{reason}\"}}");
    assert_eq!(value(&bench, &failed("throttled")).await, Some(2));
    // What never was a message is counted as a request.
    assert_eq!(value(&bench, &failed("invalid-device-id")).await, None);
    assert_eq!(value(&bench, &requests("SendMessages", 200)).await, Some(1));
}

#[tokio::test]
async fn what_is_answered_from_memory_is_counted() {
    let bench = bench(Ok(()));
    let body = r#"{"messages":[{"deviceId":"a","data":{}}]}"#;
    for (path, body) in [(EVENTS, GOOD), (EVENTS, GOOD), (BATCH, body), (BATCH, body)] {
        let mut request = post(path, body);
        let key = "k".parse().unwrap();
        request.headers_mut().insert("idempotency-key", key);
        bench.ask(request).await;
    }
    let replays = "drawspan_idempotency_replays_total";
    assert_eq!(value(&bench, replays).await, Some(2));
    let count = "drawspan_message_duration_seconds_count";
    assert_eq!(value(&bench, count).await, Some(2));
}

#[tokio::test]
async fn no_device_is_named() {
    let bench = bench(Ok(()));
    bench.ask(post(EVENTS, r#"{"data":"payload-1"}"#)).await;
    let page = page(&bench).await;
    for secret in ["dev-1", KEY, "payload-1"] {
        assert!(!page.contains(secret), "{secret}: {page}");
    }
}
